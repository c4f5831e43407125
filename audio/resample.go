package audio

import (
	"fmt"
	"io"
)

// resampler converts the rate of a Source with a polyphase windowed-sinc filter.
//
// Output sample j lies at input position j·in/out. Its value is the filter's dot product with the input around that
// position, so the group delay is nil; outside the sound the input is zero. Each output is computed from the same
// numbers in the same order however the source cuts its pieces.
type resampler struct {
	source  Source
	in, out int64 // rates in lowest terms
	rate    int
	filter  filter

	input   []float32 // the part of the input that is still needed; input[0] is at position first
	first   int64
	arrived int64 // input samples so far
	padding []float32
	err     error // how the source ended; io.EOF after the padding behind the sound

	at    int64 // the next output lies at input position at + phase/out
	phase int64
}

// Resample returns a Source of s's sound at rate hertz; s itself where that is its rate. Both rates must be within
// MinRate and MaxRate, else ErrFormat.
//
// The filter is linear-phase: flat within 0.01 dB up to 90 % of the lower rate's Nyquist frequency, and at least 80 dB
// down above that frequency. N samples become ceil(N·rate/s.Rate()), and nothing is delayed. State is bounded by
// about 2 MB for any pair of rates.
func Resample(s Source, rate int) (Source, error) {
	if s.Rate() == rate {
		return s, nil
	}
	for _, r := range []int{s.Rate(), rate} {
		if r < MinRate || r > MaxRate {
			return nil, fmt.Errorf("%w: resampling from %d to %d Hz, both must be %d to %d",
				ErrFormat, s.Rate(), rate, MinRate, MaxRate)
		}
	}
	common := gcd(s.Rate(), rate)
	in, out := s.Rate()/common, rate/common
	r := &resampler{source: s, in: int64(in), out: int64(out), rate: rate, filter: newFilter(in, out)}
	before := r.filter.taps/2 - 1
	r.padding = make([]float32, r.filter.taps/2)
	r.input = make([]float32, before, r.filter.taps+inputBlock+len(r.padding))
	r.first = -int64(before)
	return r, nil
}

// inputBlock is how many input samples are asked for at a time.
const inputBlock = 4096

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Rate implements Source.
func (r *resampler) Rate() int { return r.rate }

// Read implements Source.
func (r *resampler) Read(dst []float32) (n int, err error) {
	for n < len(dst) {
		if r.err == io.EOF && r.at >= r.arrived {
			return n, io.EOF
		}
		start := int(r.at - int64(r.filter.taps/2-1) - r.first)
		if start+r.filter.taps > len(r.input) {
			if n > 0 && r.err == nil {
				return n, nil // what follows may have to be waited for
			}
			if r.err != nil {
				return n, r.err
			}
			r.fill()
			continue
		}
		dst[n] = r.filter.at(r.input[start:start+r.filter.taps], r.phase)
		n++
		r.phase += r.in
		r.at += r.phase / r.out
		r.phase %= r.out
	}
	return n, nil
}

// fill drops the input that is no longer needed and reads more; behind the end of the sound it puts zeros.
func (r *resampler) fill() {
	done := min(int(r.at-int64(r.filter.taps/2-1)-r.first), len(r.input))
	r.input = r.input[:copy(r.input, r.input[done:])]
	r.first += int64(done)
	space := r.input[len(r.input):cap(r.input)]
	n, err := r.source.Read(space[:min(len(space), inputBlock)])
	r.input = r.input[:len(r.input)+n]
	r.arrived += int64(n)
	r.err = err
	if err == io.EOF {
		r.input = append(r.input, r.padding...)
	}
}
