package features

import "math"

// powerFFT computes the power spectrum of real frames of n samples: a complex FFT of n/2 points over pairs of
// samples, untangled into n/2+1 bins.
type powerFFT struct {
	n       int
	reverse []int32   // bit reversal of n/2 points
	wr, wi  []float32 // e^(−2πik/(n/2)), k < n/4
	ur, ui  []float32 // e^(−2πik/n), k ≤ n/4
}

func newPowerFFT(n int) *powerFFT {
	half := n / 2
	f := &powerFFT{n: n, reverse: make([]int32, half)}
	bits := 0
	for 1<<bits < half {
		bits++
	}
	for i := range f.reverse {
		for b := range bits {
			f.reverse[i] |= int32(i>>b&1) << (bits - 1 - b)
		}
	}
	f.wr, f.wi = roots(half, half/2)
	f.ur, f.ui = roots(n, n/4+1)
	return f
}

// roots returns count powers of e^(−2πi/n).
func roots(n, count int) (re, im []float32) {
	re, im = make([]float32, count), make([]float32, count)
	for k := range re {
		s, c := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		re[k], im[k] = float32(c), float32(s)
	}
	return re, im
}

// run writes |FFT(x)|² to power, n/2+1 values. re and im are work memory of n/2 values each.
func (f *powerFFT) run(power, x, re, im []float32) {
	half := f.n / 2
	x, re, im = x[:f.n], re[:half], im[:half]
	for i, j := range f.reverse {
		re[i], im[i] = x[2*j], x[2*j+1]
	}
	for size := 1; size < half; size *= 2 {
		f.stage(re, im, size)
	}
	f.untangle(power, re, im)
}

// stage joins transforms of size points into ones of twice as many.
func (f *powerFFT) stage(re, im []float32, size int) {
	step := len(re) / (2 * size)
	for at := 0; at < len(re); at += 2 * size {
		ar, ai := re[at:at+size], im[at:at+size]
		br, bi := re[at+size:at+2*size], im[at+size:at+2*size]
		w := 0
		for k := range ar {
			tr := br[k]*f.wr[w] - bi[k]*f.wi[w]
			ti := br[k]*f.wi[w] + bi[k]*f.wr[w]
			br[k], bi[k] = ar[k]-tr, ai[k]-ti
			ar[k], ai[k] = ar[k]+tr, ai[k]+ti
			w += step
		}
	}
}

// untangle turns the transform of pairs into the power spectrum of the samples: with Z the transform, the even samples
// have E = (Z[k]+Z*[−k])/2, the odd ones O = (Z[k]−Z*[−k])/2i, and the whole E + e^(−2πik/n)·O.
func (f *powerFFT) untangle(power, re, im []float32) {
	half := f.n / 2
	dc, nyquist := re[0]+im[0], re[0]-im[0]
	power[0], power[half] = dc*dc, nyquist*nyquist
	for k := 1; k <= half/2; k++ {
		j := half - k
		er, ei := (re[k]+re[j])/2, (im[k]-im[j])/2
		or, oi := (im[k]+im[j])/2, (re[j]-re[k])/2
		tr := or*f.ur[k] - oi*f.ui[k]
		ti := or*f.ui[k] + oi*f.ur[k]
		power[k] = (er+tr)*(er+tr) + (ei+ti)*(ei+ti)
		power[j] = (er-tr)*(er-tr) + (ei-ti)*(ei-ti)
	}
}
