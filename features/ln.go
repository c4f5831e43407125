package features

import "math"

// ln returns the natural logarithm of a positive finite x, to within 1e-6 or a float32's rounding of it: the exponent
// from x's bits, and log((1+t)/(1−t)) = 2(t + t³/3 + t⁵/5 + ...) of a mantissa between √½ and √2.
func ln(x float32) float32 {
	const (
		ln2     = math.Ln2
		subnorm = 1 << 23 // lifts subnormal numbers into the normal range
	)
	shift := float32(0)
	if x < math.SmallestNonzeroFloat32*subnorm {
		x *= subnorm
		shift = 23
	}
	bits := math.Float32bits(x)
	exponent := float32(int32(bits>>23)-127) - shift
	m := math.Float32frombits(bits&0x7fffff | 0x3f800000)
	if m > math.Sqrt2 {
		m /= 2
		exponent++
	}
	t := (m - 1) / (m + 1)
	t2 := t * t
	series := t * (2 + t2*(2.0/3+t2*(2.0/5+t2*(2.0/7+t2*(2.0/9)))))
	return exponent*ln2 + series
}
