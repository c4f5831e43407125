package confidence

import (
	"cmp"
	"fmt"
	"slices"
)

// Score names the nonconformity score of a prediction set: how badly a label fits a row of probabilities, 0 to 1.
type Score string

// The scores.
const (
	// Plain is 1 − p of the label (Sadinle, Lei and Wasserman, 2019): the smallest sets on average; a sound that no label
	// fits gets an empty one.
	Plain Score = "plain"
	// APS is the sum of the probabilities of the labels that are likelier, and of half the label's own (adaptive
	// prediction sets: Romano, Sesia and Candès, 2020, with 1/2 for their random share, so that the same sound always gets
	// the same set).
	APS Score = "aps"
)

// Of returns the score of each label, (classes), for a row of probabilities.
func (s Score) Of(p []float64) []float64 {
	scores := make([]float64, len(p))
	if s == Plain {
		for c, v := range p {
			scores[c] = 1 - v
		}
		return scores
	}
	order := byProbability(p)
	sum := 0.0
	for _, c := range order {
		scores[c] = sum + p[c]/2
		sum += p[c]
	}
	return scores
}

// byProbability returns the classes, the likeliest first.
func byProbability(p []float64) []int {
	order := make([]int, len(p))
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
	return order
}

// Levels are the coverages that Sets store a quantile for.
var Levels = []float64{0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.98, 0.99, 0.995}

// Sets are prediction sets by split conformal prediction with a quantile for each class (Vovk, 2012): for sounds like
// those that they were fitted to, the set holds the true label in at least the share asked for, in each class.
type Sets struct {
	Score     Score       `json:"score"`
	Quantiles [][]float64 `json:"quantiles"` // (classes, Levels): labels of at most that score are in the set
}

// Of returns the classes in the set of a row of probabilities, the likeliest first, which may be none. coverage is a
// share from Levels' first to their last; one between two levels uses quantiles between theirs.
func (s *Sets) Of(p []float64, coverage float64) []int {
	scores := s.Score.Of(p)
	var set []int
	for _, c := range byProbability(p) {
		if scores[c] <= s.quantile(c, coverage) {
			set = append(set, c)
		}
	}
	return set
}

// quantile interpolates a class's quantile.
func (s *Sets) quantile(class int, coverage float64) float64 {
	q := s.Quantiles[class]
	k, found := slices.BinarySearch(Levels, coverage)
	if found || k == 0 {
		return q[k]
	}
	if k == len(Levels) {
		return q[k-1]
	}
	share := (coverage - Levels[k-1]) / (Levels[k] - Levels[k-1])
	return q[k-1] + share*(q[k]-q[k-1])
}

func (s *Sets) validate(classes int) error {
	if s.Score != Plain && s.Score != APS {
		return fmt.Errorf("%w: no score of sets is called %q", ErrConfig, s.Score)
	}
	if len(s.Quantiles) != classes {
		return fmt.Errorf("%w: sets of %d classes, not %d", ErrConfig, len(s.Quantiles), classes)
	}
	for _, q := range s.Quantiles {
		if len(q) != len(Levels) || !slices.IsSorted(q) {
			return fmt.Errorf("%w: a class's quantiles must be %d rising ones", ErrConfig, len(Levels))
		}
		if err := finite("a set's quantiles", q); err != nil {
			return err
		}
	}
	return nil
}
