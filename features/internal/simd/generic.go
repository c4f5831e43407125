package simd

import (
	"math"
	"unsafe"
)

func generic() *Kernels {
	return &Kernels{
		Name: "generic", Lanes: 1,
		Window: window, First2: first2, First4: first4, Butterflies: butterflies, Power: power,
		Mels: mels, Log: log, Normalise: normalise,
	}
}

func window(dst, samples, window []float32, _ int) {
	dst, samples = dst[:len(window)], samples[:len(window)]
	for i, w := range window {
		dst[i] = samples[i] * w
	}
}

// point is a complex number. The compiler multiplies complex64 in float64, which costs a third of the FFT's speed.
type point struct{ re, im float32 }

func (a point) plus(b point) point  { return point{a.re + b.re, a.im + b.im} }
func (a point) minus(b point) point { return point{a.re - b.re, a.im - b.im} }
func (a point) times(b point) point { return point{a.re*b.re - a.im*b.im, a.re*b.im + a.im*b.re} }
func (a point) power() float32      { return a.re*a.re + a.im*a.im }

// points returns x's pairs as complex numbers: indexing pairs of floats costs a fifth of the FFT's speed.
func points(x []float32) []point {
	return unsafe.Slice((*point)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2)
}

func first4(dst, src []float32, order []uint16) {
	n, x, out := len(order), points(src), points(dst)
	p0, p1, p2, p3 := x[:n], x[n:2*n], x[2*n:3*n], x[3*n:4*n]
	for _, o := range order {
		a, b, c, d := p0[o], p1[o], p2[o], p3[o]
		sum02, dif02, sum13, dif13 := a.plus(c), a.minus(c), b.plus(d), b.minus(d)
		next := out[:4]
		next[0] = sum02.plus(sum13)
		next[1] = point{dif02.re + dif13.im, dif02.im - dif13.re}
		next[2] = sum02.minus(sum13)
		next[3] = point{dif02.re - dif13.im, dif02.im + dif13.re}
		out = out[4:]
	}
}

func first2(dst, src []float32, order []uint16) {
	n, x, out := len(order), points(src), points(dst)
	p0, p1 := x[:n], x[n:2*n]
	for _, o := range order {
		next := out[:2]
		next[0], next[1] = p0[o].plus(p1[o]), p0[o].minus(p1[o])
		out = out[2:]
	}
}

func butterflies(work, twiddles []float32, length int) {
	factors := points(twiddles)
	for z := points(work); len(z) >= 4*length; z = z[4*length:] {
		p0, p1 := z[:length], z[length:][:length]
		p2, p3 := z[2*length:][:length], z[3*length:][:length]
		for j := range p0 {
			w := factors[3*j:][:3]
			a, b, c, d := p0[j], p1[j].times(w[0]), p2[j].times(w[1]), p3[j].times(w[2])
			sum02, dif02, sum13, dif13 := a.plus(c), a.minus(c), b.plus(d), b.minus(d)
			p0[j] = sum02.plus(sum13)
			p1[j] = point{dif02.re + dif13.im, dif02.im - dif13.re}
			p2[j] = sum02.minus(sum13)
			p3[j] = point{dif02.re - dif13.im, dif02.im + dif13.re}
		}
	}
}

// power splits the transform z of even + i·odd samples into those of the even and the odd ones, E and O: the signal's
// is X[k] = E[k] + exp(-πi·k/n)·O[k], and its mirror X[n-k] = conj(E[k] - exp(-πi·k/n)·O[k]).
func power(power, z, half []float32) {
	x, factors := points(z), points(half)
	n, first := len(x), x[0]
	power[0] = (first.re + first.im) * (first.re + first.im)
	power[n] = (first.re - first.im) * (first.re - first.im)
	for k := 1; k <= n/2; k++ {
		a, b := x[k], x[n-k]
		even := point{a.re + b.re, a.im - b.im}
		odd := point{a.im + b.im, b.re - a.re}.times(factors[k])
		power[k] = 0.25 * even.plus(odd).power()
		power[n-k] = 0.25 * even.minus(odd).power()
	}
}

func mels(rows, power, weights []float32, spans []int32, _ int) {
	for m := range len(spans) / 2 {
		first, count := spans[2*m], spans[2*m+1]
		bins := power[first:][:count]
		var sum float32
		for i, w := range weights[:len(bins)] {
			sum += w * bins[i]
		}
		rows[m] = sum
		weights = weights[len(bins):]
	}
}

func log(values []float32, floor float64) {
	for i, v := range values {
		if !(v <= math.MaxFloat32) {
			v = math.MaxFloat32
		}
		values[i] = float32(ln(float64(v) + floor))
	}
}

func normalise(x, mean, std []float32, rows, cols, xStride int, most, least float32) {
	for r := range rows {
		row := x[r*xStride:][:cols]
		for c, v := range row {
			row[c] = max(min((v-mean[c])/std[c], most), least)
		}
	}
}

// rootHalf is the bits of √½, one those of 1, and mantissa those that doubles between powers of 2 differ in.
const (
	rootHalf = 0x3fe6a09e667f3bcd
	one      = 1023 << 52
	mantissa = 1<<52 - 1
)

// ln returns the natural logarithm of a positive, finite and normal x to within 1e-11, several times faster than
// math.Log: the exponent from x's bits, and log((1+t)/(1−t)) = 2(t + t³/3 + t⁵/5 + ...), |t| < 0.172, of a mantissa
// between √½ and √2. In float64 every positive float32 is normal.
func ln(x float64) float64 {
	bits := math.Float64bits(x) + (one - rootHalf)
	exponent := float64(int(bits>>52) - 1023)
	m := math.Float64frombits(bits&mantissa + rootHalf)
	t := (m - 1) / (m + 1)
	t2 := t * t
	series := t * (2 + t2*(2.0/3+t2*(2.0/5+t2*(2.0/7+t2*(2.0/9+t2*(2.0/11+t2*(2.0/13)))))))
	return exponent*math.Ln2 + series
}
