package confidence

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Statistics is how many limits a Reference has for each class.
const Statistics = 3

// Unlikeness returns the likeliest class of a row of logits, the first among equals, and what Reference limits, each
// larger for sounds that are less like the ones of that class: how far its probability is from 1; the energy,
// −log Σ exp z (Liu et al., 2020), which rises where no logit is large; and its negative, since logits that are larger
// than ever are unlike, too.
func Unlikeness(logits []float64) (class int, values [Statistics]float64) {
	class, energy := floats.MaxIdx(logits), -floats.LogSumExp(logits)
	return class, [Statistics]float64{-math.Expm1(logits[class] + energy), energy, -energy}
}

// Reference says how unlike the sounds of each class clips are that a model was calibrated on, so that Drift can find
// when sounds are no more like these.
type Reference struct {
	Tolerance float64     `json:"tolerance"` // the share of such clips beyond each limit is at most that, in (0, 1)
	Limits    [][]float64 `json:"limits"`    // (classes, Statistics), of Unlikeness
}

// Beyond reports of each statistic of a row of logits whether it is beyond its limit.
func (r *Reference) Beyond(logits []float64) (beyond [Statistics]bool) {
	class, values := Unlikeness(logits)
	for i, v := range values {
		beyond[i] = v > r.Limits[class][i]
	}
	return beyond
}

func (r *Reference) validate(classes int) error {
	if !(r.Tolerance > 0 && r.Tolerance < 1) {
		return fmt.Errorf("%w: a tolerance of %v of the reference, it must be above 0 and below 1", ErrConfig, r.Tolerance)
	}
	if len(r.Limits) != classes {
		return fmt.Errorf("%w: a reference of %d classes, not %d", ErrConfig, len(r.Limits), classes)
	}
	if slices.ContainsFunc(r.Limits, func(l []float64) bool { return len(l) != Statistics }) {
		return fmt.Errorf("%w: a reference must have %d limits for each class", ErrConfig, Statistics)
	}
	return finite("the reference", slices.Concat(r.Limits...))
}
