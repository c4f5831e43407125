package simd

import "math"

func generic() *Kernels {
	return &Kernels{
		Name: "generic", Width: 4, TileRows: 4,
		MatMulTile: matMulTile, OuterTile: outerTile, Depthwise: depthwise,
		WinogradF23: winogradAt(2, 0, 1, -1), WinogradF33: winogradAt(3, 0, 1, -1, 2),
		WinogradF45: winogradAt(4, 0, 1, -1, 2, -2, 1./2, -1./2),
		Affine:      affine, Affine2: affine2,
		Hadamard: hadamard, HadamardAdd: hadamardAdd,
		HadamardSum: hadamardSum, HadamardSumGrad: hadamardSumGrad, ReLUGrad: reluGrad,
		Sums: sums, Dots: dots, Dots3: dots3,
		Deviations: deviations, Deviations2: deviations2,
		SGD: sgd, AdamW: adamW,
		ByteWidth: 4, ByteRows: 4,
		ByteTile: ByteTile(byteTile).panelwise(4), TernaryTile: ByteTile(byteTile).panelwise(4),
		Dequantise: dequantise, DequantiseSum: dequantiseSum, DequantiseHadamardSum: dequantiseHadamardSum,
		Quantise: quantise,
	}
}

// value returns column c of a vector, or missing where it was left out.
func value(v []float32, c int, missing float32) float32 {
	if len(v) == 0 {
		return missing
	}
	return v[c]
}

func depthwise(dst, x, w, init []float32, rows, cols, taps, dstStride, xStride, xTap, wStride, initStride int) {
	for r := range rows {
		out := dst[r*dstStride:][:cols]
		copy(out, init[r*initStride:][:cols])
		for k := range taps {
			in, weights := x[r*xStride+k*xTap:][:cols], w[k*wStride:][:cols]
			for c := range out {
				out[c] += weights[c] * in[c]
			}
		}
	}
}

func affine(dst, x, a, c []float32, rows, cols, dstStride, xStride int, floor float32) {
	for r := range rows {
		out, in := dst[r*dstStride:][:cols], x[r*xStride:][:cols]
		for i, v := range in {
			out[i] = max(value(a, i, 1)*v+value(c, i, 0), floor)
		}
	}
}

func affine2(dst, x, y, a, b, c []float32, rows, cols, dstStride, xStride, yStride int, floor float32) {
	for r := range rows {
		out, u, v := dst[r*dstStride:][:cols], x[r*xStride:][:cols], y[r*yStride:][:cols]
		for i := range out {
			out[i] = max(value(a, i, 1)*u[i]+value(b, i, 1)*v[i]+value(c, i, 0), floor)
		}
	}
}

func hadamard(dst, x, y []float32, rows, cols, dstStride, xStride, yStride int) {
	for r := range rows {
		out, u, v := dst[r*dstStride:][:cols], x[r*xStride:][:cols], y[r*yStride:][:cols]
		for i := range out {
			out[i] = u[i] * v[i]
		}
	}
}

func hadamardAdd(dst, x, y []float32, rows, cols, dstStride, xStride, yStride int) {
	for r := range rows {
		out, u, v := dst[r*dstStride:][:cols], x[r*xStride:][:cols], y[r*yStride:][:cols]
		for i := range out {
			out[i] += u[i] * v[i]
		}
	}
}

func hadamardSum(dst, x, s, shift, p, q []float32, rows, cols, dstStride, xStride, sStride int, floor float32) {
	p, q = p[:cols], q[:cols]
	for r := range rows {
		out, u, v := dst[r*dstStride:][:cols], x[r*xStride:][:cols], s[r*sStride:][:cols]
		for i := range out {
			f := u[i] + value(shift, i, 0)
			out[i] = max(f+v[i]+q[i]+p[i]*(f*v[i]), floor)
		}
	}
}

