package audio

import (
	"fmt"
	"math"
)

// scaleStats are statistics of the beginning of sound in float or 32-bit samples, by which it is found out what the
// samples are: floats in [-1, 1], floats on an integer scale, integers that a header calls float, floats that it calls
// integers, or 24 bits in the low bytes of 32 (S24In32LE).
type scaleStats struct {
	samples   int
	nonzero   int // finite ones
	nonfinite int // NaN or infinite
	tiny      int // as integers are when they are read as floats: no sound has them
	fractions int
	beyond    int     // maxSample
	floats    int     // of the first maxFloats 32-bit samples, those that are likely floats
	softFloat float32 // of these, the least and the largest magnitude: as integers, they are not far apart
	loudFloat float32
	fine      bool // 32-bit samples have more than 16 bits
	low, high float32
	large     float32 // the largest magnitude that is not absurd
	upper     int     // 32-bit samples whose byte below the highest has its first bit, and the highest is 0
	softest   float64 // piece that is not silent, its mean square
	loudest   float64
	all       bool // this is the whole sound
}

const (
	minFloat = 1e-20 // of samples that are not 0; the softest of 32 bits is 5e-10

	maxFloats = 1024 // samples that are judged

	top24 = 1.0 / (1 << 8) // full scale of 24-bit samples that are read as 32-bit ones
	fine  = 1 << 15        // full scale of 16 bits

	loudEnough = 1e-5 // mean square of a piece by which channels are judged: -50 dBFS
)

// add takes a piece into account and returns its mean square.
func (s *scaleStats) add(x []float32, e Encoding) (energy float64) {
	s.samples += len(x)
	for _, v := range x {
		if v-v != 0 {
			s.nonfinite++
			continue
		}
		if v == 0 {
			continue
		}
		s.nonzero++
		a := v
		if v < 0 {
			a = -v
		}
		if a <= maxFloat {
			energy += float64(v) * float64(v)
			if a > s.large {
				s.large = a
			}
		}
		if v < s.low {
			s.low = v
		} else if v > s.high {
			s.high = v
		}
		if e == S32LE {
			s.add32(v)
			continue
		}
		switch {
		case a < minFloat, a > maxFloat:
			s.tiny++
		case a < 1, a != float32(int64(a)):
			s.fractions++
		}
		if a > maxSample && a <= maxFloat {
			s.beyond++
		}
	}
	energy /= float64(max(len(x), 1))
	if energy > 0 {
		s.loudest = max(s.loudest, energy)
		if s.softest == 0 || energy < s.softest {
			s.softest = energy
		}
	}
	return energy
}

// add32 takes a 32-bit sample into account.
func (s *scaleStats) add32(v float32) {
	if !s.fine {
		s.fine = v*fine != float32(int32(v*fine))
	}
	if v >= top24 {
		s.upper++
	}
	if s.nonzero > maxFloats {
		return
	}
	if f := float32(math.Abs(float64(floatOf(v)))); f >= 1e-7 && f <= 2 {
		if s.floats++; s.floats == 1 {
			s.softFloat = f
		}
		s.softFloat, s.loudFloat = min(s.softFloat, f), max(s.loudFloat, f)
	}
}

// certainFloat reports whether floats are known to be on the scale of 1.
func (s *scaleStats) certainFloat(f *Format) bool {
	tenth := f.Rate * f.Channels / 10
	return s.nonzero >= tenth && s.large <= 1 && 8*s.fractions >= s.nonzero && s.tiny == 0 ||
		s.samples >= f.Rate*f.Channels && s.nonzero >= tenth && s.large <= 1
}

// mayBe24In32 reports whether the highest byte of all 32-bit samples holds only the sign, or only zero.
func (s *scaleStats) mayBe24In32() bool { return s.low >= -top24 && s.high < top24 || s.zeroTop() }

// zeroTop reports whether the highest byte of all samples is zero although there are negative ones.
func (s *scaleStats) zeroTop() bool { return s.low >= 0 && s.high < 2*top24 && s.upper > 0 }

// is24In32 reports whether 32-bit samples are certain to be 24-bit ones in the low bytes. The other reading is a very
// quiet recording: of that, a beginning is as loud as its end, or it has no more than 16 bits.
func (s *scaleStats) is24In32() bool {
	if !s.mayBe24In32() || !s.fine {
		return false
	}
	if s.zeroTop() {
		return s.upper > s.nonzero/20 && s.upper < s.nonzero-s.nonzero/20
	}
	peak := max(s.high, -s.low) / top24
	return peak > 0.004 && s.loudest > 10*s.softest || s.all && peak > 0.25
}

