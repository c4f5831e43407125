package device

import "math"

// Ref returns the reference device: one thread, plain loops in the order of the definitions, sums in float64,
// each result rounded to float32 once. It is what every other device is checked against and is never tuned.
func Ref() Trainer { return Checked(ref{}) }

type ref struct{ host }

func (ref) Name() string { return "ref" }

// Serial implements Device.
func (d ref) Serial() Device { return d }

// eachRow calls f for every row of every group of v.
func eachRow(v View, f func(g, r int)) {
	for g := range v.Groups {
		for r := range v.Rows {
			f(g, r)
		}
	}
}

func (ref) Fill(dst View, v float32) {
	eachRow(dst, func(g, r int) {
		for c, row := 0, dst.row(g, r); c < len(row); c++ {
			row[c] = v
		}
	})
}

func (ref) Transpose(dst, src View, reverse bool) {
	eachRow(src, func(g, r int) {
		to := g
		if reverse {
			to = src.Groups - 1 - g
		}
		for c, v := range src.row(g, r) {
			dst.row(to, c)[r] = v
		}
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
				f, s := y, float64(e.Skip.row(g, r)[c])
				y = f + s + at(e.Scale, c, 0)*f*s + at(e.Offset, c, 0)
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

func (ref) Affine(dst, x, y View, a, b, c Buffer, relu bool) {
	eachRow(dst, func(g, r int) {
		out, in := dst.row(g, r), x.row(g, r)
		for i := range out {
			v := at(a, i, 1)*float64(in[i]) + at(c, i, 0)
			if !y.Empty() {
				v += at(b, i, 1) * float64(y.row(g, r)[i])
			}
			if relu {
				v = max(v, 0)
			}
			out[i] = float32(v)
		}
	})
}

func (ref) Hadamard(dst, x, y View, add bool) {
	eachRow(dst, func(g, r int) {
		out, u, v := dst.row(g, r), x.row(g, r), y.row(g, r)
		for c := range out {
			product := float64(u[c]) * float64(v[c])
			if add {
				product += float64(out[c])
			}
			out[c] = float32(product)
		}
	})
}

func (ref) HadamardSum(dst, f, s View, p, q Buffer) {
	eachRow(dst, func(g, r int) {
		out, u, v := dst.row(g, r), f.row(g, r), s.row(g, r)
		for c := range out {
			fc, sc := float64(u[c]), float64(v[c])
			out[c] = float32(fc + sc + at(p, c, 0)*fc*sc + at(q, c, 0))
		}
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
	eachRow(dx, func(g, r int) {
		out, grad, act := dx.row(g, r), dy.row(g, r), y.row(g, r)
		for c := range out {
			if act[c] > 0 {
				out[c] = grad[c]
			} else {
				out[c] = 0
			}
		}
	})
}

func (ref) Tanh(dst, x View) {
	eachRow(dst, func(g, r int) {
		for c, v := range x.row(g, r) {
			dst.row(g, r)[c] = float32(math.Tanh(float64(v)))
		}
	})
}

func (ref) TanhGrad(dx, dy, y View) {
	eachRow(dx, func(g, r int) {
		out, grad, act := dx.row(g, r), dy.row(g, r), y.row(g, r)
		for c := range out {
			out[c] = float32(float64(grad[c]) * (1 - float64(act[c])*float64(act[c])))
		}
	})
}

func (ref) Moments(mean, variance Buffer, x, y View) {
	for c := range x.Cols {
		value := func(g, r int) float64 {
			v := float64(x.row(g, r)[c])
			if !y.Empty() {
				v *= float64(y.row(g, r)[c])
			}
			return v
		}
		n := max(1, float64(x.Count()))
		sum, squares := 0.0, 0.0
		eachRow(x, func(g, r int) { sum += value(g, r) })
		eachRow(x, func(g, r int) { squares += (value(g, r) - sum/n) * (value(g, r) - sum/n) })
		values(mean)[c] = float32(sum / n)
		values(variance)[c] = float32(squares / n)
	}
}

func (ref) GradSums(sum, dot Buffer, dy, x, y View) {
	for c := range dy.Cols {
		total, product := 0.0, 0.0
		eachRow(dy, func(g, r int) {
			d := float64(dy.row(g, r)[c])
			total += d
			if x.Empty() {
				return
			}
			d *= float64(x.row(g, r)[c])
			if !y.Empty() {
				d *= float64(y.row(g, r)[c])
			}
			product += d
		})
		values(sum)[c] = float32(total)
		if !dot.Empty() {
			values(dot)[c] = float32(product)
		}
	}
}

func (ref) AvgPool(dst, x View) {
	for g := range x.Groups {
		for c := range x.Cols {
			sum := 0.0
			for r := range x.Rows {
				sum += float64(x.row(g, r)[c])
			}
			dst.row(g, 0)[c] = float32(sum / max(1, float64(x.Rows)))
		}
	}
}

func (ref) AvgPoolGrad(dst, x View, scale float32) {
	eachRow(dst, func(g, r int) {
		out := dst.row(g, r)
		for c, v := range x.row(g, 0) {
			out[c] = scale * v
		}
	})
}

// largestRow returns which of x[g]'s rows r−reach to r+reach has the largest value in column c, the first of equals, or one that
// is not a number, so that this shows.
func largestRow(x View, g, r, c, reach int) int {
	best := max(0, r-reach)
	for t := best + 1; t <= min(r+reach, x.Rows-1); t++ {
		if v := x.row(g, t)[c]; v > x.row(g, best)[c] || v != v {
			best = t
		}
	}
	return best
}

func (ref) MaxRows(dst, x View, reach int) {
	eachRow(dst, func(g, r int) {
		for c := range x.Cols {
			dst.row(g, r)[c] = x.row(g, largestRow(x, g, r, c, reach))[c]
		}
	})
}

func (ref) MaxRowsGrad(dx, dy, x View, reach int) {
	eachRow(dx, func(g, r int) {
		for c := range x.Cols {
			sum := 0.0
			for t := max(0, r-reach); t <= min(r+reach, x.Rows-1); t++ {
				if largestRow(x, g, t, c, reach) == r {
					sum += float64(dy.row(g, t)[c])
				}
			}
			dx.row(g, r)[c] = float32(sum)
		}
	})
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
	values(norm)[0] = float32(length)
	if length <= float64(limit) {
		return
	}
	for i, v := range values(g) {
		values(g)[i] = float32(float64(v) * float64(limit) / length)
	}
}

func (ref) EMAUpdate(dst, src Buffer, t float32) {
	for i, v := range values(src) {
		moveTowards(&values(dst)[i], float64(v), t)
	}
}
