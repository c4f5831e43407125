package audio

import (
	"bytes"
	"encoding/binary"
	"math"
)

// Suspicion is what raw sound seems to be other than what it was said to be.
type Suspicion int

// The suspicions.
const (
	Plausible   Suspicion = iota // nothing speaks against what was said
	TooQuiet                     // too quiet to tell
	Unsigned8                    // the bytes are 8-bit samples around 128, as arecord records unless it is told otherwise
	Floats                       // the bytes are F32LE
	BigEndian                    // the bytes are 16-bit samples, the other byte first
	Noise                        // noise at full scale, as the bytes of anything compressed or encoded otherwise are
	Interleaved                  // two channels that are read as one
)

// Suspect judges a piece of raw sound, from the beginning of a frame, that is read as encoding e with so many channels. A
// piece is enough that lasts a few tenths of a second; what sounds strange for a moment may still be sound, so a
// suspicion should be confirmed by the next pieces.
//
// The limits lie well beyond what 14,000 pieces of 4,096 samples of Speech Commands and ESC-10 show.
func Suspect(data []byte, e Encoding, channels int) Suspicion {
	if e != U8 && looksUnsigned8(data) {
		return Unsigned8
	}
	if e != F32LE && e != F64LE && looksFloat(data) {
		return Floats
	}
	samples := decodeAll(data, e)
	s := measure(samples)
	switch {
	case s.level < 0.001:
		return TooQuiet
	case e == S16LE && looksSwapped(data, s):
		return BigEndian
	case s.level > 0.3 && math.Abs(s.next) < 0.1 && math.Abs(s.second) < 0.1:
		return Noise
	case channels == 1 && looksInterleaved(s):
		return Interleaved
	}
	return Plausible
}

// decodeAll decodes the whole samples in data as one channel.
func decodeAll(data []byte, e Encoding) []float32 {
	d, err := Raw(bytes.NewReader(data), e, 1, 1)
	if err != nil {
		return nil
	}
	c, _ := ReadAll(d, 0)
	return c.Samples
}

// signalStats tells how the samples of a signal hang together.
type signalStats struct {
	level        float64 // root of the mean square
	next, second float64 // correlation with the next sample and with the one after it
	within       float64 // energy of the differences in the pairs (0, 1), (2, 3) ... by that of the differences between the pairs
	even         float64 // energy of the samples 0, 2, 4 ... by that of the others
}

func measure(x []float32) signalStats {
	var energy, difference [2]float64 // by whether the index is odd
	var next, second float64
	for i, v := range x {
		a := float64(v)
		energy[i%2] += a * a
		if i > 0 {
			b := float64(x[i-1])
			next += a * b
			difference[i%2] += (a - b) * (a - b)
		}
		if i > 1 {
			second += a * float64(x[i-2])
		}
	}
	const least = 1e-30 // keeps silence from dividing by 0
	sum := energy[0] + energy[1] + least
	return signalStats{
		level: math.Sqrt(sum / float64(max(len(x), 1))),
		next:  next / sum, second: second / sum,
		within: difference[1] / (difference[0] + least),
		even:   energy[0] / (energy[1] + least),
	}
}

// looksUnsigned8 reports whether nearly all bytes lie around 128. As high bytes of longer samples, they would be at full
// scale all the time.
func looksUnsigned8(data []byte) bool {
	near := 0
	for _, b := range data {
		if b >= 128-64 && b < 128+64 {
			near++
		}
	}
	return len(data) > 0 && float64(near) > 0.95*float64(len(data))
}

// looksFloat reports whether nearly all words of four bytes are, as F32LE, numbers as samples are, and not just round ones.
func looksFloat(data []byte) bool {
	words, likely, round := len(data)/4, 0, 0
	for i := range words {
		bits := binary.LittleEndian.Uint32(data[4*i:])
		if v := math.Abs(float64(math.Float32frombits(bits))); v == 0 || v >= 1e-7 && v <= 2 {
			likely++
		}
		if bits&0xFFFF == 0 {
			round++
		}
	}
	return words > 0 && float64(likely) > 0.98*float64(words) && float64(round) < 0.9*float64(words)
}

// looksSwapped reports whether data, which as S16LE has the given statistics, is smoother and softer with its bytes swapped.
func looksSwapped(data []byte, s signalStats) bool {
	other := bytes.Clone(data[:len(data)&^1])
	for i := 0; i < len(other); i += 2 {
		other[i], other[i+1] = other[i+1], other[i]
	}
	swapped := measure(decodeAll(other, S16LE))
	return swapped.next > 0.5 && s.next < swapped.next-0.3 && s.level > 1.3*swapped.level
}

// looksInterleaved reports whether every other sample belongs to another channel: one that is silent, one that is nearly the same, or
// one with which the first has nothing to do. A single channel knows no even and odd, and where its samples resemble the
// ones after the next, they resemble the next ones as well.
func looksInterleaved(s signalStats) bool {
	silent, same := s.even < 0.05 || s.even > 20, s.within < 0.25
	strange := s.second > 0.8 && math.Abs(s.next) < 0.6*s.second
	return s.second > 0.5 && (silent || same) || strange
}
