package calibrate

import (
	"errors"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/optimize"
)

// Objective is what a temperature is chosen by.
type Objective string

// The objectives.
const (
	ByNLL Objective = "nll" // the mean negative log likelihood (Guo et al., 2017)
	ByECE Objective = "ece" // the expected calibration error (Mukhoti et al., 2020)
)

// The temperatures that are tried.
const (
	minTemperature = 0.05
	maxTemperature = 20
)

// FitTemperature returns the temperature, 0.05 to 20, whose softmax of l has the smallest objective. The likelihood has
// one minimum, which golden section finds; to its sum over the clips (log T)² is added, lest a few clips that are all
// classified right make any sureness look justified. The calibration error has several minima, so the best of 0.1, 0.2,
// ... 10 is refined.
func FitTemperature(l Logits, by Objective) (float64, error) {
	if err := l.Check(); err != nil {
		return 0, err
	}
	switch by {
	case ByNLL:
		loss := func(logT float64) float64 { return l.nll(math.Exp(logT)) + logT*logT/float64(l.Len()) }
		return math.Exp(goldenSection(loss, math.Log(minTemperature), math.Log(maxTemperature))), nil
	case ByECE:
		loss := func(t float64) float64 { return expectedError(Reliability(l.Probabilities(t))) }
		const step = 0.1
		best := 1.0
		for k := 1; k <= 100; k++ {
			if t := step * float64(k); loss(t) < loss(best) {
				best = t
			}
		}
		if t := goldenSection(loss, max(best-step, minTemperature), best+step); loss(t) < loss(best) {
			best = t
		}
		return best, nil
	}
	return 0, fmt.Errorf("%w: no objective is called %q", ErrData, by)
}

// nll returns the mean negative log likelihood at a temperature.
func (l Logits) nll(temperature float64) (sum float64) {
	scaled := make([]float64, l.Classes)
	for i, truth := range l.Truth {
		floats.ScaleTo(scaled, 1/temperature, l.Row(i))
		sum += floats.LogSumExp(scaled) - scaled[truth]
	}
	return sum / float64(l.Len())
}

// goldenSection returns where f, which has one minimum between low and high, is smallest, to a relative 1e-8 of the
// range (Kiefer, 1953).
func goldenSection(f func(float64) float64, low, high float64) float64 {
	const ratio = 1 / math.Phi
	tolerance := 1e-8 * (high - low)
	a, b := high-ratio*(high-low), low+ratio*(high-low)
	fa, fb := f(a), f(b)
	for high-low > tolerance {
		if fa <= fb {
			high, b, fb = b, a, fa
			a = high - ratio*(high-low)
			fa = f(a)
		} else {
			low, a, fa = a, b, fb
			b = low + ratio*(high-low)
			fb = f(b)
		}
	}
	return (low + high) / 2
}

// Map turns a row of logits into probabilities, in place.
type Map func(row []float64)

// Map returns the probabilities that m makes of the logits.
func (l Logits) Map(m Map) Probabilities {
	p := Probabilities{Classes: l.Classes, Values: append([]float64(nil), l.Values...), Truth: l.Truth}
	for i := range p.Truth {
		m(p.Row(i))
	}
	return p
}

// shrinkage is the weight of the squared distance from the temperature's scaling in the loss of FitVector, divided by
// the number of clips: classes that have no clip keep the temperature.
const shrinkage = 0.1

// FitBest returns the temperature of FitTemperature, or the scaling of FitVector and a temperature of 1, as the halves
// of l say that they were not fitted to. The temperature is that by likelihood; where that is above 1, the one by
// calibration error if it is likelier by more than 0.01. The scaling is taken where it is likelier still, and as often
// right about the halves and about l. (Networks of products give some unusual sounds logits far beyond all others. A
// few of them can draw a temperature to where nothing is likely, and a scaling to where a class is never answered.)
func FitBest(l Logits) (temperature float64, scaling *confidence.Scaling, err error) {
	temperature, err1 := FitTemperature(l, ByNLL)
	scaling, err2 := FitVector(l)
	byNLL, err3 := l.CrossFit(TemperatureMap)
	many, err4 := l.CrossFit(VectorMap)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return 0, nil, err
	}
	if byNLL.Len() == 0 {
		return temperature, nil, nil
	}
	one, scaled := Measure(byNLL), Measure(many)
	if temperature > 1 {
		const clearly = 0.01
		robust, err1 := FitTemperature(l, ByECE)
		byECE, err2 := l.CrossFit(RobustMap)
		if err := errors.Join(err1, err2); err != nil {
			return 0, nil, err
		}
		if other := Measure(byECE); other.NLL < one.NLL-clearly {
			temperature, one = robust, other
		}
	}
	before, after := Measure(l.Map(Scale(1))), Measure(l.Map(scaledBy(scaling)))
	if scaled.NLL < one.NLL && scaled.Accuracy >= one.Accuracy && after.Accuracy >= before.Accuracy {
		return 1, scaling, nil
	}
	return temperature, nil, nil
}

