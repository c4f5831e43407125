package detect

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawConfig draws an operating point.
func drawConfig(t *rapid.T) Config {
	c := Config{
		Smoothing:   rapid.Float64Range(0, 1).Draw(t, "smoothing"),
		Threshold:   rapid.Float64Range(0.05, 1).Draw(t, "threshold"),
		Release:     rapid.Float64Range(0.05, 1).Draw(t, "release"),
		MinDuration: rapid.Float64Range(0, 0.5).Draw(t, "min duration"),
		Refractory:  rapid.Float64Range(0, 2).Draw(t, "refractory"),
	}
	if rapid.Bool().Draw(t, "by label") {
		c.Thresholds = map[string]float64{"right": rapid.Float64Range(0.05, 1).Draw(t, "right")}
	}
	return c
}

// drawn is a decision of a random track.
type drawn struct {
	start, end, now float64
	p               []float64
}

// drawTrack draws decisions at irregular times, whose probabilities stay for a while and jump.
func drawTrack(t *rapid.T) []drawn {
	var track []drawn
	end := rapid.Float64Range(0, 1e7).Draw(t, "origin")
	n := rapid.IntRange(1, 120).Draw(t, "decisions")
	value := rapid.OneOf(rapid.SampledFrom([]float64{0, 1, 0.95, 0.02, math.NaN()}), rapid.Float64Range(0, 1))
	p := make([]float64, len(testLabels))
	for range n {
		end += rapid.Float64Range(0.01, 0.15).Draw(t, "step")
		if rapid.IntRange(0, 3).Draw(t, "jump") == 0 {
			for i := range p {
				p[i] = value.Draw(t, "p")
			}
		}
		track = append(track, drawn{end - 1, end, end + rapid.Float64Range(0, 0.5).Draw(t, "late"), slices.Clone(p)})
	}
	return track
}

// play pushes a track and returns what begins, with the end of the window of each, and what ends.
func play(d *Detector, track []drawn) (begun, ended []Event) {
	for _, w := range track {
		if e, ok := d.Push(w.start, w.end, w.now, w.p); ok {
			begun = append(begun, e)
		}
		ended = append(ended, d.Ended()...)
	}
	d.Flush()
	return begun, append(ended, d.Ended()...)
}

func TestPropertiesOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, track := drawConfig(t), drawTrack(t)
		d, err := New(testLabels, c)
		if err != nil {
			t.Fatal(err)
		}
		begun, ended := play(d, track)
		last := map[string]float64{}
		for _, e := range begun {
			if at, before := last[e.Label]; before && e.End-at < c.Refractory-2*tolerance {
				t.Fatalf("%s begins at %g s and again at %g s, the refractory time is %g s", e.Label, at, e.End, c.Refractory)
			}
			last[e.Label] = e.End
			if Background(e.Label) || !slices.Contains(testLabels, e.Label) {
				t.Fatalf("the label is %q", e.Label)
			}
			if threshold := cmp.Or(c.Thresholds[e.Label], c.Threshold); !(e.P >= threshold && e.P <= 1) {
				t.Fatalf("p is %g, the threshold %g", e.P, threshold)
			}
			checkSpan(t, e, track)
		}
		if len(ended) != len(begun) {
			t.Fatalf("%d events begun, %d ended", len(begun), len(ended))
		}
		for _, e := range ended {
			checkSpan(t, e, track)
			if !slices.ContainsFunc(begun, func(b Event) bool { return b.Time == e.Time && b.Label == e.Label && b.P == e.P }) {
				t.Fatalf("%+v ended and did not begin", e)
			}
		}
		d.Reset()
		if again, _ := play(d, track); !slices.Equal(again, begun) {
			t.Fatalf("after Reset %v, before %v", again, begun)
		}
	})
}

func checkSpan(t *rapid.T, e Event, track []drawn) {
	first, last := track[0].start, track[len(track)-1].end
	if !(e.Start >= first-tolerance && e.Start <= e.End+tolerance && e.End <= last && e.Time <= last+1) {
		t.Fatalf("%+v in a track from %g to %g s", e, first, last)
	}
}

// TestSmoothingIsAnIntegral splits decisions in two: denser decisions with the same probabilities give the same
// average.
func TestSmoothingIsAnIntegral(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		track := drawTrack(t)
		seconds := rapid.Float64Range(0, 1).Draw(t, "smoothing")
		whole := smoother{seconds: seconds, mean: make([]float64, 4)}
		split := smoother{seconds: seconds, mean: make([]float64, 4)}
		from := track[0].start
		for _, w := range track {
			p := make([]float64, 4)
			for i, v := range w.p {
				p[i] = max(0, v)
				if math.IsNaN(v) {
					p[i] = 0
				}
			}
			want := slices.Clone(whole.push(from, w.end, p))
			middle := from + (w.end-from)*rapid.Float64Range(0.1, 0.9).Draw(t, "middle")
			split.push(from, middle, p)
			for i, got := range split.push(middle, w.end, p) {
				if math.Abs(got-want[i]) > 1e-6 {
					t.Fatalf("averages %g and %g", got, want[i])
				}
			}
			from = w.end
		}
	})
}
