package datasets

import "math"

// interpolator reads sound at another speed, with the Lanczos kernel over sincTaps samples at sincPhases places between two
// samples: its error is below -40 dB up to a quarter of the rate and -30 dB at 0.35 of it. It does not filter: at a speed
// v > 1 what lies above Nyquist/v is mirrored below Nyquist, which for the few percent of augmentation is a little noise
// above 7 kHz.
type interpolator struct {
	table []float32 // (sincPhases, sincTaps)
}

const (
	sincTaps   = 8
	sincBefore = sincTaps/2 - 1 // taps before the sample at or left of the place
	sincBits   = 9
	sincPhases = 1 << sincBits
)

func newInterpolator() *interpolator {
	p := &interpolator{table: make([]float32, sincPhases*sincTaps)}
	for phase := range sincPhases {
		var taps [sincTaps]float64
		sum := 0.0
		for k := range taps {
			x := float64(k-sincBefore) - float64(phase)/sincPhases
			taps[k] = sinc(x) * sinc(x/(sincTaps/2))
			sum += taps[k]
		}
		for k, v := range taps {
			p.table[phase*sincTaps+k] = float32(v / sum)
		}
	}
	return p
}

// read sets dst[i] to src at the place from + i·step. src must reach sincBefore samples in front of the first place
// and sincTaps behind the last one.
func (p *interpolator) read(dst, src []float32, from, step float64) {
	const one = 1 << 32
	at := uint64(from*one) + one/sincPhases/2 // fixed point, rounded to a phase
	advance := uint64(step * one)
	for i := range dst {
		k := int(at >> 32)
		phase := int(at>>(32-sincBits)) & (sincPhases - 1)
		s := src[k-sincBefore : k-sincBefore+sincTaps : k-sincBefore+sincTaps]
		t := p.table[phase*sincTaps : phase*sincTaps+sincTaps : phase*sincTaps+sincTaps]
		dst[i] = s[0]*t[0] + s[1]*t[1] + s[2]*t[2] + s[3]*t[3] + s[4]*t[4] + s[5]*t[5] + s[6]*t[6] + s[7]*t[7]
		at += advance
	}
}

// sinc returns sin(πx)/πx.
func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