// floatOf returns the float whose bits a 32-bit sample has, to the 24 bits that are left of these.
func floatOf(v float32) float32 {
	n := int64(float64(v) * (1 << 31))
	return math.Float32frombits(uint32(int32(min(n, math.MaxInt32))))
}

// settleScale finds out what the samples are, says what is odd about it, and chooses the conversion.
func (s *screen) settleScale() error {
	t := &s.scale
	switch {
	case s.float:
		return s.settleFloat()
	case s.format.Encoding != S32LE:
		return nil
	case t.is24In32():
		s.format.Encoding = S24In32LE
		s.convert = from24In32
		if !t.zeroTop() {
			s.report("the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)")
		} else {
			s.report("the highest of four bytes is always 0: read as 24 bits in the low three (s24in32le)")
		}
	case t.nonzero >= 64 && float64(t.floats) > 0.95*float64(min(t.nonzero, maxFloats)) && t.loudFloat > 4*t.softFloat:
		s.format.Encoding = F32LE
		s.float, s.convert = true, toFloat
		s.report("the samples look like 32-bit float, not integers as stated: read as float")
	}
	return nil
}

// settleFloat does so for floats.
func (s *screen) settleFloat() error {
	t := &s.scale
	odd := t.nonfinite + t.tiny
	switch {
	case t.nonfinite == t.samples && t.all:
		return fmt.Errorf("%w: all %d samples are NaN or infinite", ErrCorrupt, t.samples)
	case t.nonfinite == t.samples:
		return fmt.Errorf("%w: the first %d samples are all NaN or infinite", ErrCorrupt, t.samples)
	case 2*odd > t.nonzero+t.nonfinite && s.format.Encoding == F32LE && t.samples >= 64:
		return s.settleIntegers()
	case 50*t.beyond <= t.nonzero && (t.large <= 1 || t.fractions > 0):
		return nil // a few samples beyond are damage
	}
	scale, name := scaleOf(t.large, t.fractions == 0)
	if scale == 1 {
		return nil
	}
	s.convert = func(samples []float32) {
		for i := range samples {
			samples[i] *= scale
		}
	}
	s.report("float samples up to %.0f, taken as %s scale", t.large, name)
	return nil
}

// scaleOf returns the factor that brings samples of a peak to [-1, 1], and what their scale is called.
func scaleOf(peak float32, integers bool) (factor float32, name string) {
	switch {
	case peak <= maxSample && !integers:
		return 1, ""
	case peak <= 192 && !integers:
		return 1.0 / (1 << 7), "8-bit"
	case peak <= 1<<16:
		return 1.0 / (1 << 15), "16-bit"
	case peak <= 1<<24:
		return 1.0 / (1 << 23), "24-bit"
	}
	return 1.0 / (1 << 31), "32-bit"
}

// settleIntegers does so for floats most of which are too odd: they may be integers.
func (s *screen) settleIntegers() error {
	ints := append([]float32(nil), s.held...)
	toInteger(ints)
	halves := make([]float32, 0, 2*len(ints))
	for _, v := range s.held {
		bits := math.Float32bits(v)
		halves = append(halves, float32(int16(bits))*scale16, float32(int16(bits>>16))*scale16)
	}
	next := func(samples []float32) float64 {
		_, next := smooth(samples, s.format.Channels)
		return next
	}
	switch {
	case next(halves) > 0.5:
		return fmt.Errorf("%w: the samples look like 16-bit integers, not float as stated", ErrCorrupt)
	case next(ints) > 0.5:
		s.format.Encoding = S32LE
		s.float, s.convert = false, toInteger
		s.report("the samples look like 32-bit integers, not float as stated: read as integers")
	}
	return nil
}

// from24In32 converts 24-bit samples in the low bytes of 32 that were read as 32-bit ones.
func from24In32(samples []float32) {
	for i, v := range samples {
		if v *= 1 / top24; v >= 1 {
			v -= 2 // the highest byte is 0 instead of the sign
		}
		samples[i] = v
	}
}

// toFloat converts floats that were read as 32-bit integers.
func toFloat(samples []float32) {
	for i, v := range samples {
		samples[i] = floatOf(v)
	}
}

// toInteger converts 32-bit integers that were read as floats.
func toInteger(samples []float32) {
	for i, v := range samples {
		samples[i] = float32(int32(math.Float32bits(v))) * scale32
	}
}
