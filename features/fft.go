package features

import (
	"math"
	"math/bits"

	"github.com/polyphon/polyphon/features/internal/simd"
)

// powerFFT is the read-only plan of a real Fourier transform of n points, a power of two from 16 to 65536. The n reals
// are taken as n/2 complex points, even samples real and odd ones imaginary, transformed with decimation in time by
// radix-4 stages (the first one of radix 2 where n/2 is not a power of four), and separated by symmetry into the n/2+1
// bins of the real signal. Complex numbers are pairs of floats.
type powerFFT struct {
	kernels *simd.Kernels
	radix   int       // of the first stage
	order   []uint16  // of the first inputs of the first stage's butterflies, in complex points: digits reversed
	stages  []stage   // after the first one
	half    []float32 // exp(-2πi·k/n), k in 0..n/4, for the separation
}

// stage joins four transforms of length points. Its twiddles are exp(-2πi·q·j/(4·length)), q = 1, 2, 3, of butterfly j.
type stage struct {
	length   int
	twiddles []float32
}

func newPowerFFT(n int, kernels *simd.Kernels) *powerFFT {
	points := n / 2
	f := &powerFFT{kernels: kernels, radix: 4}
	if bits.TrailingZeros(uint(points))%2 == 1 {
		f.radix = 2
	}
	f.order = make([]uint16, points/f.radix)
	for i := range f.order {
		reversed := 0
		for rest, size := i, len(f.order); size > 1; rest, size = rest/4, size/4 {
			reversed = reversed*4 + rest%4
		}
		f.order[i] = uint16(reversed)
	}
	for length := f.radix; length < points; length *= 4 {
		s := stage{length: length}
		for j := range length {
			for q := 1; q <= 3; q++ {
				s.twiddles = appendRoot(s.twiddles, q*j, 4*length)
			}
		}
		f.stages = append(f.stages, s)
	}
	for k := range n/4 + 1 {
		f.half = appendRoot(f.half, k, n)
	}
	return f
}

// appendRoot appends exp(-2πi·j/n).
func appendRoot(x []float32, j, n int) []float32 {
	sin, cos := math.Sincos(-2 * math.Pi * float64(j) / float64(n))
	return append(x, float32(cos), float32(sin))
}

// run sets power to |X[k]|² of the n samples x, k in 0..n/2, each value the kernels' lanes wide; work is as long as x.
func (f *powerFFT) run(power, x, work []float32) {
	if f.radix == 4 {
		f.kernels.First4(work, x, f.order)
	} else {
		f.kernels.First2(work, x, f.order)
	}
	for _, s := range f.stages {
		f.kernels.Butterflies(work, s.twiddles, s.length)
	}
	f.kernels.Power(power, work, f.half)
}
