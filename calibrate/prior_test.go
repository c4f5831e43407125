package calibrate

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// TestExpect multiplies a label's odds, in a copy of the model.
func TestExpect(t *testing.T) {
	bias := []float32{1, 0, -2}
	m := &polynet.Model{
		Labels:  []string{"yes", "no", "_unknown_"},
		Weights: polynet.Weights{"head.bias": tensor.New(tensor.WithBacking(bias))},
	}
	odds := func(m *polynet.Model) float64 {
		p := slices.Clone(m.Weights["head.bias"].Data().([]float32))
		row := []float64{float64(p[0]), float64(p[1]), float64(p[2])}
		polynet.Softmax(row, 1)
		return row[2] / row[0]
	}
	before := odds(m)
	shifted, err := Expect(m, map[string]float64{"_unknown_": 0.25})
	if err != nil {
		t.Fatal(err)
	}
	if got := odds(shifted) / before; math.Abs(got-0.25) > 1e-6 || odds(m) != before {
		t.Errorf("the odds are %g times as high, those of the given model %g instead of %g", got, odds(m), before)
	}
	for label, factor := range map[string]float64{"maybe": 1, "yes": 0, "no": math.Inf(1), "_unknown_": math.NaN()} {
		if _, err := Expect(m, map[string]float64{label: factor}); !errors.Is(err, ErrData) {
			t.Errorf("%s=%g: %v", label, factor, err)
		}
	}
}
