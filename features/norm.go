package features

import (
	"cmp"
	"fmt"
	"math"
	"sync"

	"github.com/polyphon/polyphon/features/internal/simd"
	"github.com/polyphon/polyphon/internal/isa"
)

// Norm is the mean and standard deviation of each mel over a training set. Normalised rows are (x − Mean)/Std, clamped
// to ±Limit: a polynomial grows without bounds outside the region that it was fitted on.
type Norm struct {
	Mean  []float32 `json:"mean"`
	Std   []float32 `json:"std"`
	Limit float32   `json:"limit,omitempty"` // in deviations; 0 is none
}

// Logarithms of energies, whatever their unit, lie within these bounds.
const maxMean, maxStd, maxLimit = 1e4, 1e4, 1e6

// Validate returns an error that wraps ErrConfig unless n is for so many mels, with means from -10,000 to 10,000,
// positive deviations of at most 10,000 and a limit of at most 1,000,000 of them.
func (n Norm) Validate(mels int) error {
	if len(n.Mean) != mels || len(n.Std) != mels {
		return fmt.Errorf("%w: normalisation of %d means and %d deviations for %d mels",
			ErrConfig, len(n.Mean), len(n.Std), mels)
	}
	if !(n.Limit >= 0 && n.Limit <= maxLimit) {
		return fmt.Errorf("%w: normalisation with a limit of %g deviations", ErrConfig, n.Limit)
	}
	for i, m := range n.Mean {
		s := float64(n.Std[i])
		if !(m >= -maxMean && m <= maxMean && s > 0 && s <= maxStd) {
			return fmt.Errorf("%w: normalisation of mel %d by mean %g and deviation %g", ErrConfig, i, m, s)
		}
	}
	return nil
}

// kernels returns those that New takes, or those in plain Go where the environment names none of this machine's.
var kernels = sync.OnceValue(func() *simd.Kernels {
	set, err := isa.Chosen()
	if err != nil {
		set = isa.Generic
	}
	return simd.Of(set)
})

// Apply normalises rows in place. It panics where they have another width than n.
func (n Norm) Apply(rows []float32) {
	mels := len(n.Mean)
	checkRows(rows, mels)
	limit := cmp.Or(n.Limit, math.MaxFloat32)
	if len(rows) > 0 {
		kernels().Normalise(rows, n.Mean, n.Std, len(rows)/mels, mels, mels, limit, -limit)
	}
}

// Stats accumulates each mel's mean and deviation over many rows. The zero value is empty.
type Stats struct {
	count       int
	sum, square []float64
}

// Add adds rows of mels values. It panics where another call had another number of mels.
func (s *Stats) Add(rows []float32, mels int) {
	checkRows(rows, mels)
	if len(rows) == 0 {
		return
	}
	if s.sum == nil {
		s.sum, s.square = make([]float64, mels), make([]float64, mels)
	}
	if len(s.sum) != mels {
		panic(fmt.Sprintf("features: statistics of %d mels given rows of %d", len(s.sum), mels))
	}
	for len(rows) >= mels {
		for i, v := range rows[:mels] {
			s.sum[i] += float64(v)
			s.square[i] += float64(v) * float64(v)
		}
		s.count++
		rows = rows[mels:]
	}
}

func checkRows(rows []float32, mels int) {
	if mels < 1 || len(rows)%mels != 0 {
		panic(fmt.Sprintf("features: %d values are not rows of %d mels", len(rows), mels))
	}
}

// Norm returns the mean and population deviation of each mel. The latter is at least 0.001, so that a mel that never
// changes is not amplified. Without rows, there are no mels.
func (s *Stats) Norm() Norm {
	const minStd = 1e-3
	n := Norm{Mean: make([]float32, len(s.sum)), Std: make([]float32, len(s.sum))}
	for i := range s.sum {
		mean := s.sum[i] / float64(s.count)
		variance := s.square[i]/float64(s.count) - mean*mean
		n.Mean[i], n.Std[i] = float32(mean), float32(max(math.Sqrt(max(variance, 0)), minStd))
	}
	return n
}
