package audio

import "math"

// The resampling filter is a sinc whose cutoff lies in the middle of the transition band, under a Kaiser window
// (Kaiser and Schafer 1980; Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3). Frequencies are relative
// to the Nyquist frequency of the lower rate.
const (
	attenuation = 90.0 // dB in the stop band
	passEdge    = 0.9  // the transition band reaches from here to 1

	// interpolated is the number of phases per sample of the lower rate that suffices to interpolate linearly
	// between them: the error is (π/phases)²/8, 106 dB down.
	interpolated = 512
	// largestTable bounds the coefficients of a filter with one phase for every fraction that occurs.
	largestTable = 1 << 18
)

// filter is a bank of phases of the low-pass filter between two rates. Phase p is for outputs that lie p/phases of an
// input sample behind input sample taps/2-1 of their window. The last phase is the first, one sample later.
type filter struct {
	taps, phases int
	table        []float32 // phases+1 rows of taps
	out          int64
}

// newFilter returns the filter from rate in to rate out, which are in lowest terms. Outputs occur at fractions k/out
// of an input sample; where a phase for each is too many, the table holds fewer and at interpolates.
func newFilter(in, out int) filter {
	narrowing := max(1, float64(in)/float64(out)) // input samples in a sample of the lower rate
	// Kaiser's formula for the length gives the window's half-width in samples of the lower rate.
	half := (attenuation - 7.95) / (2 * 2.285 * math.Pi * (1 - passEdge)) * narrowing
	taps := 2 * int(math.Ceil(half))
	taps += -taps & 3 // dot takes four at a time
	phases := out
	if out*taps > largestTable {
		phases = int(math.Ceil(interpolated / narrowing))
	}
	f := filter{taps: taps, phases: phases, table: make([]float32, (phases+1)*taps), out: int64(out)}
	cutoff := (passEdge + 1) / 2 / narrowing
	window := newKaiser(0.1102*(attenuation-8.7), half)
	row := make([]float64, taps)
	for p := range phases/2 + 1 {
		sum := 0.0
		for i := range row {
			x := float64(i-taps/2+1) - float64(p)/float64(phases)
			row[i] = sinc(cutoff*x) * window.at(x)
			sum += row[i]
		}
		// The sum of a phase is its gain at 0 Hz. The filter is even, so phase phases-p is phase p reversed.
		mirror := f.row(phases - p)
		for i, h := range row {
			h := float32(h / sum)
			f.row(p)[i] = h
			mirror[taps-1-i] = h
		}
	}
	return f
}

func (f *filter) row(p int) []float32 { return f.table[p*f.taps : (p+1)*f.taps] }

// at returns the output that lies fraction/out of an input sample behind the middle of its window.
func (f *filter) at(window []float32, fraction int64) float32 {
	if int64(f.phases) == f.out {
		return dot(window, f.row(int(fraction)))
	}
	position := fraction * int64(f.phases)
	p := int(position / f.out)
	weight := float32(position%f.out) / float32(f.out)
	low, high := dot(window, f.row(p)), dot(window, f.row(p+1))
	return low + weight*(high-low)
}

// dot returns the inner product of two slices of the same length, a multiple of 4.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32 // four sums, so that additions do not wait for each other
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	return (s0 + s1) + (s2 + s3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the Kaiser window I0(β·sqrt(1-(x/half)²))/I0(β) for |x| ≤ half. Its scale is left to the caller's
// normalisation.
type kaiser struct {
	beta, half float64
	series     [24]float64 // I0(z) = Σ series[k]·(z²/4)^k, series[k] = 1/k!²
}

func newKaiser(beta, half float64) kaiser {
	w := kaiser{beta: beta, half: half}
	c := 1.0
	for k := range w.series {
		w.series[k] = c
		c /= float64(k+1) * float64(k+1)
	}
	return w
}

func (w *kaiser) at(x float64) float64 {
	r := x / w.half
	if r*r >= 1 {
		return 0
	}
	t := w.beta * w.beta * (1 - r*r) / 4
	sum := 0.0
	for k := len(w.series) - 1; k >= 0; k-- {
		sum = sum*t + w.series[k]
	}
	return sum
}
