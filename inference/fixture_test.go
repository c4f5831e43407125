package inference

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
	"pgregory.net/rapid"
)

// onDevices runs test on every device that works in the host's memory.
func onDevices(t *testing.T, test func(t *testing.T, d device.Device)) {
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []device.Device{device.Ref(), cpu} {
		t.Run(d.Name(), func(t *testing.T) { test(t, d) })
	}
}

// oneThread returns the CPU with one thread.
func oneThread(t rapid.TB) device.Device {
	t.Helper()
	d, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newPlan(t rapid.TB, m *polynet.Model, d device.Device) *Plan {
	t.Helper()
	p, err := Compile(m, d)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// configModel returns a random model of the first of nettest.Configs.
func configModel(kind polynet.BlockKind, seed uint64) *polynet.Model {
	return nettest.RandomModel(nettest.Configs(kind)[0], nettest.Rand(seed))
}

// noise returns n samples of white noise.
func noise(rng *rand.Rand, n int) []float32 {
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = 0.3 * (2*rng.Float32() - 1)
	}
	return samples
}

// tame keeps a deep random network from growing beyond all bounds, as products of products do.
func tame(m *polynet.Model) {
	for name, w := range m.Weights {
		values, float := w.Data().([]float32)
		switch parts := nestedFactor.FindStringSubmatch(name); {
		case !float:
		case strings.HasPrefix(name[strings.LastIndex(name, ".")+1:], "scale"): // of a product or of one of ccp's factors
			values[0] *= 0.03
		case m.Net.Block == polynet.Mu && strings.HasSuffix(name, ".out.norm.weight"): // of what a block adds to its input
			for i := range values {
				values[i] *= 0.03
			}
		case !strings.HasPrefix(string(m.Net.Block), "ncp") || parts == nil:
		case parts[2] == "weight": // factors of about 1
			for i := range values {
				values[i] *= 0.03
			}
		case parts[2] == "bias":
			for i := range values {
				values[i] = 1
			}
		}
	}
}

// nestedFactor matches the weight and the bias of the norms after A and S of degree 2 and more.
var nestedFactor = regexp.MustCompile(`^stages.*\.(norm[2-9]|nest[2-9]\.norm)\.(weight|bias)$`)

// panics reports whether f panics.
func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}

// stream is a group of one stream.
type stream struct{ *Group }

func openStream(p *Plan, o StreamOptions) (stream, error) {
	g, err := p.Group(1, o)
	return stream{g}, err
}

func newStream(t rapid.TB, p *Plan, o StreamOptions) stream {
	t.Helper()
	s, err := openStream(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s stream) Push(samples []float32) { s.Group.Push(0, samples) }
func (s stream) Flush()                 { s.Group.Flush(0) }
func (s stream) Reset()                 { s.Group.Reset(0) }
func (s stream) Stats() StreamStats     { return s.Group.Stats(0) }

func (s stream) Next() (Decision, bool, error) {
	_, d, ok, err := s.Group.Next()
	return d, ok, err
}
