package polyphon

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
)

// TestDecisionsMakeTheEventsOfLiveSound puts decisions through a Detector and compares its events with a Listener's.
func TestDecisionsMakeTheEventsOfLiveSound(t *testing.T) {
	samples := bursts(8, burstTimes...)
	for name, options := range map[string][]Option{"every row": nil, "hop and gate": {WithHop(0.05), WithGate(40)}} {
		r := newRecognizer(t, loudness(), options...)
		detector, err := detect.New(r.Model().Labels, r.detection)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []detect.Event
		n, last := 0, 0.0
		for d, err := range r.Decisions(t.Context(), audio.Clip{Rate: testRate, Samples: samples}.Source()) {
			if err != nil {
				t.Fatal(err)
			}
			if len(d.P) != 2 || !(d.Start >= 0 && d.Start < d.End && d.End > last && d.End <= d.Used && d.Used <= 8) {
				t.Fatalf("%s: decision %d, after %g s: %+v", name, n, last, d)
			}
			n, last = n+1, d.End
			if e, ok := detector.Push(d.Start, d.End, d.Used, d.P); ok {
				got = append(got, e)
			}
		}
		if last != 8 {
			t.Errorf("%s: the last decision ends at %g s", name, last)
		}
		l, err := r.Listen(Format{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.Push(samples); err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Events() {
			want = append(want, e.Event)
		}
		if len(want) != len(burstTimes) || !slices.Equal(got, want) {
			t.Errorf("%s: events %+v, want %+v", name, got, want)
		}
	}
}

// TestDivergedDecisionsHaveNoProbabilities expects as many as a Listener counts.
func TestDivergedDecisionsHaveNoProbabilities(t *testing.T) {
	r := newRecognizer(t, diverging())
	samples := bursts(3, 1)
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Push(samples); err != nil {
		t.Fatal(err)
	}
	diverged := 0
	for d, err := range r.Decisions(t.Context(), audio.Clip{Rate: testRate, Samples: samples}.Source()) {
		if err != nil {
			t.Fatal(err)
		}
		if d.P == nil && d.End <= d.Used {
			diverged++
		}
	}
	if want := l.Stats().Diverged; diverged < want || want == 0 {
		t.Errorf("%d decisions without probabilities, of %d", diverged, want)
	}
}

func TestDecisionsEndWithAnError(t *testing.T) {
	r, broken := newRecognizer(t, loudness()), errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		src  audio.Source
		want error
	}{
		{t.Context(), &failing{50000, broken}, broken}, {t.Context(), &failing{0, io.EOF}, audio.ErrEmpty},
		{ctx, &failing{1 << 30, io.EOF}, context.Canceled},
	} {
		var last error
		for _, err := range r.Decisions(c.ctx, c.src) {
			last = err
		}
		if !errors.Is(last, c.want) {
			t.Errorf("%v, want %v", last, c.want)
		}
	}
	for range r.Decisions(t.Context(), &failing{50000, broken}) {
		break // must end the sequence
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range r.Decisions(t.Context(), &failing{50000, broken}) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("of a closed recognizer: %v", err)
		}
	}
}