// FitVector returns the vector scaling (Guo et al., 2017) of the smallest negative log likelihood, by L-BFGS from the
// temperature of FitTemperature, to which it is drawn as by shrinkage clips a class.
func FitVector(l Logits) (*confidence.Scaling, error) {
	temperature, err := FitTemperature(l, ByNLL)
	if err != nil {
		return nil, err
	}
	k := l.Classes
	start := make([]float64, 2*k)
	for c := range k {
		start[c] = 1 / temperature
	}
	// visit computes the loss at x, and with gradient its derivatives, both times the number of clips.
	visit := func(x, gradient []float64) (loss float64) {
		p := make([]float64, k)
		for i, truth := range l.Truth {
			row := l.Row(i)
			for c := range p {
				p[c] = x[c]*row[c] + x[k+c]
			}
			logSum := floats.LogSumExp(p)
			loss += logSum - p[truth]
			for c := range gradient[:min(len(gradient), k)] {
				d := math.Exp(p[c] - logSum)
				if c == truth {
					d--
				}
				gradient[c] += d * row[c]
				gradient[k+c] += d
			}
		}
		for c, v := range x {
			d := v - start[c]
			loss += shrinkage * d * d
			if gradient != nil {
				gradient[c] += 2 * shrinkage * d
			}
		}
		return loss
	}
	problem := optimize.Problem{
		Func: func(x []float64) float64 { return visit(x, nil) / float64(l.Len()) },
		Grad: func(gradient, x []float64) {
			clear(gradient)
			visit(x, gradient)
			floats.Scale(1/float64(l.Len()), gradient)
		},
	}
	result, err := optimize.Minimize(problem, start, &optimize.Settings{GradientThreshold: 1e-7}, &optimize.LBFGS{})
	if result == nil {
		return nil, fmt.Errorf("%w: vector scaling: %w", ErrData, err)
	}
	// An error with a result is a line search that can go no further down: as good as it gets.
	return &confidence.Scaling{Scale: result.X[:k:k], Shift: result.X[k:]}, nil
}

// TemperatureMap fits a temperature by likelihood, for CrossFit.
func TemperatureMap(l Logits) (Map, error) {
	temperature, err := FitTemperature(l, ByNLL)
	return Scale(temperature), err
}

// RobustMap fits a temperature by calibration error, for CrossFit.
func RobustMap(l Logits) (Map, error) {
	temperature, err := FitTemperature(l, ByECE)
	return Scale(temperature), err
}

// VectorMap fits vector scaling, for CrossFit.
func VectorMap(l Logits) (Map, error) {
	s, err := FitVector(l)
	return scaledBy(s), err
}

// scaledBy returns the Map that applies a scaling and takes the softmax.
func scaledBy(s *confidence.Scaling) Map {
	return func(row []float64) {
		s.Apply(row)
		polynet.Softmax(row, 1)
	}
}

// Scale returns the Map that divides logits by a temperature and takes their softmax.
func Scale(temperature float64) Map {
	return func(row []float64) { polynet.Softmax(row, temperature) }
}

// CrossFit returns the probabilities of l by Maps that never saw the clip: each half of the clips, of each class every
// second one, is mapped by what fit makes of the other half.
func (l Logits) CrossFit(fit func(Logits) (Map, error)) (Probabilities, error) {
	p := Probabilities{Classes: l.Classes}
	for which := range 2 {
		if len(Probabilities(l).half(which).Truth) == 0 {
			continue // each class has one clip at most
		}
		m, err := fit(Logits(Probabilities(l).half(which)))
		if err != nil {
			return p, err
		}
		part := Logits(Probabilities(l).half(1 - which)).Map(m)
		p.Values, p.Truth = append(p.Values, part.Values...), append(p.Truth, part.Truth...)
	}
	return p, nil
}
