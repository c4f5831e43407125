package compress

import (
	"testing"

	"github.com/polyphon/polyphon/polynet"
)

// TestFoldNorms folds the norms of networks of float32 and of narrow weights, with norms of products and without.
func TestFoldNorms(t *testing.T) {
	for _, kind := range []polynet.BlockKind{polynet.Pi, polynet.PiReLU, polynet.Star, polynet.ReLU} {
		m, d := labelled(t, kind)
		for _, weights := range []polynet.Precision{polynet.Float32, polynet.Int8, polynet.Ternary} {
			given := m
			if weights != polynet.Float32 {
				var err error
				if given, _, err = (&Quantise{Weights: weights, Ends: EndsNarrow}).Apply(t.Context(), m, d); err != nil {
					t.Fatal(err)
				}
			}
			before := values(given.Weights, "stem.norm.running_var")[0]
			folded, _, err := FoldNorms{}.Apply(t.Context(), given, d)
			if err != nil {
				t.Fatal(err)
			}
			if e := distance(given, folded, d); !(e < 1e-9) {
				t.Errorf("%s, %s: the logits differ by %.3g", kind, weights, e)
			}
			if values(given.Weights, "stem.norm.running_var")[0] != before {
				t.Errorf("%s, %s: the given model changed", kind, weights)
			}
			after := folded.Weights
			for _, s := range folded.Net.Program().Steps {
				if n := s.Norm.Name; n != "" && (values(after, n+".running_mean")[0] != 0 ||
					values(after, n+".running_var")[0] != 1-polynet.NormEpsilon) {
					t.Errorf("%s, %s: %s has statistics", kind, weights, n)
				}
				if s.Norm.Name != "" && s.WeightScale != "" && values(after, s.WeightScale)[0] != 1 {
					t.Errorf("%s, %s: %s has scales", kind, weights, s.Name)
				}
			}
		}
	}
}
