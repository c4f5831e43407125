package audio

import (
	"math"
	"slices"
)

// MeanSquare returns the mean power of x, 0 where x is empty.
func MeanSquare(x []float32) float64 {
	var a, b, c, d float64 // four sums, so that additions do not wait for each other
	for i := 0; i+4 <= len(x); i += 4 {
		s := x[i : i+4 : i+4]
		a += float64(s[0]) * float64(s[0])
		b += float64(s[1]) * float64(s[1])
		c += float64(s[2]) * float64(s[2])
		d += float64(s[3]) * float64(s[3])
	}
	for _, v := range x[len(x)&^3:] {
		a += float64(v) * float64(v)
	}
	return (a + b + c + d) / float64(max(len(x), 1))
}

// SNRGain returns the factor by which to multiply noise of the mean power noise so that it lies snr dB below a signal
// of the mean power signal; 0 where either is 0.
func SNRGain(signal, noise, snr float64) float32 {
	if signal == 0 || noise == 0 {
		return 0
	}
	return float32(math.Sqrt(signal/noise) / math.Pow(10, snr/20))
}

// Levels returns the mean powers of the hundredths of a second of x, in the scale of its values. They have step samples
// each, but for the last one, which may have fewer.
func Levels[T int16 | float32](x []T, rate int) (step int, powers []float64) {
	step = max(rate/100, 1)
	powers = make([]float64, 0, len(x)/step+1)
	for part := range slices.Chunk(x, step) {
		sum := 0.0
		for _, v := range part {
			sum += float64(v) * float64(v)
		}
		powers = append(powers, sum/float64(len(part)))
	}
	return step, powers
}

// Extent returns the samples of x from its first to its last hundredth of a second whose mean power is at least a part
// of the loudest's: all of digital silence.
func Extent[T int16 | float32](x []T, rate int, part float64) (first, last int) {
	step, powers := Levels(x, rate)
	loudest := 0.0
	for _, p := range powers {
		loudest = max(loudest, p)
	}
	first = len(x)
	for i, p := range powers {
		if p >= part*loudest {
			first, last = min(first, i*step), min((i+1)*step, len(x))
		}
	}
	return first, last
}
