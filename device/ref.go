package device

import "math"

// Ref returns the reference device: one thread, plain loops in the order of the definitions, sums in float64, each
// result rounded to float32 once. Every other device is tested against it; it is never tuned.
func Ref() Trainer { return Checked(ref{}) }

type ref struct{ host }

func (ref) Name() string     { return "ref" }
func (d ref) Serial() Device { return d }

// eachRow calls f for every row of every group of v.
func eachRow(v View, f func(g, r int)) {
	for g := range v.Groups {
		for r := range v.Rows {
			f(g, r)
		}
	}
}

// set sets every element of dst to f of its position.
func set(dst View, f func(g, r, c int) float64) {
	eachRow(dst, func(g, r int) {
		for c, row := 0, dst.row(g, r); c < len(row); c++ {
			row[c] = float32(f(g, r, c))
		}
	})
}

// at returns element (g, r, c).
func (v View) at(g, r, c int) float64 { return float64(v.row(g, r)[c]) }

// times returns the element of x∘y, or of x where y is left out.
func times(x, y View, g, r, c int) float64 {
	if y.Empty() {
		return x.at(g, r, c)
	}
	return x.at(g, r, c) * y.at(g, r, c)
}

func (ref) Fill(dst View, v float32) { set(dst, func(_, _, _ int) float64 { return float64(v) }) }

func (ref) Transpose(dst, src View, reverse bool) {
	set(dst, func(g, r, c int) float64 {
		if reverse {
			g = src.Groups - 1 - g
		}
		return src.at(g, c, r)
	})
}

// Pack keeps the row-major layout.
func (d ref) Pack(dst *Packed, w Buffer, k, n int) {
	if dst.Data.Len() != k*n {
		dst.Data = d.Alloc(k * n)
	}
	dst.K, dst.N, dst.Step = k, n, 0
	copy(values(dst.Data), values(w))
}

func (d ref) PackWindows(dst *Packed, w Buffer, n int, a View) {
	d.Pack(dst, w, a.Cols, n)
	dst.Step = a.RowStride
}

func (ref) MatMul(dst, a View, w *Packed, e Epilogue) {
	eachRow(dst, func(g, r int) {
		out, in, weights := dst.row(g, r), a.row(g, r), values(w.Data)
		for c := range out {
			acc := 0.0
			for k := range in {
				acc += float64(in[k]) * float64(weights[k*w.N+c])
			}
			if e.Accumulate {
				acc += float64(out[c])
			}
			y := acc + at(e.Shift, c, 0)
			if !e.Skip.Empty() {
				f, s := y, e.Skip.at(g, r, c)
				if y = f + s; !e.Scale.Empty() { // a factor of 0 would make NaN of an infinite f
					y += at(e.Scale, c, 0)*f*s + at(e.Offset, c, 0)
				}
			}
			if e.ReLU {
				y = max(y, 0)
			}
			out[c] = float32(y)
		}
	})
}

func (ref) MatMulTransA(dw Buffer, a, dy View) {
	sums := make([]float64, dw.Len())
	eachRow(dy, func(g, r int) {
		grad := dy.row(g, r)
		for k, x := range a.row(g, r) {
			for c, d := range grad {
				sums[k*dy.Cols+c] += float64(x) * float64(d)
			}
		}
	})
	for i, sum := range sums {
		values(dw)[i] = float32(float64(values(dw)[i]) + sum)
	}
}

func (ref) Depthwise(dst, x View, w, shift Buffer, add bool) {
	set(dst, func(g, r, c int) float64 {
		sum := at(shift, c, 0)
		if add {
			sum = dst.at(g, r, c)
		}
		for i := c; i < x.Cols; i += dst.Cols {
			sum += x.at(g, r, i) * float64(values(w)[i])
		}
		return sum
	})
}

func (ref) DepthwiseGrad(dw Buffer, x, dy View) {
	for i := range dw.Len() {
		sum := 0.0
		eachRow(dy, func(g, r int) { sum += x.at(g, r, i) * dy.at(g, r, i%dy.Cols) })
		values(dw)[i] = float32(float64(values(dw)[i]) + sum)
	}
}

func (ref) Affine(dst, x, y View, a, b, c Buffer, relu bool) {
	set(dst, func(g, r, i int) float64 {
		v := at(a, i, 1)*x.at(g, r, i) + at(c, i, 0)
		if !y.Empty() {
			v += at(b, i, 1) * y.at(g, r, i)
		}
		if relu {
			v = max(v, 0)
		}
		return v
	})
}

func (ref) Hadamard(dst, x, y View, add bool) {
	set(dst, func(g, r, c int) float64 {
		product := x.at(g, r, c) * y.at(g, r, c)
		if add {
			product += dst.at(g, r, c)
		}
		return product
	})
}

func (ref) HadamardSum(dst, f, s View, p, q Buffer) {
	set(dst, func(g, r, c int) float64 {
		fc, sc := f.at(g, r, c), s.at(g, r, c)
		return fc + sc + at(p, c, 0)*fc*sc + at(q, c, 0)
	})
}

