package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/gpu"
	"github.com/polyphon/polyphon/polynet"
)

// selfTest compares a device with the reference device, on a sound that is made for it.
type selfTest struct {
	Passed       bool    `json:"passed"`
	Difference   float64 `json:"difference"` // the largest one of a label's log-probability
	Limit        float64 `json:"limit"`
	Milliseconds float64 `json:"ms_per_window"` // on one thread, from samples to labels
	RealTime     float64 `json:"x_real_time"`
}

const (
	selfTestTime = 300 * time.Millisecond // that the speed is measured for
	leastP       = 1e-30                  // what is less likely counts as this
)

// selfTestLimits are the limits of the difference. Rounding alone gives the embedded model 1e-6, 3e-3 and 4e-2.
var selfTestLimits = map[gpu.Precision]float64{gpu.Float32: 1e-2, gpu.TF32: 3e-2, gpu.BFloat16: 0.3}

// test classifies the test sound with m on dev, whose products have such a precision, and on the reference device.
func (d *diagnosis) test(m *polynet.Model, dev device.Trainer, p gpu.Precision) {
	fail := func(err error, do string) { d.Problems = append(d.Problems, problem{"self-test: " + err.Error(), do}) }
	sound := testSound(m.Features.Rate, m.Window)
	want, err := hearPlainly(m, sound)
	if err != nil {
		fail(err, "use another model; one trained with --limit does not grow beyond bounds")
		return
	}
	got, took, err := hear(m, dev, sound, selfTestTime)
	if err != nil {
		fail(err, wrongKernels)
		return
	}
	s := &selfTest{Limit: selfTestLimits[p], Milliseconds: took.Seconds() * 1e3, RealTime: m.Window / took.Seconds()}
	for label, p := range want {
		s.Difference = max(s.Difference, math.Abs(math.Log(max(p, leastP)/max(got[label], leastP))))
	}
	s.Passed = s.Difference <= s.Limit
	d.SelfTest = s
	if !s.Passed {
		fail(fmt.Errorf("%s is off by %.3g in a log-probability", dev.Name(), s.Difference), wrongKernels)
	}
}

const wrongKernels = "set " + device.KernelsVariable + "=generic, and report this with all that classify doctor says"

// hearPlainly is hear on the reference device, and with plain features: their kernels go by the environment alone.
func hearPlainly(m *polynet.Model, sound audio.Clip) (map[string]float64, error) {
	if forced, set := os.LookupEnv(device.KernelsVariable); set {
		defer os.Setenv(device.KernelsVariable, forced)
	} else {
		defer os.Unsetenv(device.KernelsVariable)
	}
	os.Setenv(device.KernelsVariable, "generic")
	p, _, err := hear(m, device.Ref(), sound, 0)
	return p, err
}

// hear returns the probabilities of a sound of one window, and the median time that it takes, measured for so long.
func hear(m *polynet.Model, dev device.Trainer, sound audio.Clip, measure time.Duration) (map[string]float64, time.Duration, error) {
	c, err := polynet.NewClassifier(m, dev)
	if err != nil {
		return nil, 0, err
	}
	w, err := c.Worker(polynet.Options{Batch: 1})
	if err != nil {
		return nil, 0, err
	}
	p := map[string]float64{}
	var times []time.Duration
	for begin := time.Now(); len(times) == 0 || time.Since(begin) < measure; {
		start := time.Now()
		for window, err := range w.Classify(sound.Source()) {
			if err != nil {
				return nil, 0, err
			}
			for _, s := range window.Scores {
				p[s.Label] = s.P
			}
		}
		times = append(times, time.Since(start))
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
