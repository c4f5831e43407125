package tuning

import "gonum.org/v1/gonum/stat/distuv"

// Interval holds the true value with 95 % confidence at least, however few events it is computed from.
type Interval struct{ Low, High float64 }

const tail = 0.025 // of a distribution, on each side of an Interval

// PoissonInterval returns the exact interval of the mean of a Poisson distribution, of which so many events came
// (Garwood, "Fiducial limits for the Poisson distribution", 1936).
func PoissonInterval(events int) (i Interval) {
	if events > 0 {
		i.Low = distuv.ChiSquared{K: 2 * float64(events)}.Quantile(tail) / 2
	}
	i.High = distuv.ChiSquared{K: 2*float64(events) + 2}.Quantile(1-tail) / 2
	return i
}

// BinomialInterval returns the exact interval of a share, of which hits came in so many trials (Clopper and Pearson,
// "The use of confidence or fiducial limits", 1934); 0 to 1 where there were none.
func BinomialInterval(hits, trials int) Interval {
	i := Interval{High: 1}
	k, n := float64(hits), float64(trials)
	if hits > 0 {
		i.Low = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(tail)
	}
	if hits < trials {
		i.High = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(1 - tail)
	}
	return i
}
