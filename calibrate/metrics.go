package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// Bins is into how many bins of confidence the calibration errors divide the clips, as Mukhoti et al. (2020) do.
const Bins = 15

// Metrics are how well probabilities are calibrated. Those named in percent are 0 to 100, as accuracies are.
type Metrics struct {
	Accuracy     float64 `json:"accuracy"`      // percent
	ECE          float64 `json:"ece"`           // percent: expected calibration error (Naeini et al., 2015)
	AdaptiveECE  float64 `json:"adaptive_ece"`  // percent: bins of equally many clips
	ClasswiseECE float64 `json:"classwise_ece"` // percent: mean over the classes (Kull et al., 2019)
	MCE          float64 `json:"mce"`           // percent: the largest error of a bin of the ECE
	NLL          float64 `json:"nll"`           // mean negative log likelihood of the true class, in nats
	Brier        float64 `json:"brier"`         // mean squared distance from the one-hot truth, 0 to 2
}

// Measure returns the metrics of at least one clip, as Mukhoti et al. (2020) define them; two details differ from their
// code: the smallest confidence counts in the adaptive ECE, and classwise ECE averages over all classes, not over those
// up to the largest that occurs.
func Measure(p Probabilities) Metrics {
	var m Metrics
	correct := 0
	for i, truth := range p.Truth {
		if class, _ := p.top(i); class == truth {
			correct++
		}
		m.NLL -= math.Log(max(p.Row(i)[truth], math.SmallestNonzeroFloat64))
		for c, v := range p.Row(i) {
			if c == truth {
				v--
			}
			m.Brier += v * v
		}
	}
	n := float64(p.Len())
	m.Accuracy, m.NLL, m.Brier = 100*float64(correct)/n, m.NLL/n, m.Brier/n
	confidence, hit := p.confidences()
	bins := equalWidth(confidence, hit)
	m.ECE, m.MCE = 100*expectedError(bins), 100*maxError(bins)
	m.AdaptiveECE = 100 * expectedError(equalMass(confidence, hit))
	m.ClasswiseECE = 100 * p.classwise()
	return m
}

// Reliability returns the bins of the expected calibration error: a reliability diagram.
func Reliability(p Probabilities) []Bin { return equalWidth(p.confidences()) }

// Bin is the clips whose confidence is above Low and at most High. The first bin of equal mass includes Low.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Count      int     `json:"count"`
	Accuracy   float64 `json:"accuracy"`   // the share of the clips that were classified right; 0 where there is none
	Confidence float64 `json:"confidence"` // mean; 0 where there is none
}

func (b *Bin) add(confidence float64, hit bool) {
	b.Count++
	b.Confidence += confidence
	if hit {
		b.Accuracy++
	}
}

// finish turns the sums that add makes into means.
func finish(bins []Bin) []Bin {
	for i := range bins {
		if n := float64(bins[i].Count); n > 0 {
			bins[i].Accuracy /= n
			bins[i].Confidence /= n
		}
	}
	return bins
}

// expectedError returns Σ (count / all)·|accuracy − confidence|.
func expectedError(bins []Bin) (sum float64) {
	all := 0
	for _, b := range bins {
		all += b.Count
		sum += float64(b.Count) * math.Abs(b.Accuracy-b.Confidence)
	}
	return sum / float64(max(all, 1))
}

func maxError(bins []Bin) (largest float64) {
	for _, b := range bins {
		largest = max(largest, math.Abs(b.Accuracy-b.Confidence))
	}
	return largest
}

// confidences returns the clips' largest probabilities, and whether their classes are the true ones.
func (p Probabilities) confidences() (confidence []float64, hit []bool) {
	confidence, hit = make([]float64, p.Len()), make([]bool, p.Len())
	for i, truth := range p.Truth {
		var class int
		class, confidence[i] = p.top(i)
		hit[i] = class == truth
	}
	return confidence, hit
}

// equalWidth sorts clips into Bins of equal width, (low, high].
func equalWidth(confidence []float64, hit []bool) []Bin {
	bins := make([]Bin, Bins)
	for k := range bins {
		bins[k].Low, bins[k].High = float64(k)/Bins, float64(k+1)/Bins
	}
	for i, v := range confidence {
		k := min(max(int(math.Ceil(v*Bins))-1, 0), Bins-1)
		bins[k].add(v, hit[i])
	}
	return finish(bins)
}

// equalMass sorts clips into Bins of about equally many clips: their edges are the sorted confidences, interpolated at
// ranks 0, n/Bins, 2n/Bins, ... (Nixon et al., 2019, as in the code of Mukhoti et al.).
func equalMass(confidence []float64, hit []bool) []Bin {
	sorted := slices.Sorted(slices.Values(confidence))
	n := float64(len(sorted))
	edge := func(k int) float64 {
		rank := float64(k) * n / Bins
		low := min(int(rank), len(sorted)-1)
		high := min(low+1, len(sorted)-1)
		return sorted[low] + (rank-float64(low))*(sorted[high]-sorted[low])
	}
	bins := make([]Bin, Bins)
	highs := make([]float64, Bins)
	for k := range bins {
		bins[k].Low, bins[k].High = edge(k), edge(k+1)
		highs[k] = bins[k].High
	}
	for i, v := range confidence {
		k, _ := slices.BinarySearch(highs, v) // the first bin whose upper edge is at least v
		bins[min(k, Bins-1)].add(v, hit[i])
	}
	return finish(bins)
}

// classwise returns the mean over the classes of the calibration error of "this clip is of class c".
func (p Probabilities) classwise() (sum float64) {
	confidence, hit := make([]float64, p.Len()), make([]bool, p.Len())
	for c := range p.Classes {
		for i, truth := range p.Truth {
			confidence[i], hit[i] = p.Row(i)[c], truth == c
		}
		sum += expectedError(equalWidth(confidence, hit))
	}
	return sum / float64(p.Classes)
}

// Interval is the range that a figure lies in with 95 % confidence.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Bootstrap returns intervals of figures of p: the 2.5th and 97.5th percentiles over rounds samples of the clips with
// replacement. measure returns as many figures each time. The same seed gives the same intervals.
func Bootstrap(p Probabilities, rounds int, seed uint64, measure func(Probabilities) []float64) []Interval {
	rng := rand.New(rand.NewPCG(seed, 0))
	var samples [][]float64 // of each figure
	clips := make([]int, p.Len())
	for range rounds {
		for i := range clips {
			clips[i] = rng.IntN(len(clips))
		}
		for k, v := range measure(p.take(clips)) {
			if k == len(samples) {
				samples = append(samples, nil)
			}
			samples[k] = append(samples[k], v)
		}
	}
	intervals := make([]Interval, len(samples))
	for k, values := range samples {
		slices.Sort(values)
		intervals[k] = Interval{
			stat.Quantile(0.025, stat.LinInterp, values, nil), stat.Quantile(0.975, stat.LinInterp, values, nil),
		}
	}
	return intervals
}
