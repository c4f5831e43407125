package calibrate

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/polyphon/polyphon/polynet"
)

// The calibrations in this file treat each class as a question of its own, "is it class c?", and divide the answers by
// their sum. They change which class is the likeliest. They are here to be compared with: no model stores one.

// FitPlatt returns per-class Platt scaling (Platt, 1999): p_c = σ(a_c·s_c + b_c), where s_c is the log-odds of class c
// in the softmax of l. Newton's method fits it to Platt's smoothed targets.
func FitPlatt(l Logits) (Map, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	slope, offset := make([]float64, l.Classes), make([]float64, l.Classes)
	odds, hit := make([]float64, l.Len()), make([]bool, l.Len())
	for c := range l.Classes {
		for i, truth := range l.Truth {
			odds[i], hit[i] = logOdds(l.Row(i), c), truth == c
		}
		slope[c], offset[c] = plattFit(odds, hit)
	}
	return func(row []float64) {
		p := make([]float64, len(row))
		for c := range row {
			p[c] = sigmoid(slope[c]*logOdds(row, c) + offset[c])
		}
		normalise(row, p)
	}, nil
}

// logOdds returns log(p/(1−p)) of class c's softmax, exact for p near 0 and 1.
func logOdds(logits []float64, c int) float64 {
	others := make([]float64, 0, len(logits))
	others = append(append(others, logits[:c]...), logits[c+1:]...)
	return logits[c] - floats.LogSumExp(others)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// plattFit returns the a and b of σ(a·x + b) that minimise the cross-entropy with the targets (n₊+1)/(n₊+2) and
// 1/(n₋+2) (Platt, 1999; Newton's method with halved steps as Lin, Lin and Weng, 2007).
func plattFit(x []float64, hit []bool) (a, b float64) {
	positive := 0.0
	for _, h := range hit {
		if h {
			positive++
		}
	}
	high, low := (positive+1)/(positive+2), 1/(float64(len(x))-positive+2)
	target := func(i int) float64 {
		if hit[i] {
			return high
		}
		return low
	}
	loss := func(a, b float64) (sum float64) {
		for i, v := range x {
			f := a*v + b
			// log(1+e^f) − t·f, without overflow
			sum += max(f, 0) + math.Log1p(math.Exp(-math.Abs(f))) - target(i)*f
		}
		return sum
	}
	a, b = 0, math.Log((positive+1)/(float64(len(x))-positive+1))
	for range 100 {
		g, h := mat.NewVecDense(2, nil), mat.NewSymDense(2, []float64{1e-9, 0, 0, 1e-9})
		for i, v := range x {
			p := sigmoid(a*v + b)
			d := mat.NewVecDense(2, []float64{v, 1})
			g.AddScaledVec(g, p-target(i), d)
			h.SymRankOne(h, p*(1-p), d)
		}
		var step mat.VecDense
		if mat.Norm(g, 2) < 1e-6 || step.SolveVec(h, g) != nil {
			break
		}
		now, share := loss(a, b), 1.0
		for share > 1e-10 && loss(a-share*step.AtVec(0), b-share*step.AtVec(1)) > now {
			share /= 2
		}
		a, b = a-share*step.AtVec(0), b-share*step.AtVec(1)
	}
	return a, b
}

// FitIsotonic returns per-class isotonic regression of the softmax's probabilities (Zadrozny and Elkan, 2002).
func FitIsotonic(l Logits) (Map, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	p := l.Probabilities(1)
	steps := make([][]isotonicStep, l.Classes)
	for c := range steps {
		for i, truth := range l.Truth {
			s := isotonicStep{from: p.Row(i)[c], weight: 1}
			if truth == c {
				s.value = 1
			}
			steps[c] = append(steps[c], s)
		}
		steps[c] = poolAdjacentViolators(steps[c])
	}
	return func(row []float64) {
		polynet.Softmax(row, 1)
		q := make([]float64, len(row))
		for c, v := range row {
			q[c] = isotonicValue(steps[c], v)
		}
		normalise(row, q)
	}, nil
}

// isotonicStep is a step of a rising function: value from x = from to the next step.
type isotonicStep struct{ from, value, weight float64 }

// poolAdjacentViolators returns the rising step function of least squares through points of one weight each.
func poolAdjacentViolators(points []isotonicStep) []isotonicStep {
	// Of equal x, larger values come first, so that they are pooled.
	slices.SortFunc(points, func(a, b isotonicStep) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.value, a.value))
	})
	var steps []isotonicStep
	for _, s := range points {
		for len(steps) > 0 && steps[len(steps)-1].value >= s.value {
			last := steps[len(steps)-1]
			weight := last.weight + s.weight
			s = isotonicStep{last.from, (last.value*last.weight + s.value*s.weight) / weight, weight}
			steps = steps[:len(steps)-1]
		}
		steps = append(steps, s)
	}
	return steps
}

// isotonicValue returns the step function at x, that of the first step before it.
func isotonicValue(steps []isotonicStep, x float64) float64 {
	i, found := slices.BinarySearchFunc(steps, x, func(s isotonicStep, x float64) int { return cmp.Compare(s.from, x) })
	if !found {
		i = max(i-1, 0)
	}
	return steps[i].value
}

// normalise sets row to p divided by its sum; where all are 0, row stays the softmax that it is made, or equal shares.
func normalise(row, p []float64) {
	sum := floats.Sum(p)
	for c := range row {
		if sum > 0 {
			row[c] = p[c] / sum
		} else {
			row[c] = 1 / float64(len(row))
		}
	}
}
