package calibrate

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// Expect returns a copy of m that expects labels to be so many times as frequent, against the others, as the examples
// that it was trained on: the logarithms of the odds, above 0, are added to the head's bias (Saerens, Latinne and
// Decaestecker, 2002). For a label that m does not have, or odds out of range, the error wraps ErrData.
func Expect(m *polynet.Model, odds map[string]float64) (*polynet.Model, error) {
	shifted := *m
	shifted.Weights = maps.Clone(m.Weights)
	bias := m.Weights["head.bias"].Clone().(*tensor.Dense)
	shifted.Weights["head.bias"] = bias
	values := bias.Data().([]float32)
	for label, factor := range odds {
		k := slices.Index(m.Labels, label)
		switch {
		case k < 0:
			return nil, fmt.Errorf("%w: the model has no label %q", ErrData, label)
		case !(factor > 0 && factor <= math.MaxFloat32 && float32(factor) > 0):
			return nil, fmt.Errorf("%w: %g is no factor for the odds of %q", ErrData, factor, label)
		}
		values[k] += float32(math.Log(factor))
	}
	return &shifted, nil
}
