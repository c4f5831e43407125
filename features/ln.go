package features

import "math"

// ln returns the natural logarithm of a positive, finite and normal x to within 1e-11, several times faster than
// math.Log: the exponent from x's bits, and log((1+t)/(1−t)) = 2(t + t³/3 + t⁵/5 + ...), |t| < 0.172, of a mantissa
// between √½ and √2. In float64 every positive float32 is normal.
func ln(x float64) float64 {
	bits := math.Float64bits(x)
	exponent := float64(int(bits>>52) - 1023)
	m := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m /= 2
		exponent++
	}
	t := (m - 1) / (m + 1)
	t2 := t * t
	series := t * (2 + t2*(2.0/3+t2*(2.0/5+t2*(2.0/7+t2*(2.0/9+t2*(2.0/11+t2*(2.0/13)))))))
	return exponent*math.Ln2 + series
}
