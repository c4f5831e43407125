package training

import (
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestAttackFinds attacks networks in boxes: in those so small that no answer changes it has to find nothing, in large
// ones, of most networks, something, which lies in the box and is answered otherwise.
func TestAttackFinds(t *testing.T) {
	const frames, models = 9, 5
	for _, kind := range []polynet.BlockKind{polynet.Linear, polynet.ReLU, polynet.Pi, polynet.Star} {
		changed := 0
		for seed := range uint64(models) {
			c := nettest.Tiny(kind)
			rng := nettest.Rand(seed)
			g, err := NewInputGradient(nettest.RandomModel(c, rng), device.Ref())
			if err != nil {
				t.Fatal(err)
			}
			center := nettest.Normals(rng, frames*c.Inputs)
			attack := Attack{Steps: 10, Starts: 2}
			label := attack.Answer(g.Logits(center, 1))
			for _, size := range []float32{0, 1e-7, 5} {
				low, high := make([]float32, len(center)), make([]float32, len(center))
				for i, v := range center {
					low[i], high[i] = v-size, v+size
				}
				found := attack.Find(g, low, high, label, rng)
				if found == nil {
					continue
				}
				changed++
				if got := attack.Answer(g.Logits(found, 1)); size < 1 || got == label {
					t.Errorf("%s: in a box of %g, found a clip with the answer %d", kind, size, got)
				}
				for i, v := range found {
					if v < low[i] || v > high[i] {
						t.Fatalf("%s: value %d is outside of the box", kind, i)
					}
				}
			}
			// A shift of the logits that makes another class the answer everywhere is an answer of its own.
			shift := make([]float64, c.Classes)
			shift[(label+1)%c.Classes] = 1e6
			if (Attack{Steps: 1, Starts: 1, Shift: shift}).Find(g, center, center, label, rng) == nil {
				t.Errorf("%s: the shift has no effect", kind)
			}
			g.Close()
		}
		if changed < models/2 {
			t.Errorf("%s: the answers of %d networks of %d could be changed", kind, changed, models)
		}
	}
}
