package models_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

func embedded() map[string]*polynet.Model {
	return map[string]*polynet.Model{"base": models.Base(), "small": models.Small(), "tiny": models.Tiny()}
}

// TestEmbeddedModelsAreBounded runs the embedded models on features at the bounds that they are clamped to, in patterns
// that no sound has: their outputs stay finite, however the factors of their products add up.
func TestEmbeddedModelsAreBounded(t *testing.T) {
	const frames, patterns = 98, 300
	d, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range embedded() {
		if m.Norm.Limit <= 0 {
			t.Errorf("%s does not clamp its features", name)
		}
		plan, err := inference.Compile(m, d)
		if err != nil {
			t.Fatal(err)
		}
		clips, rng, greatest := plan.Clips(1, frames), rand.New(rand.NewPCG(1, 1)), 0.0
		rows := make([]float32, frames*m.Net.Inputs)
		for k := range patterns {
			period, bands := 1<<rng.IntN(7), 1<<rng.IntN(6) // frames and bands of one sign
			signs := map[[2]int]float32{}
			for i := range rows {
				at := [2]int{i / m.Net.Inputs / period, i % m.Net.Inputs / bands}
				if signs[at] == 0 {
					signs[at] = float32(2*rng.IntN(2) - 1)
				}
				rows[i] = 1e6 * signs[at]
			}
			for _, v := range clips.Run(rows, 1) {
				if greatest = max(greatest, math.Abs(float64(v))); !(greatest < math.MaxFloat32/2) {
					t.Fatalf("%s answers pattern %d, of %d frames and %d bands, with %v", name, k, period, bands, v)
				}
			}
		}
		t.Logf("%s: the greatest logit of %d patterns is %.3g", name, patterns, greatest)
	}
}

// TestEmbeddedModelsOnOtherSounds has tones, chords, noises and clicks at all levels classified: sounds unlike those
// that the models were trained on must not make their products grow beyond what probabilities can be made of.
func TestEmbeddedModelsOnOtherSounds(t *testing.T) {
	const rate = 16000
	rng := rand.New(rand.NewPCG(2, 2))
	sine := func(hz float64) func(i int) float64 {
		return func(i int) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / rate) }
	}
	sounds := map[string]func(i int) float64{
		"nothing":      func(int) float64 { return 0 },
		"a constant":   func(int) float64 { return 1 },
		"white noise":  func(int) float64 { return 2*rng.Float64() - 1 },
		"a square":     func(i int) float64 { return math.Copysign(1, sine(440)(i)) },
		"a sweep":      func(i int) float64 { return math.Sin(math.Pi * 4000 * float64(i) * float64(i) / rate / rate) },
		"clicks":       func(i int) float64 { return float64(max(0, 1-i%2000)) },
		"one click":    func(i int) float64 { return float64(max(0, 1-max(i-8000, 8000-i))) },
		"bursts":       func(i int) float64 { return float64(i/400%2) * (2*rng.Float64() - 1) },
		"a chord":      func(i int) float64 { return (sine(262)(i) + sine(330)(i) + sine(392)(i)) / 3 },
		"the top band": sine(7900),
	}
	for hz := 30.0; hz < 7000; hz *= 1.5 {
		sounds[fmt.Sprintf("%.0f Hz", hz)] = sine(hz)
	}
	for model, m := range embedded() {
		r, err := polyphon.New(m)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for name, at := range sounds {
			for _, level := range []float64{1, 0.1, 1e-3, 1e-5} {
				samples := make([]float32, 2*rate)
				for i := range samples {
					samples[i] = float32(level * at(i))
				}
				for _, err := range r.Windows(t.Context(), audio.Clip{Rate: rate, Samples: samples}.Source()) {
					if err != nil { // as where probabilities are not finite
						t.Fatalf("%s: %s at level %g: %v", model, name, level, err)
					}
				}
			}
		}
	}
}
