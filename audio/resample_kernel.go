package audio

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/audio/internal/simd"
)

// The resampling kernel is a sinc whose cutoff lies in the middle of the transition band, under a Kaiser window (Kaiser
// and Schafer 1980; Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3). Frequencies are relative to the
// Nyquist frequency of the lower rate.
const (
	attenuation = 90.0 // dB in the stop band
	passEdge    = 0.9  // the transition band reaches from here to 1

	// interpolatedPhases per sample of the lower rate suffice to interpolate linearly between phases: the error is
	// (π/phases)²/8, 106 dB down.
	interpolatedPhases = 512
	// maxTable bounds the coefficients of a kernel with one phase for every fraction that occurs.
	maxTable = 1 << 18
)

// kernel is a bank of phases of the low-pass filter between two rates. Phase p is for outputs that lie p/phases of an
// input sample after input sample taps/2-1 of their window. The last phase is the first, one sample later.
type kernel struct {
	taps, phases int
	table        []float32 // phases+1 rows of taps
	out          int64
	dot          func(a, b []float32) float32 // of two slices of the same length
}

// newKernel returns the kernel from rate in to rate out, which are in lowest terms. Outputs occur at fractions k/out of
// an input sample; where a phase for each is too many, the table holds fewer and at interpolates.
func newKernel(in, out int) kernel {
	narrowing := max(1, float64(in)/float64(out)) // input samples in a sample of the lower rate
	// Kaiser's formula for the length gives the window's half-width in samples of the lower rate.
	half := (attenuation - 7.95) / (2 * 2.285 * math.Pi * (1 - passEdge)) * narrowing
	taps := 2 * int(math.Ceil(half))
	taps += -taps & 3 // kernels take four at a time
	phases := out
	if out*taps > maxTable {
		phases = int(math.Ceil(interpolatedPhases / narrowing))
	}
	k := kernel{taps: taps, phases: phases, table: make([]float32, (phases+1)*taps), out: int64(out)}
	k.dot = simd.Chosen().Dot
	cutoff := (passEdge + 1) / 2 / narrowing
	window := kaiser(0.1102*(attenuation-8.7), half)
	row := make([]float64, taps)
	for p := range phases/2 + 1 {
		sum := 0.0
		for i := range row {
			x := float64(i-taps/2+1) - float64(p)/float64(phases)
			row[i] = Sinc(cutoff*x) * window(x)
			sum += row[i]
		}
		// The sum of a phase is its gain at 0 Hz. The filter is even, so phase phases-p is phase p reversed.
		mirror := k.row(phases - p)
		for i, h := range row {
			h := float32(h / sum)
			k.row(p)[i] = h
			mirror[taps-1-i] = h
		}
	}
	return k
}

func (k *kernel) row(p int) []float32 { return k.table[p*k.taps : (p+1)*k.taps] }

// at returns the output that lies fraction/out of an input sample after the middle of its window.
func (k *kernel) at(window []float32, fraction int64) float32 {
	if int64(k.phases) == k.out {
		return k.dot(window, k.row(int(fraction)))
	}
	position := fraction * int64(k.phases)
	p := int(position / k.out)
	weight := float32(position%k.out) / float32(k.out)
	low, high := k.dot(window, k.row(p)), k.dot(window, k.row(p+1))
	return low + weight*(high-low)
}

// Sinc returns sin(πx)/πx.
func Sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser returns the Kaiser window I0(β·sqrt(1-(x/half)²)), 0 beyond half. Its scale is left to the caller's
// normalisation.
func kaiser(beta, half float64) func(x float64) float64 {
	var series [24]float64 // I0(z) = Σ series[k]·(z²/4)^k, series[k] = 1/k!²
	c := 1.0
	for k := range series {
		series[k] = c
		c /= float64(k+1) * float64(k+1)
	}
	return func(x float64) float64 {
		r := x / half
		if r*r >= 1 {
			return 0
		}
		t := beta * beta * (1 - r*r) / 4
		sum := 0.0
		for _, c := range slices.Backward(series[:]) {
			sum = sum*t + c
		}
		return sum
	}
}
