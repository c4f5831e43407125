package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/polynet"
)

// selfTest compares a device with the plain reference arithmetic, on a sound that is made for it.
type selfTest struct {
	Passed       bool    `json:"passed"`
	Difference   float64 `json:"difference"` // the largest one of a label's log-probability
	Limit        float64 `json:"limit"`
	Milliseconds float64 `json:"ms_per_window"` // on one thread, from samples to labels
	RealTime     float64 `json:"x_real_time"`
}

const (
	selfTestTime = 300 * time.Millisecond // that the speed is measured for
	minP         = 1e-30                  // what is less likely counts as this
)

// selfTestLimits are the limits of the difference. Rounding alone gives the embedded model 1e-6, 3e-3 and 4e-2.
var selfTestLimits = map[gpu.Precision]float64{gpu.Float32: 1e-2, gpu.TF32: 3e-2, gpu.BFloat16: 0.3}

// test classifies the test sound with m on dev, whose products have the precision, and with the reference arithmetic.
func (d *diagnosis) test(m *polynet.Model, dev device.Device, p gpu.Precision) {
	const wrongKernels = "set " + device.KernelsVariable + "=generic, and report this with all that classify doctor says"
	sound := testSound(m.Features.Rate, m.Window)
	want, _, err := classifyFor(0, m, sound, polyphon.WithReference())
	if err != nil {
		d.problem(fmt.Errorf("self-test: %w", err), "use another model; one trained with --limit does not grow beyond bounds")
		return
	}
	got, took, err := classifyFor(selfTestTime, m, sound, polyphon.WithDevice(dev))
	if err != nil {
		d.problem(fmt.Errorf("self-test: %w", err), wrongKernels)
		return
	}
	s := &selfTest{Limit: selfTestLimits[p], Milliseconds: took.Seconds() * 1e3, RealTime: m.Window / took.Seconds()}
	for label, p := range want {
		s.Difference = max(s.Difference, math.Abs(math.Log(max(p, minP)/max(got[label], minP))))
	}
	s.Passed = s.Difference <= s.Limit
	d.SelfTest = s
	if !s.Passed {
		d.problem(fmt.Errorf("self-test: %s is off by %.3g in a log-probability", dev.Name(), s.Difference), wrongKernels)
	}
}

// classifyFor classifies a sound of one window, again and again for some time. It returns the probabilities and the
// median time.
func classifyFor(
	t time.Duration, m *polynet.Model, sound audio.Clip, how polyphon.Option,
) (map[string]float64, time.Duration, error) {
	r, err := polyphon.New(m, how)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	p := map[string]float64{}
	var times []time.Duration
	for begin := time.Now(); len(times) == 0 || time.Since(begin) < t; {
		start := time.Now()
		scores, err := r.Classify(sound.Samples, sound.Rate)
		if err != nil {
			return nil, 0, err
		}
		times = append(times, time.Since(start))
		for _, s := range scores {
			p[s.Label] = s.P
		}
	}
	slices.Sort(times)
	return p, times[len(times)/2], nil
}

// testSound makes a window of something like a voice: a buzz that glides from 180 to 120 Hz, in syllables, over noise.
func testSound(rate int, length float64) audio.Clip {
	rng := rand.New(rand.NewPCG(1, 2))
	clip := audio.Clip{Rate: rate, Samples: make([]float32, int(math.Round(length*float64(rate))))}
	phase := 0.0
	for i := range clip.Samples {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (180 - 60*t/length) / float64(rate)
		buzz := 0.0
		for harmonic := 1.0; harmonic <= 10; harmonic++ {
			buzz += math.Sin(harmonic*phase) / harmonic
		}
		syllable := math.Pow(math.Sin(math.Pi*t/0.25), 2)
		clip.Samples[i] = float32(0.15*syllable*buzz + 0.01*rng.NormFloat64())
	}
	return clip
}
