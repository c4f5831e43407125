package device

import "math"

// LossKind names a loss of the probabilities q that the softmax makes of a row of logits, for a row t of target
// probabilities.
type LossKind int

// The losses. γ is Loss.Gamma.
const (
	CrossEntropy LossKind = iota // −Σ t·log q
	Brier                        // Σ (q − t)²
	Focal                        // −Σ t·(1 − q)^γ·log q (Lin et al., 2017)
	FLSD                         // Focal with γ = 5 where q < 0.2, else 3 (FLSD-53 of Mukhoti et al., 2020)
	// DualFocal is −Σ t·(1 − q + r)^γ·log q, where r is the largest of the row's probabilities that is below q, or 0 (Tao
	// et al., 2023).
	DualFocal
)

// Loss is what a network is trained to make small.
type Loss struct {
	Kind  LossKind
	Gamma float32 // of Focal and DualFocal, at least 0
}

// flsdBorder is the probability below which FLSD uses the higher of its gammas.
const flsdBorder, flsdLow, flsdHigh = 0.2, 5, 3

// gamma returns the exponent at a probability.
func (l Loss) gamma(q float64) float64 {
	switch {
	case l.Kind == CrossEntropy:
		return 0
	case l.Kind != FLSD:
		return float64(l.Gamma)
	case q < flsdBorder:
		return flsdLow
	}
	return flsdHigh
}

// Loss is Trainer's. Each loss's gradient has the form dz = q·Σc − c, with a coefficient c for each class.
func (host) Loss(dlogits View, losses Buffer, logits, targets View, l Loss, scale float32) {
	q, c := make([]float64, logits.Cols), make([]float64, logits.Cols)
	for g := range logits.Groups {
		for r := range logits.Rows {
			x, t := logits.row(g, r), targets.row(g, r)
			logSum := logSumExp(x)
			for i := range x {
				q[i] = math.Exp(float64(x[i]) - logSum)
			}
			clear(c)
			values(losses)[g*logits.Rows+r] = float32(l.row(c, q, x, t, logSum))
			if dlogits.Empty() {
				continue
			}
			sum := 0.0
			for _, v := range c {
				sum += v
			}
			for i, out := 0, dlogits.row(g, r); i < len(out); i++ {
				out[i] = float32(float64(scale) * (q[i]*sum - c[i]))
			}
		}
	}
}

// row returns the loss of a row and adds its gradient's coefficients to c.
func (l Loss) row(c, q []float64, x, t []float32, logSum float64) (loss float64) {
	for i, target := range t {
		if l.Kind == Brier {
			d := q[i] - float64(target)
			loss += d * d
			c[i] -= 2 * d * q[i]
			continue
		}
		if target == 0 { // counts nothing, even where the logit is −∞
			continue
		}
		logQ, next, r := float64(x[i])-logSum, -1, 0.0
		if l.Kind == DualFocal {
			next, r = largestBelow(q, q[i])
		}
		weight, slope := focalTerm(-math.Expm1(logQ)+r, l.gamma(q[i]))
		loss -= float64(target) * weight * logQ
		if c[i] += float64(target) * weight; q[i] > 0 {
			c[i] -= float64(target) * slope * q[i] * logQ
		}
		if next >= 0 {
			c[next] += float64(target) * slope * r * logQ
		}
	}
	return loss
}

// focalTerm returns base^γ and its derivative, 0 at a base of 0.
func focalTerm(base, gamma float64) (weight, slope float64) {
	if gamma == 0 {
		return 1, 0
	}
	if base <= 0 {
		return 0, 0
	}
	weight = math.Pow(base, gamma)
	return weight, gamma * weight / base
}

// largestBelow returns the first class of the largest probability below a limit; -1 and 0 where there is none.
func largestBelow(q []float64, limit float64) (class int, p float64) {
	class = -1
	for i, v := range q {
		if v < limit && (class < 0 || v > p) {
			class, p = i, v
		}
	}
	return class, p
}

// logSumExp returns log Σ exp(x), shifted by the largest value so that nothing overflows.
func logSumExp(x []float32) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	if math.IsInf(top, -1) {
		return top
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}
