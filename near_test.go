package polyphon

import (
	"errors"
	"math"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/polynet"
)

// liveEvents returns the events of live sound that comes in pieces.
func liveEvents(t *testing.T, r *Recognizer, samples []float32) (events []Event) {
	t.Helper()
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := 0; i < len(samples); i += 700 {
		if err := l.Push(samples[i:min(i+700, len(samples))]); err != nil {
			t.Fatal(err)
		}
		events = append(events, l.Events()...)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	return append(events, l.Events()...)
}

// TestNearMisses has sounds that are events, near misses because of the threshold or of the least confidence, or
// neither, in recordings and live.
func TestNearMisses(t *testing.T) {
	samples := bursts(8, burstTimes...)
	own := loudness().DetectionConfig()
	strict, byLabel := own, own
	strict.Threshold = 1
	byLabel.Thresholds = map[string]float64{"loud": 1}
	for name, c := range map[string]struct {
		options      []Option
		events, near int
	}{
		"events":                     {[]Option{WithNear(0.3)}, 3, 0},
		"a threshold":                {[]Option{WithDetection(strict), WithNear(0.3)}, 0, 3},
		"a threshold of the label":   {[]Option{WithDetection(byLabel), WithNear(0.3)}, 0, 3},
		"a least confidence":         {[]Option{WithMinConfidence(1), WithNear(0.3)}, 0, 3},
		"none are asked for":         {[]Option{WithDetection(strict)}, 0, 0},
		"they are not near":          {[]Option{WithDetection(strict), WithNear(1)}, 0, 0},
		"the threshold of an event":  {[]Option{WithNear(own.Threshold)}, 3, 0},
		"more than that of an event": {[]Option{WithNear(1)}, 3, 0},
	} {
		r := newRecognizer(t, loudness(), append(c.options, WithSamples())...)
		recorded, err := eventsOf(r, samples, testRate)
		if err != nil {
			t.Fatal(err)
		}
		for how, events := range map[string][]Event{"recorded": recorded, "live": liveEvents(t, r, samples)} {
			var near []Event
			for _, e := range events {
				if e.Near {
					near = append(near, e)
				}
			}
			if len(near) != c.near || len(events)-len(near) != c.events {
				t.Errorf("%s, %s: %d events, %d near misses", name, how, len(events)-len(near), len(near))
				continue
			}
			if c.near > 0 {
				checkPlaces(t, name, near, burstTimes, 0.3)
			}
			for _, e := range near {
				if len(e.Samples) < testRate {
					t.Errorf("%s, %s: %d samples", name, how, len(e.Samples))
				}
			}
		}
	}
	for name, o := range map[string]Option{
		"near": WithNear(1.5), "near NaN": WithNear(math.NaN()), "pre-roll": WithPreRoll(31), "before": WithPreRoll(-1),
	} {
		if _, err := New(loudness(), o); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPreRoll compares the sound of events with and without.
func TestPreRoll(t *testing.T) {
	samples := bursts(8, burstTimes...)
	without := liveEvents(t, newRecognizer(t, loudness(), WithSamples()), samples)
	with := liveEvents(t, newRecognizer(t, loudness(), WithSamples(), WithPreRoll(2)), samples)
	if len(with) != 3 || len(without) != 3 {
		t.Fatalf("%d and %d events", len(with), len(without))
	}
	for i, e := range with {
		start := max(0, without[i].SamplesStart-2)
		more := int(math.Round((without[i].SamplesStart - start) * testRate))
		if math.Abs(e.SamplesStart-start) > 1e-9 || len(e.Samples) != len(without[i].Samples)+more {
			t.Errorf("event %d: %d samples from %g s on, without %d from %g s on", i, len(e.Samples), e.SamplesStart,
				len(without[i].Samples), without[i].SamplesStart)
		}
		first := int(math.Round(e.SamplesStart * testRate))
		if audio.MeanSquare(e.Samples) != audio.MeanSquare(samples[first:first+len(e.Samples)]) {
			t.Errorf("event %d has other samples", i)
		}
	}
}
