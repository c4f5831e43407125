package onnx

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestNarrowGraphsGiveTheLogits runs models with narrow weights by the definitions of the operators. Both sides are
// float64, so that what lies next to the middle of two levels goes the same way.
func TestNarrowGraphsGiveTheLogits(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for i, n := range []polynet.Narrow{
			{Weights: polynet.Ternary, Stem: true, Head: true}, {Weights: polynet.Int8}, {Weights: polynet.Int8, Head: true},
		} {
			c := nettest.Configs(kind)[i%2]
			c.Narrow = &n
			m := nettest.RandomModel(c, nettest.Rand(uint64(i)))
			nettest.SetStatistics(m)
			rng := rand.New(rand.NewPCG(5, 6))
			batch, frames := 2, 9+i
			rows := uniform(rng, batch*frames*m.Net.Inputs, -8, 3)
			p := written(t, m, LogMel)
			// The float32 of folded scales may still move a value across the middle.
			want := logits(m, rows, batch)
			got := evaluate(&p.graph, arrayOf(rows, batch, frames, m.Net.Inputs))[Logits].data
			largest := 1.0
			for _, v := range want {
				largest = max(largest, max(v, -v))
			}
			for k, v := range want {
				if e := max(got[k]-v, v-got[k]); !(e <= 0.02*largest) {
					t.Errorf("%s, %+v: logit %d is %g, want %g", kind, n, k, got[k], v)
				}
			}
			int8s := 0
			for _, tensor := range p.graph.initializers {
				if tensor.kind == tensorInt8 && len(tensor.levels) > 1 {
					int8s++
				}
			}
			narrow := 0
			for _, s := range m.Net.Program().Steps {
				if s.Precision != polynet.Float32 {
					narrow++
				}
			}
			if int8s != narrow {
				t.Errorf("%s, %+v: %d weights of int8, want %d", kind, n, int8s, narrow)
			}
			var file bytes.Buffer
			if err := Write(&file, m, Samples); err != nil {
				t.Errorf("%s, %+v, of samples: %v", kind, n, err)
			}
		}
	}
}
