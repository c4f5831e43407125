package training

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestL1Gradient compares what addL1 adds to the gradient with finite differences of the penalty.
func TestL1Gradient(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		const l1, h = 0.25, 1e-3
		n := drawn(nettest.Tiny(polynet.Pi).Program(), d, nettest.Rand(3))
		defer n.close()
		penalty := func() (sum float64) {
			for _, q := range n.params {
				if q.Kind == polynet.Decayed || strings.Contains(q.Name, "norm") && strings.HasSuffix(q.Name, ".weight") {
					for _, v := range download(d, q.Value) {
						sum += l1 * math.Abs(float64(v))
					}
				}
			}
			return sum
		}
		n.ZeroGradient()
		n.addL1(l1 / 2)
		n.addL1(l1 / 2)
		for _, q := range n.params {
			if q.Kind == polynet.Running {
				continue
			}
			values, g := download(d, q.Value), download(d, q.Grad)
			for _, i := range []int{0, len(values) / 2, len(values) - 1} {
				if math.Abs(float64(values[i])) < 2*h {
					continue
				}
				moved := slices.Clone(values)
				moved[i] = values[i] + h
				d.Upload(q.Value, moved)
				up := penalty()
				moved[i] = values[i] - h
				d.Upload(q.Value, moved)
				want := (up - penalty()) / (2 * h)
				d.Upload(q.Value, values)
				if math.Abs(float64(g[i])-want) > 1e-3 {
					t.Errorf("%s %d: gradient %g, finite difference %g", q.Name, i, g[i], want)
				}
			}
		}
	})
}

// TestAdversary compares the gradient of the attack with finite differences of the loss, and checks that the attack
// raises the loss within its bounds.
func TestAdversary(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range []polynet.BlockKind{polynet.ReLU, polynet.Pi, polynet.Star} {
			c, rng := nettest.Tiny(kind), nettest.Rand(4)
			n := newNetwork(c.Program(), d, true)
			if err := n.SetWeights(nettest.RandomModel(c, rng).Weights); err != nil {
				t.Fatal(err)
			}
			const clips, frames, epsilon, limit = 3, 12, 0.1, 1
			b := &datasets.Batch{B: clips, Frames: frames, Lead: 2, Window: 8}
			b.X = nettest.Normals(rng, clips*frames*c.Inputs)
			for i := range b.X {
				b.X[i] = max(-limit, min(b.X[i], limit))
			}
			targets := make([]float32, clips*c.Classes)
			Targets(targets, []int{0, 1, 2}, c.Classes, 0.1)
			a := newAdversary(n, epsilon, limit)
			loss := func() float64 {
				a.gradient(b, targets, device.Loss{})
				return a.pass.Loss()
			}
			x, g := slices.Clone(b.X), a.gradient(b, targets, device.Loss{})
			size := 0.0
			for _, v := range g {
				size += float64(v) * float64(v)
			}
			step := func(h float64) float64 {
				for i, v := range g {
					b.X[i] = x[i] + float32(h*float64(v)/math.Sqrt(size))
				}
				return loss()
			}
			const h = 1e-2
			if got := (step(h) - step(-h)) / (2 * h); math.Abs(got-math.Sqrt(size)) > 0.05*math.Sqrt(size) {
				t.Errorf("%s: along the gradient the loss grows by %g, not %g", kind, got, math.Sqrt(size))
			}
			copy(b.X, x)
			before := loss()
			a.attack(b, targets, device.Loss{})
			if after := loss(); !(after > before) {
				t.Errorf("%s: the attack changes the loss from %g to %g", kind, before, after)
			}
			for i, v := range b.X {
				if math.Abs(float64(v-x[i])) > epsilon+1e-6 || math.Abs(float64(v)) > limit {
					t.Fatalf("%s: value %d goes from %g to %g", kind, i, x[i], v)
				}
			}
			a.pass.Close()
			n.close()
		}
	})
}
