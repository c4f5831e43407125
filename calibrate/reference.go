package calibrate

import (
	"slices"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	// referenceTolerance is the tolerance of FitReference: enough for limits of classes with some fifty clips.
	referenceTolerance = 0.2
	// referenceRisk is the probability that any limit of FitReference is beyond the tolerance.
	referenceRisk = 0.001
)

// Cooled returns the Map that makes of Raw(m)'s logits those whose softmax m answers with: scaled, and divided by the
// temperature.
func Cooled(m *polynet.Model) Map {
	return func(row []float64) {
		scale(m, row)
		for i := range row {
			row[i] /= m.Temperature
		}
	}
}

// FitReference returns limits of confidence.Unlikeness for clips like those of l, logits as Cooled makes them, by the
// class that is the likeliest; nil where the clips are too few.
//
// A limit is a nonparametric tolerance limit (Wilks, 1941): of n clips, the (r+1)-th largest value has a larger share
// than ρ of all such clips beyond it only with the probability that a binomial variable of n and ρ is at most r. r is
// the largest for which this is the share of one limit in referenceRisk. Where a class has too few clips for any, the
// limit is that of all clips together, or the class's largest value if that is larger.
func FitReference(l Logits) *confidence.Reference {
	r := &confidence.Reference{Tolerance: referenceTolerance, Limits: make([][]float64, l.Classes)}
	values := make([][confidence.Statistics][]float64, l.Classes)
	var all [confidence.Statistics][]float64
	for i := range l.Truth {
		class, v := confidence.Unlikeness(l.Row(i))
		for s := range v {
			values[class][s], all[s] = append(values[class][s], v[s]), append(all[s], v[s])
		}
	}
	risk := referenceRisk / float64(confidence.Statistics*l.Classes)
	for s := range all {
		common, ok := toleranceLimit(all[s], risk)
		if !ok {
			return nil
		}
		for class := range values {
			own := values[class][s]
			limit, ok := toleranceLimit(own, risk)
			if !ok {
				limit = slices.Max(append(own, common))
			}
			r.Limits[class] = append(r.Limits[class], limit)
		}
	}
	return r
}

// toleranceLimit returns the smallest of the values beyond which, but for the risk, at most referenceTolerance of all
// such values lie, if there is one.
func toleranceLimit(values []float64, risk float64) (float64, bool) {
	n := len(values)
	chance := distuv.Binomial{N: float64(n), P: referenceTolerance}
	r := -1
	for r+1 < n && chance.CDF(float64(r+1)) <= risk {
		r++
	}
	if r < 0 {
		return 0, false
	}
	return slices.Sorted(slices.Values(values))[n-1-r], true
}
