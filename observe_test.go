package polyphon

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// TestObserve: one of two sounds is observed, and each decision within it is that of Decisions.
func TestObserve(t *testing.T) {
	r := newRecognizer(t, loudness())
	samples := bursts(8, burstTimes...)
	var want, got []string
	outline := func(d Decision) string { return fmt.Sprintf("%.3f %.3f %.6f", d.Start, d.End, d.P) }
	for d, err := range r.Decisions(t.Context(), audio.Clip{Rate: testRate, Samples: samples}.Source()) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, outline(d))
	}
	g, err := r.ListenGroup(2, Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.Observe(1, func(d Decision) { got = append(got, outline(d)) })
	for i := range 2 {
		if err := g.Push(i, samples); err != nil {
			t.Fatal(err)
		}
		if err := g.Flush(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Compute(); err != nil {
		t.Fatal(err)
	}
	// Decisions ends with one about what is less than a step; live sound goes on into silence there.
	if n := len(want) - 1; len(got) < n || !slices.Equal(got[:n/2], want[:n/2]) {
		t.Errorf("%d decisions, not %d:\n%q\n%q", len(got), len(want), got[:3], want[:3])
	}
	g.Observe(1, nil)
	before := len(got)
	if err := g.Reset(1); err != nil {
		t.Fatal(err)
	}
	if err := g.Push(1, samples); err != nil || g.Compute() != nil || len(got) != before {
		t.Errorf("%v, %d decisions after the end of observation", err, len(got)-before)
	}
}

// TestThresholdsOfOneSound: of two equal sounds, one has a threshold that nothing reaches.
func TestThresholdsOfOneSound(t *testing.T) {
	r := newRecognizer(t, loudness())
	g, err := r.ListenGroup(2, Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, c := range []struct {
		threshold float64
		byLabel   map[string]float64
	}{{0, nil}, {1.1, nil}, {0.5, map[string]float64{"none": 0.5}}, {0.5, map[string]float64{"loud": 0}}} {
		if err := g.SetThresholds(0, c.threshold, c.byLabel); !errors.Is(err, detect.ErrConfig) {
			t.Errorf("%g %v: %v", c.threshold, c.byLabel, err)
		}
	}
	if err := g.SetThresholds(1, 0.5, map[string]float64{"loud": 1}); err != nil {
		t.Fatal(err)
	}
	samples := bursts(8, burstTimes...)
	for i := range 2 {
		if err := g.Push(i, samples); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Compute(); err != nil {
		t.Fatal(err)
	}
	found := map[int]int{}
	for _, e := range g.Events() {
		found[e.Sound]++
	}
	if found[0] != len(burstTimes) || found[1] != 0 {
		t.Errorf("events by sound %v, want %d and none", found, len(burstTimes))
	}
}

func TestClassifyRows(t *testing.T) {
	r := testRecognizer(t)
	samples := bursts(1, 0.1)[:testWindow]
	want, err := r.Classify(samples, testRate)
	if err != nil {
		t.Fatal(err)
	}
	e, err := features.New(r.Model().Features)
	if err != nil {
		t.Fatal(err)
	}
	rows := e.Rows(nil, samples, e.Scratch())
	if got, err := r.ClassifyRows(rows); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, n := range []int{0, 1, len(rows) - 1} {
		if _, err := r.ClassifyRows(rows[:n]); !errors.Is(err, audio.ErrFormat) {
			t.Errorf("%d values: %v", n, err)
		}
	}
}

// TestSetOf makes the sets of WithCoverage for a share of its own.
func TestSetOf(t *testing.T) {
	r, without := newRecognizer(t, calibratedLoudness()), testRecognizer(t)
	scores := r.rank([]float64{0.45, 0.55})
	if set, err := r.SetOf(scores, 0.9); err != nil || !slices.Equal(set, []string{"_silence_", "loud"}) {
		t.Errorf("%q, %v", set, err)
	}
	if r.Set(scores) != nil {
		t.Error("a set that nobody asked for")
	}
	for _, share := range []float64{0, 0.49, 0.999, 2} {
		if _, err := r.SetOf(scores, share); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("%g: %v", share, err)
		}
	}
	if _, err := without.SetOf(scores, 0.9); !errors.Is(err, ErrUncalibrated) {
		t.Errorf("a model without sets: %v", err)
	}
}
