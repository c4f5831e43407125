package polyphon

import (
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

const (
	testRate   = 16000
	testWindow = 3200 // samples of testModel's window
)

// testModel returns a model for windows of 0.2 s at 16 kHz. A random linear network's logits are small enough to be
// distinguished as probabilities.
func testModel() *polynet.Model {
	return nettest.RandomModel(nettest.Configs(polynet.Linear)[0], nettest.Rand(5))
}

func testRecognizer(t testing.TB, options ...Option) *Recognizer {
	t.Helper()
	return newRecognizer(t, testModel(), append([]Option{WithDevice(device.Ref())}, options...)...)
}

func newRecognizer(t testing.TB, m *polynet.Model, options ...Option) *Recognizer {
	t.Helper()
	r, err := New(m, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// noise returns n samples of white noise.
func noise(rng *rand.Rand, n int) []float32 {
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = 0.3 * (2*rng.Float32() - 1)
	}
	return samples
}

// failing is a source that ends in an error.
type failing struct {
	left int
	err  error
}

func (f *failing) Rate() int { return testRate }

func (f *failing) Read(dst []float32) (int, error) {
	n := min(len(dst), f.left, 700)
	f.left -= n
	if f.left == 0 {
		return n, f.err
	}
	return n, nil
}

// loudness returns a model of the labels loud and _silence_ for windows of a second, whose logits are the level of the
// window, so that the events of a sound are certain in tests.
func loudness() *polynet.Model {
	c := polynet.Config{
		Inputs: 40, Classes: 2, Block: polynet.Linear,
		Stem:   polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
		Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
	}
	m := nettest.RandomModel(c, nettest.Rand(1))
	m.Window, m.Temperature = 1, 1
	m.Labels = []string{"loud", polynet.SilenceLabel}
	for i := range m.Norm.Mean {
		m.Norm.Mean[i], m.Norm.Std[i] = 0, 1
	}
	set := func(name string, values ...float32) {
		data := m.Weights[name].Data().([]float32)
		for i := range data {
			data[i] = values[i%len(values)]
		}
	}
	for _, w := range c.Program().Weights {
		set(w.Name, w.Init)
	}
	set("stem.conv.weight", 1.0/40) // the mean log-mel energy: -6.7 of faint noise, 4.2 of bursts
	set("stages.0.0.conv1.weight", 0)
	set("stages.0.0.conv2.weight", 0)
	set("head.weight", 2, -2)
	set("head.bias", 6, -6) // equal at an energy of -3; half a window of burst has -1.2
	return m
}

// diverging returns loudness with weights that are too large for float32.
func diverging() *polynet.Model {
	m := loudness()
	for i := range m.Norm.Std {
		m.Norm.Std[i] = 1e-38
	}
	m.Weights["stem.conv.weight"].Data().([]float32)[0] = 1e30
	return m
}

// bursts returns seconds of faint noise with loud noise at the given places, each half a second.
func bursts(seconds float64, at ...float64) []float32 {
	rng := nettest.Rand(9)
	samples := make([]float32, int(seconds*testRate))
	for i := range samples {
		samples[i] = 0.0005 * float32(rng.NormFloat64())
	}
	for _, s := range at {
		for i := int(s * testRate); i < int((s+0.5)*testRate); i++ {
			samples[i] += 0.3 * float32(rng.NormFloat64())
		}
	}
	return samples
}
