package polynet

import (
	"math"
	"slices"
)

// Softmax turns p, at least one logit, into probabilities, in place. The temperature, which is positive, divides the
// logits first. It reports whether the probabilities are finite: infinite logits and NaN give none.
func Softmax(p []float64, temperature float64) (finite bool) {
	largest, sum := slices.Max(p), 0.0
	for i, v := range p {
		p[i] = math.Exp((v - largest) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return !math.IsNaN(sum)
}
