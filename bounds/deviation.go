package bounds

import "math"

// terms are what a node's own values add to an objective with coefficients a of their deviations from base: of linear
// nodes nothing but rounding, of nonlinear ones the relaxation, of nodes that are replaced by their Form that.
type terms struct {
	slack        []float64    // ±|a|·slack, of rounding
	middle, half []float64    // a·middle ± |a|·half; nil: 0
	below        []float64    // of ReLU: a·below is at most what it adds, where a > 0 and the lower line is lower·x
	slope        []float64    // a·slope·g; nil: 0
	slopes       [2][]float32 // of nonlinear nodes, by operand
	lower        []float32    // of ReLU: the slope of the lower line
}

// unit is the largest relative error of rounding to float32, and exact that of sums of some thousand float64 values,
// relative to the sum of their sizes.
const unit, exact = 1.0 / (1 << 24), 1e-12

// share returns the largest error of a sum of n products in float32, relative to the sum of the products' sizes. It is
// one of a few more, for the sums of several readers' coefficients.
func share(n int) float64 {
	e := float64(n+16) * unit
	return e / (1 - e)
}

// settle computes a node's base, the value at the middle of the region, and its terms. The bounds of its operands are
// those that all later passes see, or wider.
func (b *Bounds) settle(id int) {
	v := &b.net.nodes[id]
	size := v.rows * v.cols
	base, t := make([]float64, size), terms{slack: make([]float64, size)}
	b.base[id] = base
	switch v.kind {
	case conv, depthwise, mean, sum:
		b.settleLinear(v, base, t.slack)
	default:
		b.settleNonlinear(id, v, base, &t)
	}
	b.terms[id] = t
}

// size returns the largest deviation of entry i of a node.
func (b *Bounds) size(id, i int) float64 {
	f := b.forms[id]
	return max(f.High[i]-b.base[id][i], b.base[id][i]-f.Low[i])
}

func (b *Bounds) settleLinear(v *node, base, slack []float64) {
	x := v.args[0]
	rows := b.net.nodes[x].rows
	deviations := make([]float64, len(b.base[x]))
	for i := range deviations {
		deviations[i] = b.size(x, i)
	}
	parallel(v.rows, func(r int) {
		for c := range v.cols {
			e := r*v.cols + c
			n, value, total, spread := 1, 0.0, 0.0, 0.0 // total is of |w·base|, spread of |w|·deviation
			add := func(w float64, id, i int, deviation float64) {
				value += w * b.base[id][i]
				total += math.Abs(w * b.base[id][i])
				spread += math.Abs(w) * deviation
			}
			if v.bias != nil {
				value, total = v.bias[c], math.Abs(v.bias[c])
			}
			switch v.kind {
			case conv:
				k0, k1, first := v.taps(r, rows)
				for k, w := range v.weight[(c*v.kernel+k0)*v.in : (c*v.kernel+k1)*v.in] {
					add(w, x, first*v.in+k, deviations[first*v.in+k])
				}
				n = v.kernel * v.cols // products that meet in a coefficient of the operand
			case depthwise:
				n = v.kernel
				k0, k1, first := v.taps(r, rows)
				for k := k0; k < k1; k++ {
					i := (first+k-k0)*v.cols + c
					add(v.weight[k*v.cols+c], x, i, deviations[i])
				}
			case mean:
				for k := range rows {
					add(1/float64(rows), x, k*v.cols+c, deviations[k*v.cols+c])
				}
			case sum:
				for _, a := range v.args {
					add(1, a, e, b.size(a, e))
				}
			}
			base[e], slack[e] = value, share(n)*spread+exact*total
		}
	})
}

func (b *Bounds) settleNonlinear(id int, v *node, base []float64, t *terms) {
	r, x := &b.relaxed[id], v.args[0]
	size := len(base)
	t.middle, t.half, t.slopes[0] = make([]float64, size), make([]float64, size), make([]float32, size)
	switch v.kind {
	case product:
		t.slopes[1] = make([]float32, size)
	case rectifier:
		t.below, t.lower = make([]float64, size), make([]float32, size)
	}
	for i := range base {
		bx, sx := b.base[x][i], r.slopeX[i]
		moved, total, spread := sx*bx, math.Abs(sx*bx), math.Abs(sx)*b.size(x, i)
		t.slopes[0][i] = float32(sx)
		switch v.kind {
		case rectifier:
			base[i] = max(bx, 0)
			t.below[i], t.lower[i] = r.lower[i]*bx-base[i], float32(r.lower[i])
			spread = max(math.Abs(sx), r.lower[i]) * b.size(x, i)
		case tangent:
			base[i] = math.Tanh(bx)
		case product:
			scale, offset := v.affine(i % v.cols)
			by, sy := b.base[v.args[1]][i], r.slopeY[i]
			base[i] = scale*bx*by + offset
			moved, total = moved+sy*by, total+math.Abs(sy*by)+math.Abs(scale*bx*by)+math.Abs(offset)
			spread += math.Abs(sy) * b.size(v.args[1], i)
			t.slopes[1][i] = float32(sy)
		}
		low, high := r.low[i]+moved-base[i], r.high[i]+moved-base[i]
		t.middle[i], t.half[i] = (low+high)/2, (high-low)/2
		total += math.Abs(r.low[i]) + math.Abs(r.high[i]) + math.Abs(bx) + math.Abs(base[i])
		t.slack[i] = share(1)*spread + exact*total
	}
}

// leaf returns the terms of a node that its Form stands for.
func (b *Bounds) leaf(id int) *terms {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.leaves[id] == nil {
		f := b.forms[id]
		n := len(f.Center)
		t := &terms{slack: make([]float64, n), middle: make([]float64, n), half: f.Radius, slope: f.Slope}
		for i, c := range f.Center {
			t.middle[i] = c - b.base[id][i]
			t.slack[i] = exact * (math.Abs(c) + math.Abs(b.base[id][i]))
		}
		b.leaves[id] = t
	}
	return b.leaves[id]
}
