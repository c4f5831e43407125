package training

import (
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestInputGradient compares the gradient of a trained network of each kind with finite differences of the float64 form
// of it, and its logits with those.
func TestInputGradient(t *testing.T) {
	const frames = 9
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			t.Run(string(kind), func(t *testing.T) {
				c := nettest.Tiny(kind)
				c.Dropout = 0.5 // does nothing here
				m := nettest.RandomModel(c, nettest.Rand(1))
				nettest.SetStatistics(m)
				for i := range m.Norm.Mean { // rows that are normalised already
					m.Norm.Mean[i], m.Norm.Std[i] = 0, 1
				}
				m.Norm.Limit = 0
				rows := nettest.Normals(nettest.Rand(2), frames*c.Inputs)
				weights := nettest.Normals(nettest.Rand(3), c.Classes)
				g, err := NewInputGradient(m, d)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				score := func() (sum float64) {
					for i, v := range nettest.Logits(m, rows) {
						sum += v * float64(weights[i])
					}
					return sum
				}
				for range 2 { // the second time in memory that has been used
					gradient := g.Gradient(rows, weights)
					check := differences{kinked: kind.Rectified()}
					check.check(t, "input", rows, gradient, func([]float32) {}, score)
					check.end(t)
				}
				other := nettest.Normals(nettest.Rand(4), frames*c.Inputs)
				both := g.Logits(slices.Concat(rows, other), 2)
				for i, clip := range [][]float32{rows, other} {
					want := toFloat32(nettest.Logits(m, clip))
					nettest.Near(t, "logits", both[i*c.Classes:(i+1)*c.Classes], want, 1e-4)
				}
			})
		}
	})
}

func toFloat32(values []float64) []float32 {
	list := make([]float32, len(values))
	for i, v := range values {
		list[i] = float32(v)
	}
	return list
}
