package compress

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// FoldNorms makes the running statistics of norms, and the scales of narrow weights before them, part of the norms'
// scales and shifts: what is left are zeros and ones, of which compressed files are free. The model computes the same
// but for rounding. Training it on begins from norms that know no statistics.
type FoldNorms struct{}

// Name returns "fold-norms".
func (FoldNorms) Name() string { return "fold-norms" }

// Apply folds the norms of m.
func (FoldNorms) Apply(_ context.Context, m *polynet.Model, _ Data) (*polynet.Model, Report, error) {
	q, p, folded := *m, m.Net.Program(), 0
	q.Weights = maps.Clone(m.Weights)
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Norm.Name != "" {
			scales := slices.Repeat([]float32{1}, s.Width)
			if s.Precision != polynet.Float32 {
				put(q.Weights, s.WeightScale, scales, s.Width)
				scales = values(m.Weights, s.WeightScale)
			}
			foldNorm(q.Weights, m.Weights, s.Norm.Name, scales)
			folded++
		}
		if s.ProductNorm.Name != "" {
			foldNorm(q.Weights, m.Weights, s.ProductNorm.Name, slices.Repeat([]float32{1}, s.Width))
			folded++
		}
	}
	return &q, Report{Done: fmt.Sprintf("%d norms", folded)}, q.Validate()
}

// foldNorm sets a norm of statistics 0 and 1 that gives for x what the norm in from gives for scales∘x.
func foldNorm(to, from polynet.Weights, name string, scales []float32) {
	n := len(scales)
	scale, shift := from.Affine(polynet.Norm{Name: name}, n) // without the norm's factor, which stays
	factors, shifts := make([]float32, n), make([]float32, n)
	for i := range n {
		factors[i], shifts[i] = float32(scale[i]*float64(scales[i])), float32(shift[i])
	}
	put(to, name+".weight", factors, n)
	put(to, name+".bias", shifts, n)
	put(to, name+".running_mean", make([]float32, n), n)
	put(to, name+".running_var", slices.Repeat([]float32{1 - polynet.NormEpsilon}, n), n)
}
