package compress

import (
	"context"
	"fmt"
	"maps"
	"math"
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
	mean, variance := values(from, name+".running_mean"), values(from, name+".running_var")
	factors, shifts := make([]float32, len(mean)), make([]float32, len(mean))
	for i, gamma := range values(from, name+".weight") {
		inverse := float64(gamma) / math.Sqrt(float64(variance[i])+polynet.NormEpsilon)
		factors[i] = float32(inverse * float64(scales[i]))
		shifts[i] = float32(float64(values(from, name+".bias")[i]) - inverse*float64(mean[i]))
	}
	put(to, name+".weight", factors, len(factors))
	put(to, name+".bias", shifts, len(factors))
	put(to, name+".running_mean", make([]float32, len(factors)), len(factors))
	put(to, name+".running_var", slices.Repeat([]float32{1 - polynet.NormEpsilon}, len(factors)), len(factors))
}