func (ref) HadamardSumGrad(df, ds, dy, f, s View, a, b, c Buffer) {
	eachRow(df, func(g, r int) {
		outF, outS, grad, u, v := df.row(g, r), ds.row(g, r), dy.row(g, r), f.row(g, r), s.row(g, r)
		for i := range outF {
			d, fi, si := float64(grad[i]), float64(u[i]), float64(v[i])
			dz := at(a, i, 0)*d + at(b, i, 0)*fi*si + at(c, i, 0)
			outF[i] = float32(d + dz*si)
			outS[i] = float32(d + dz*fi)
		}
	})
}

func (ref) ReLUGrad(dx, dy, y View) {
	set(dx, func(g, r, c int) float64 {
		if y.at(g, r, c) > 0 {
			return dy.at(g, r, c)
		}
		return 0
	})
}

func (ref) Tanh(dst, x View) { set(dst, func(g, r, c int) float64 { return math.Tanh(x.at(g, r, c)) }) }

func (ref) TanhGrad(dx, dy, y View) {
	set(dx, func(g, r, c int) float64 { return dy.at(g, r, c) * (1 - y.at(g, r, c)*y.at(g, r, c)) })
}

func (ref) Moments(mean, variance Buffer, x, y View) {
	n := max(1, float64(x.Count()))
	for c := range x.Cols {
		sum, squares := 0.0, 0.0
		eachRow(x, func(g, r int) { sum += times(x, y, g, r, c) })
		eachRow(x, func(g, r int) {
			d := times(x, y, g, r, c) - sum/n
			squares += d * d
		})
		values(mean)[c] = float32(sum / n)
		values(variance)[c] = float32(squares / n)
	}
}

func (ref) GradSums(sum, dot Buffer, dy, x, y View) {
	for c := range dy.Cols {
		total, product := 0.0, 0.0
		eachRow(dy, func(g, r int) {
			total += dy.at(g, r, c)
			if !x.Empty() {
				product += dy.at(g, r, c) * times(x, y, g, r, c)
			}
		})
		values(sum)[c] = float32(total)
		if !dot.Empty() {
			values(dot)[c] = float32(product)
		}
	}
}

func (ref) AvgPool(dst, x View) {
	set(dst, func(g, _, c int) float64 {
		sum := 0.0
		for r := range x.Rows {
			sum += x.at(g, r, c)
		}
		return sum / max(1, float64(x.Rows))
	})
}

func (ref) AvgPoolGrad(dst, x View, scale float32) {
	set(dst, func(g, _, c int) float64 { return float64(scale) * x.at(g, 0, c) })
}

func (ref) SGD(w, g, m Buffer, rate, momentum, decay float32) {
	weights, grads, moments := values(w), values(g), values(m)
	for i := range weights {
		grad := float64(grads[i]) + float64(decay)*float64(weights[i])
		moment := float64(momentum)*float64(moments[i]) + grad
		moments[i] = float32(moment)
		weights[i] = float32(float64(weights[i]) - float64(rate)*(grad+float64(momentum)*moment))
	}
}

func (ref) AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	weights, grads, first, second := values(w), values(g), values(m), values(v)
	bias1 := 1 - math.Pow(float64(beta1), float64(step))
	bias2 := 1 - math.Pow(float64(beta2), float64(step))
	for i := range weights {
		grad := float64(grads[i])
		m1 := float64(beta1)*float64(first[i]) + (1-float64(beta1))*grad
		m2 := float64(beta2)*float64(second[i]) + (1-float64(beta2))*grad*grad
		first[i], second[i] = float32(m1), float32(m2)
		decayed := float64(weights[i]) * (1 - float64(rate)*float64(decay))
		weights[i] = float32(decayed - float64(rate)*(m1/bias1)/(math.Sqrt(m2/bias2)+float64(eps)))
	}
}

func (ref) ClipNorm(g, norm Buffer, limit float32) {
	squares := 0.0
	for _, v := range values(g) {
		squares += float64(v) * float64(v)
	}
	length := math.Sqrt(squares)
	values(norm)[0] = asNorm(length)
	if !clips(length, limit) {
		return
	}
	for i, v := range values(g) {
		values(g)[i] = float32(float64(v) * (float64(limit) / length))
	}
}

// asNorm returns what ClipNorm writes: a finite norm stays finite.
func asNorm(length float64) float32 {
	if length < math.Inf(1) {
		length = min(length, math.MaxFloat32)
	}
	return float32(length)
}

// clips reports whether ClipNorm scales a vector of this length.
func clips(length float64, limit float32) bool {
	return length > float64(limit) && length < math.Inf(1)
}

func (ref) EMAUpdate(dst, src Buffer, t float32) {
	for i, v := range values(src) {
		moveTowards(&values(dst)[i], float64(v), t)
	}
}
