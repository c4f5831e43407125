package calibrate

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/confidence"
)

// setLevels are the coverages at which the scores of prediction sets are compared.
var setLevels = []float64{0.9, 0.95}

// FitSets returns prediction sets fitted to p by split conformal prediction, with a quantile for each class (Vovk,
// 2012). Of the two scores it takes the one with the smaller sets: each half of the clips is measured with sets fitted
// to the other half.
//
// The quantile of a class of n clips is its ⌈(n+1)·level⌉-th smallest score. Where that is more than n, it is the one
// of all clips together, or the class's largest score if that is larger.
func FitSets(p Probabilities) *confidence.Sets {
	best, smallest := confidence.Plain, math.Inf(1)
	for _, score := range []confidence.Score{confidence.Plain, confidence.APS} {
		size := 0.0
		for half := range 2 {
			sets := fitSets(p.half(half), score)
			for _, level := range setLevels {
				_, mean := Coverage(p.half(1-half), sets, level)
				size += mean
			}
		}
		if size < smallest {
			best, smallest = score, size
		}
	}
	return fitSets(p, best)
}

// half returns every second clip of each class, from the first or the second one on.
func (p Probabilities) half(which int) Probabilities {
	seen := make([]int, p.Classes)
	var clips []int
	for i, truth := range p.Truth {
		if seen[truth]%2 == which {
			clips = append(clips, i)
		}
		seen[truth]++
	}
	return p.take(clips)
}

func fitSets(p Probabilities, score confidence.Score) *confidence.Sets {
	scores := make([][]float64, p.Classes) // of the true classes, by class
	var all []float64
	for i, truth := range p.Truth {
		s := score.Of(p.Row(i))[truth]
		scores[truth], all = append(scores[truth], s), append(all, s)
	}
	slices.Sort(all)
	sets := &confidence.Sets{Score: score}
	for _, s := range scores {
		slices.Sort(s)
		quantiles := make([]float64, len(confidence.Levels))
		for k, level := range confidence.Levels {
			q, ok := conformalQuantile(s, level)
			if !ok {
				if q, ok = conformalQuantile(all, level); !ok {
					q = 1
				}
				q = slices.Max(append(slices.Clip(s), q))
			}
			quantiles[k] = q
		}
		sets.Quantiles = append(sets.Quantiles, quantiles)
	}
	return sets
}

// conformalQuantile returns the ⌈(n+1)·level⌉-th smallest of n sorted scores, if there are as many.
func conformalQuantile(sorted []float64, level float64) (float64, bool) {
	const rounding = 1e-9 // (n+1)·level may be an integer and a little
	k := int(math.Ceil(float64(len(sorted)+1)*level - rounding))
	if k > len(sorted) {
		return 0, false
	}
	return sorted[k-1], true
}

// Coverage returns the share of the clips whose set holds the true class, and the mean number of labels in a set.
func Coverage(p Probabilities, sets *confidence.Sets, level float64) (coverage, size float64) {
	for i, truth := range p.Truth {
		set := sets.Of(p.Row(i), level)
		size += float64(len(set))
		if slices.Contains(set, truth) {
			coverage++
		}
	}
	n := float64(max(p.Len(), 1))
	return coverage / n, size / n
}
