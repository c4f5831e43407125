package features

import (
	"math"
	"math/bits"
)

// point is a complex number. The compiler multiplies complex64 in float64, which costs a third of the FFT's speed.
type point struct{ re, im float32 }

// twiddle holds the factors exp(-2πi·q·j/(4L)) of legs q = 1, 2, 3 of butterfly j in a stage that joins four
// transforms of length L.
type twiddle struct{ w1, w2, w3 point }

// powerFFT is the plan of a real Fourier transform of n points, n a power of two from 16 to 65536. The n reals are taken as
// n/2 complex points, even samples real and odd ones imaginary, transformed with decimation in time by radix-4 stages
// (and one of radix 2 in front where n/2 is not a power of four), and untangled by symmetry into the n/2+1 bins of the
// real signal. A plan is read-only.
type powerFFT struct {
	points int         // n/2
	order  []uint16    // where, in complex points, the first leg of each first-stage butterfly lies: digits reversed
	stages [][]twiddle // the radix-4 stages behind the first stage
	half   []point     // exp(-2πi·k/n), k in 0..n/4: the untangling
}

func newPowerFFT(n int) *powerFFT {
	f := &powerFFT{points: n / 2, half: make([]point, n/4+1)}
	first := 4
	if bits.TrailingZeros(uint(f.points))%2 == 1 {
		first = 2
	}
	f.order = make([]uint16, f.points/first)
	for i := range f.order {
		reversed := 0
		for rest, size := i, len(f.order); size > 1; rest, size = rest/4, size/4 {
			reversed = reversed*4 + rest%4
		}
		f.order[i] = uint16(reversed)
	}
	for length := first; length < f.points; length *= 4 {
		stage := make([]twiddle, length)
		for j := range stage {
			stage[j] = twiddle{root(j, 4*length), root(2*j, 4*length), root(3*j, 4*length)}
		}
		f.stages = append(f.stages, stage)
	}
	for k := range f.half {
		f.half[k] = root(k, n)
	}
	return f
}

// root returns exp(-2πi·j/n).
func root(j, n int) point {
	sin, cos := math.Sincos(-2 * math.Pi * float64(j) / float64(n))
	return point{float32(cos), float32(sin)}
}

// run writes the power |X[k]|² of the n samples x, k in 0..n/2, to power. work has n/2 points.
func (f *powerFFT) run(power, x []float32, work []point) {
	if len(f.order)*4 == f.points {
		f.first4(work, x)
	} else {
		f.first2(work, x)
	}
	for _, stage := range f.stages {
		butterflies(work, stage)
	}
	f.untangle(power, work)
}

// first4 gathers x in reversed order into the radix-4 butterflies of the first stage, whose factors are all 1.
func (f *powerFFT) first4(work []point, x []float32) {
	quarter := len(f.order)
	x0, x1, x2, x3 := x[:2*quarter], x[2*quarter:4*quarter], x[4*quarter:6*quarter], x[6*quarter:8*quarter]
	for _, o := range f.order {
		re, im := int(o)*2, int(o)*2+1
		sum02, dif02 := point{x0[re] + x2[re], x0[im] + x2[im]}, point{x0[re] - x2[re], x0[im] - x2[im]}
		sum13, dif13 := point{x1[re] + x3[re], x1[im] + x3[im]}, point{x1[re] - x3[re], x1[im] - x3[im]}
		out := work[:4]
		out[0] = point{sum02.re + sum13.re, sum02.im + sum13.im}
		out[1] = point{dif02.re + dif13.im, dif02.im - dif13.re}
		out[2] = point{sum02.re - sum13.re, sum02.im - sum13.im}
		out[3] = point{dif02.re - dif13.im, dif02.im + dif13.re}
		work = work[4:]
	}
}

// first2 is first4 for transforms whose first stage has radix 2.
func (f *powerFFT) first2(work []point, x []float32) {
	half := len(f.order)
	x0, x1 := x[:2*half], x[2*half:4*half]
	for _, o := range f.order {
		re, im := int(o)*2, int(o)*2+1
		out := work[:2]
		out[0] = point{x0[re] + x1[re], x0[im] + x1[im]}
		out[1] = point{x0[re] - x1[re], x0[im] - x1[im]}
		work = work[2:]
	}
}

// butterflies joins each four neighbouring transforms of len(stage) points in work into one.
func butterflies(work []point, stage []twiddle) {
	length := len(stage)
	for ; len(work) >= 4*length; work = work[4*length:] {
		p0, p1 := work[:length], work[length:][:length]
		p2, p3 := work[2*length:][:length], work[3*length:][:length]
		for j := range stage {
			t := &stage[j]
			a, b, c, d := p0[j], p1[j], p2[j], p3[j]
			b = point{b.re*t.w1.re - b.im*t.w1.im, b.re*t.w1.im + b.im*t.w1.re}
			c = point{c.re*t.w2.re - c.im*t.w2.im, c.re*t.w2.im + c.im*t.w2.re}
			d = point{d.re*t.w3.re - d.im*t.w3.im, d.re*t.w3.im + d.im*t.w3.re}
			sum02, dif02 := point{a.re + c.re, a.im + c.im}, point{a.re - c.re, a.im - c.im}
			sum13, dif13 := point{b.re + d.re, b.im + d.im}, point{b.re - d.re, b.im - d.im}
			p0[j] = point{sum02.re + sum13.re, sum02.im + sum13.im}
			p1[j] = point{dif02.re + dif13.im, dif02.im - dif13.re}
			p2[j] = point{sum02.re - sum13.re, sum02.im - sum13.im}
			p3[j] = point{dif02.re - dif13.im, dif02.im + dif13.re}
		}
	}
}

// untangle splits the transform z of even + i·odd samples into those of the even and the odd ones, E and O, and writes
// the power of X[k] = E[k] + exp(-2πi·k/n)·O[k] and of its mirror X[n/2-k] = conj(E[k] - exp(-2πi·k/n)·O[k]).
func (f *powerFFT) untangle(power []float32, z []point) {
	n := len(z)
	power[0] = (z[0].re + z[0].im) * (z[0].re + z[0].im)
	power[n] = (z[0].re - z[0].im) * (z[0].re - z[0].im)
	power[n/2] = z[n/2].re*z[n/2].re + z[n/2].im*z[n/2].im
	for k, w := range f.half[:n/2] {
		if k == 0 {
			continue
		}
		a, b := z[k], z[n-k]
		even := point{a.re + b.re, a.im - b.im}
		odd := point{a.im + b.im, b.re - a.re}
		odd = point{odd.re*w.re - odd.im*w.im, odd.re*w.im + odd.im*w.re}
		re, im := even.re+odd.re, even.im+odd.im
		power[k] = 0.25 * (re*re + im*im)
		re, im = even.re-odd.re, even.im-odd.im
		power[n-k] = 0.25 * (re*re + im*im)
	}
}
