package polyphon

import (
	"errors"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// referenced returns loudness with a reference of sounds that are surely loud or surely not.
func referenced() *polynet.Model {
	return withCalibration(loudness(), confidence.Calibration{
		Reference: &confidence.Reference{Tolerance: 0.2, Limits: [][]float64{{0.01, 1e6, 1e6}, {0.01, 1e6, 1e6}}},
	})
}

// wavering returns seconds of noise at the level between loud and _silence_.
func wavering(seconds float64) []float32 {
	rng := nettest.Rand(3)
	samples := make([]float32, int(seconds*testRate))
	for i := range samples {
		samples[i] = 0.009 * float32(rng.NormFloat64())
	}
	return samples
}

// TestDriftInputs counts the inputs that sounds of several lengths are, in each kind of answer.
func TestDriftInputs(t *testing.T) {
	for seconds, want := range map[float64]int{0.5: 1, 1: 1, 1.5: 1, 9: 1, 10: 1, 12: 2, 31: 4} {
		clip := audio.Clip{Rate: testRate, Samples: wavering(seconds)}
		for name, run := range map[string]func(r *Recognizer) error{
			"clip": func(r *Recognizer) error {
				_, err := r.Classify(clip.Samples, testRate)
				return err
			},
			"windows": func(r *Recognizer) error {
				for _, err := range r.Windows(t.Context(), clip.Source()) {
					if err != nil {
						return err
					}
				}
				return nil
			},
			"events": func(r *Recognizer) error {
				for _, err := range r.Events(t.Context(), clip.Source()) {
					if err != nil {
						return err
					}
				}
				return nil
			},
			"live": func(r *Recognizer) error {
				l, err := r.Listen(Format{})
				if err != nil {
					return err
				}
				defer l.Close()
				for part := range slices.Chunk(clip.Samples, 1000) {
					if err := l.Push(part); err != nil {
						return err
					}
				}
				return l.Flush()
			},
		} {
			want := want
			if name == "live" && seconds < 1 {
				want = 0 // no whole window
			}
			var d Drift
			if err := run(newRecognizer(t, referenced(), WithDrift(&d))); err != nil {
				t.Fatal(err)
			}
			if got := d.State().Inputs; got != want {
				t.Errorf("%s of %g s: %d inputs, want %d", name, seconds, got, want)
			}
		}
	}
}

// TestDrift: sounds between loud and _silence_ are found, in the middle of others, whatever kind of answer they get,
// and sounds like those of the reference are not; the one window with half a burst in it does not count.
func TestDrift(t *testing.T) {
	var d Drift
	r := newRecognizer(t, referenced(), WithDrift(&d))
	classify := func(samples []float32, times int) {
		t.Helper()
		for range times {
			if _, err := r.Classify(samples, testRate); err != nil {
				t.Fatal(err)
			}
		}
	}
	clip := audio.Clip{Rate: testRate, Samples: slices.Repeat(bursts(5, 1, 3), 30)}
	for _, err := range r.Events(t.Context(), clip.Source()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	classify(bursts(1), 500)
	if s := d.State(); s != (DriftState{Inputs: 515}) {
		t.Fatalf("without a drift: %+v", s)
	}
	classify(wavering(1), 10)
	classify(wavering(2.2), 10)
	s := d.State()
	if s.Inputs != 535 || s.Drifts != 1 || !s.Drifted || s.Since < 524 || s.Since > 530 {
		t.Errorf("with a drift: %+v", s)
	}
	classify(bursts(1), 100)
	if s := d.State(); s.Drifts != 1 || s.Drifted && s.Inputs-s.Since > 200 {
		t.Errorf("after the drift: %+v", s)
	}
	classify(bursts(1), 100)
	if s := d.State(); s.Drifts != 1 || s.Drifted {
		t.Errorf("long after the drift: %+v", s)
	}
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.Push(wavering(200)), l.Flush()); err != nil {
		t.Fatal(err)
	}
	if s := d.State(); s.Drifts != 2 || !s.Drifted {
		t.Errorf("live sound with a drift: %+v", s)
	}
}

func TestDriftNeedsReference(t *testing.T) {
	if _, err := New(calibratedLoudness(), WithDrift(new(Drift))); !errors.Is(err, ErrUncalibrated) {
		t.Errorf("error %v", err)
	}
}
