package confidence

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/detect"
	"gonum.org/v1/gonum/floats"
)

// Unfamiliarity names a score of a row of logits that is higher for sounds of no known class.
type Unfamiliarity string

// The scores. z are the logits, p their softmax; known classes are those whose labels are not detect.Background.
const (
	Background     Unfamiliarity = "background"  // Σ p of the background classes
	MaxProbability Unfamiliarity = "probability" // 1 − max p of the known classes (Hendrycks and Gimpel, 2017)
	MaxLogit       Unfamiliarity = "logit"       // −max z of the known classes (Hendrycks et al., 2022)
	Energy         Unfamiliarity = "energy"      // −log Σ exp z over the known classes (Liu et al., 2020)
	Entropy        Unfamiliarity = "entropy"     // −Σ p log p
	Margin         Unfamiliarity = "margin"      // 1 − the difference of the two largest p
)

// Unfamiliarities lists the scores.
var Unfamiliarities = []Unfamiliarity{Background, MaxProbability, MaxLogit, Energy, Entropy, Margin}

// Of returns the score of a row of at least two logits. labels names their classes, of which at least one is known.
func (u Unfamiliarity) Of(logits []float64, labels []string) float64 {
	best := math.Inf(-1) // largest logit of the known classes
	for c, z := range logits {
		if !detect.Background(labels[c]) {
			best = max(best, z)
		}
	}
	// known returns Σ exp(z − zero) of the known classes.
	known := func(zero float64) (sum float64) {
		for c, z := range logits {
			if !detect.Background(labels[c]) {
				sum += math.Exp(z - zero)
			}
		}
		return sum
	}
	switch u {
	case MaxLogit:
		return -best
	case Energy:
		largest := floats.Max(logits)
		return -largest - math.Log(max(known(largest), math.SmallestNonzeroFloat64))
	}
	logSum := floats.LogSumExp(logits)
	switch u {
	case Background:
		return max(1-known(logSum), 0)
	case Entropy:
		entropy := 0.0
		for _, z := range logits {
			entropy -= math.Exp(z-logSum) * (z - logSum)
		}
		return entropy
	case Margin:
		sorted := slices.Sorted(slices.Values(logits))
		n := len(sorted)
		return 1 - (math.Exp(sorted[n-1]-logSum) - math.Exp(sorted[n-2]-logSum))
	}
	return 1 - math.Exp(best-logSum)
}

// Unknown detects sounds of no known class: their probability is σ(Slope·(score − Threshold)).
type Unknown struct {
	Score     Unfamiliarity `json:"score"`
	Threshold float64       `json:"threshold"` // of the score, at which a sound is as likely unknown as known
	Slope     float64       `json:"slope"`     // positive
}

// Probability returns the probability that a row of logits is of a sound of no known class.
func (u *Unknown) Probability(logits []float64, labels []string) float64 {
	return 1 / (1 + math.Exp(-u.Slope*(u.Score.Of(logits, labels)-u.Threshold)))
}

// Rejects reports whether a row of logits is likelier to be of a sound of no known class than of any one known class.
func (u *Unknown) Rejects(logits []float64, labels []string) bool {
	best := 1 - MaxProbability.Of(logits, labels) // the largest p of the known classes
	p := u.Probability(logits, labels)
	return p > (1-p)*best
}

func (u *Unknown) validate() error {
	switch {
	case !slices.Contains(Unfamiliarities, u.Score):
		return fmt.Errorf("%w: no score of unknown sounds is called %q", ErrConfig, u.Score)
	case !(u.Slope > 0):
		return fmt.Errorf("%w: the slope of unknown sounds is %v, it must be positive", ErrConfig, u.Slope)
	}
	return finite("the threshold and slope of unknown sounds", []float64{u.Threshold, u.Slope})
}