func hadamardSumGrad(df, ds, dy, f, s, a, b, c []float32,
	rows, cols, dfStride, dsStride, dyStride, fStride, sStride int) {
	a, b, c = a[:cols], b[:cols], c[:cols]
	for r := range rows {
		outF, outS := df[r*dfStride:][:cols], ds[r*dsStride:][:cols]
		grad, u, v := dy[r*dyStride:][:cols], f[r*fStride:][:cols], s[r*sStride:][:cols]
		for i := range outF {
			d, fi, si := grad[i], u[i], v[i]
			dz := a[i]*d + b[i]*(fi*si) + c[i]
			outF[i] = d + dz*si
			outS[i] = d + dz*fi
		}
	}
}

func reluGrad(dx, dy, y []float32, rows, cols, dxStride, dyStride, yStride int) {
	for r := range rows {
		out, grad, act := dx[r*dxStride:][:cols], dy[r*dyStride:][:cols], y[r*yStride:][:cols]
		for i := range out {
			d := grad[i]
			if !(act[i] > 0) {
				d = 0
			}
			out[i] = d
		}
	}
}

func sums(sum, x []float32, rows, cols, xStride int) {
	sum = sum[:cols]
	for r := range rows {
		in := x[r*xStride:][:cols]
		for i := range sum {
			sum[i] += in[i]
		}
	}
}

func dots(sum, dot, x, y []float32, rows, cols, xStride, yStride int) {
	sum, dot = sum[:cols], dot[:cols]
	for r := range rows {
		u, v := x[r*xStride:][:cols], y[r*yStride:][:cols]
		for i := range sum {
			sum[i] += u[i]
			dot[i] += u[i] * v[i]
		}
	}
}

func dots3(sum, dot, x, y, z []float32, rows, cols, xStride, yStride, zStride int) {
	sum, dot = sum[:cols], dot[:cols]
	for r := range rows {
		u, v, w := x[r*xStride:][:cols], y[r*yStride:][:cols], z[r*zStride:][:cols]
		for i := range sum {
			sum[i] += u[i]
			dot[i] += u[i] * (v[i] * w[i])
		}
	}
}

func deviations(sum, squares, x, shift []float32, rows, cols, xStride int) {
	sum, squares, shift = sum[:cols], squares[:cols], shift[:cols]
	for r := range rows {
		in := x[r*xStride:][:cols]
		for i := range sum {
			d := in[i] - shift[i]
			sum[i] += d
			squares[i] += d * d
		}
	}
}

func deviations2(sum, squares, x, y, shift []float32, rows, cols, xStride, yStride int) {
	sum, squares, shift = sum[:cols], squares[:cols], shift[:cols]
	for r := range rows {
		u, v := x[r*xStride:][:cols], y[r*yStride:][:cols]
		for i := range sum {
			d := u[i]*v[i] - shift[i]
			sum[i] += d
			squares[i] += d * d
		}
	}
}

func sgd(w, m, g []float32, rows, cols, wStride, mStride, gStride int, rate, momentum, decay float32) {
	for r := range rows {
		weights, moments, grads := w[r*wStride:][:cols], m[r*mStride:][:cols], g[r*gStride:][:cols]
		for i := range weights {
			grad := grads[i] + decay*weights[i]
			moments[i] = momentum*moments[i] + grad
			weights[i] -= rate * (grad + momentum*moments[i])
		}
	}
}

func adamW(w, m, v, g []float32, rows, cols, wStride, mStride, vStride, gStride int,
	keep, rate, rest1, rest2, unbias, eps float32) {
	for r := range rows {
		weights, grads := w[r*wStride:][:cols], g[r*gStride:][:cols]
		first, second := m[r*mStride:][:cols], v[r*vStride:][:cols]
		for i, grad := range grads {
			first[i] += rest1 * (grad - first[i])
			second[i] += rest2 * (grad*grad - second[i])
			root := float32(math.Sqrt(float64(unbias * second[i])))
			weights[i] = keep*weights[i] - rate*first[i]/(root+eps)
		}
	}
}
