package bounds

import (
	"math"
	"slices"
)

// forward computes node v's Form from those of its operands, by interval and affine arithmetic.
func (b *Bounds) forward(id int) {
	v := &b.net.nodes[id]
	f := newForm(v.rows * v.cols)
	b.forms[id] = f
	x := b.forms[v.args[0]]
	switch v.kind {
	case conv:
		b.forwardConv(v, x, f)
	case depthwise:
		b.forwardDepthwise(v, x, f)
	case mean:
		rows := len(x.Center) / v.cols
		for c := range v.cols {
			var m mixture
			for r := range rows {
				m.add(1/float64(rows), x, r*v.cols+c)
			}
			m.store(f, c)
		}
	case sum:
		for i := range f.Center {
			var m mixture
			for _, a := range v.args {
				m.add(1, b.forms[a], i)
			}
			m.store(f, i)
		}
	default:
		b.forwardNonlinear(id, v, x, f)
	}
}

// mixture is a linear combination of entries.
type mixture struct {
	line
	low, high float64
}

func (m *mixture) add(a float64, x *Form, i int) {
	m.c += a * x.Center[i]
	m.s += a * x.Slope[i]
	r := math.Abs(a) * x.Radius[i]
	m.lo -= r
	m.hi += r
	if a >= 0 {
		m.low += a * x.Low[i]
		m.high += a * x.High[i]
	} else {
		m.low += a * x.High[i]
		m.high += a * x.Low[i]
	}
}

func (m *mixture) store(f *Form, i int) {
	slack := rounding * (math.Abs(m.low) + math.Abs(m.high))
	f.set(i, m.line, m.low-slack, m.high+slack)
}

func (b *Bounds) forwardConv(v *node, x, f *Form) {
	rows := len(x.Center) / v.in
	parallel(v.rows, func(r int) {
		k0, k1, first := v.taps(r, rows)
		for c := range v.cols {
			m := mixture{}
			if v.bias != nil {
				m.c, m.low, m.high = v.bias[c], v.bias[c], v.bias[c]
			}
			at := first * v.in
			for k, w := range v.weight[(c*v.kernel+k0)*v.in : (c*v.kernel+k1)*v.in] {
				if w != 0 {
					m.add(w, x, at+k)
				}
			}
			m.store(f, r*v.cols+c)
		}
	})
}

func (b *Bounds) forwardDepthwise(v *node, x, f *Form) {
	rows := len(x.Center) / v.cols
	for r := range v.rows {
		k0, k1, first := v.taps(r, rows)
		for c := range v.cols {
			m := mixture{}
			if v.bias != nil {
				m.c, m.low, m.high = v.bias[c], v.bias[c], v.bias[c]
			}
			for k := k0; k < k1; k++ {
				m.add(v.weight[k*v.cols+c], x, (first+k-k0)*v.cols+c)
			}
			m.store(f, r*v.cols+c)
		}
	}
}

// forwardNonlinear computes the node's relaxation, from which follows the affine form, and the interval.
func (b *Bounds) forwardNonlinear(id int, v *node, x, f *Form) {
	r := newRelaxation(v)
	b.relaxed[id] = r
	for i := range f.Center {
		low, high := x.Low[i], x.High[i]
		var l line
		switch v.kind {
		case rectifier:
			r.relaxReLU(i, low, high)
			low, high = max(low, 0), max(high, 0)
		case tangent:
			r.relaxTanh(i, low, high)
			low, high = math.Tanh(low)-rounding, math.Tanh(high)+rounding
		case product:
			y := b.forms[v.args[1]]
			scale, offset := v.affine(i % v.cols)
			dLow, dHigh := b.deviations(id, x, y, i)
			r.relaxProduct(i, x.middle(i), y.middle(i), dLow, dHigh, scale, offset)
			low, high = productInterval(x, y, i, v.args[0] == v.args[1], scale, offset)
			y.accumulate(&l, r.slopeY[i], i)
		}
		x.accumulate(&l, r.slopeX[i], i)
		l.lo += r.low[i]
		l.hi += r.high[i]
		f.set(i, l, low, high)
	}
}

// accumulate adds a times entry i to l.
func (f *Form) accumulate(l *line, a float64, i int) {
	l.c += a * f.Center[i]
	l.s += a * f.Slope[i]
	l.add(a, -f.Radius[i], f.Radius[i])
}

// affine returns a product's scale and offset of channel c.
func (v *node) affine(c int) (scale, offset float64) {
	if v.scale == nil {
		return 1, 0
	}
	return v.scale[c], v.offset[c]
}

// productInterval returns the interval of scale·x·y + offset by its corners.
func productInterval(x, y *Form, i int, square bool, scale, offset float64) (low, high float64) {
	corners := []float64{
		scale * x.Low[i] * y.Low[i], scale * x.Low[i] * y.High[i],
		scale * x.High[i] * y.Low[i], scale * x.High[i] * y.High[i],
	}
	if square {
		corners[1], corners[2] = corners[0], corners[3]
		if x.Low[i] < 0 && x.High[i] > 0 {
			corners[1] = 0
		}
	}
	low, high = slices.Min(corners), slices.Max(corners)
	slack := rounding * (math.Abs(low) + math.Abs(high) + math.Abs(offset))
	return low + offset - slack, high + offset + slack
}

// deviations returns the interval of the product of x's and y's deviations from the middles of their intervals.
func (b *Bounds) deviations(id int, x, y *Form, i int) (low, high float64) {
	rx, ry := x.half(i), y.half(i)
	low, high = -rx*ry, rx*ry
	if b.net.nodes[id].args[0] == b.net.nodes[id].args[1] {
		return 0, high
	}
	// Where both are lines in g of the same middles, s·t·g² is exact.
	ex, ey := math.Abs(x.Center[i]-x.middle(i))+x.Radius[i], math.Abs(y.Center[i]-y.middle(i))+y.Radius[i]
	st := x.Slope[i] * y.Slope[i]
	rest := math.Abs(x.Slope[i])*ey + math.Abs(y.Slope[i])*ex + ex*ey
	low, high = max(low, min(st, 0)-rest), min(high, max(st, 0)+rest)
	if p := b.pairs[id]; p != nil {
		low, high = max(low, p.low[i]), min(high, p.high[i])
	}
	if low > high {
		low, high = -rx*ry, rx*ry
	}
	return low, high
}
