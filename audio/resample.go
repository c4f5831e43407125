package audio

import (
	"fmt"
	"io"
)

// resampler converts the rate of a Source with a polyphase windowed-sinc filter.
//
// Output sample j lies at input position j·in/out. Its value is the dot product of the filter with the input around
// that position, so nothing is delayed; outside the sound, the input is zero. Each output is computed from the same
// numbers in the same order however the source cuts its pieces.
type resampler struct {
	source  Source
	in, out int64 // rates in lowest terms
	rate    int
	kernel  kernel

	input   []float32 // the part of the input that is still needed; input[0] is at position first
	first   int64
	arrived int64 // input samples so far
	err     error // how the source ended; after io.EOF, input holds the padding too

	at    int64 // the next output lies at input position at + phase/out
	phase int64
}

// inputBlock is how many input samples are asked for at a time.
const inputBlock = 4096

// Resample returns a Source of s's sound at rate hertz; s itself where that is its rate. Both rates must be within
// MinRate and MaxRate, else ErrFormat.
//
// The filter is linear-phase: flat within 0.01 dB up to 90 % of the lower rate's Nyquist frequency, and at least 80 dB
// down above that frequency. N samples become ceil(N·rate/s.Rate()), and nothing is delayed. Its memory is bounded by
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
	k := newKernel(in, out)
	before := k.taps/2 - 1
	return &resampler{
		source: s, in: int64(in), out: int64(out), rate: rate, kernel: k,
		input: make([]float32, before, k.taps+inputBlock+k.taps/2), first: -int64(before),
	}, nil
}

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
		start := r.start()
		if start+r.kernel.taps > len(r.input) {
			if n > 0 && r.err == nil {
				return n, nil // what follows may have to be waited for
			}
			if r.err != nil {
				return n, r.err
			}
			r.fill()
			continue
		}
		dst[n] = r.kernel.at(r.input[start:start+r.kernel.taps], r.phase)
		n++
		r.phase += r.in
		r.at += r.phase / r.out
		r.phase %= r.out
	}
	return n, nil
}

// start returns where in input the window of the next output begins.
func (r *resampler) start() int { return int(r.at - int64(r.kernel.taps/2-1) - r.first) }

// fill drops the input that is no longer needed and reads more, with zeros after the end of the sound.
func (r *resampler) fill() {
	done := min(r.start(), len(r.input))
	r.input = r.input[:copy(r.input, r.input[done:])]
	r.first += int64(done)
	n, err := r.source.Read(r.input[len(r.input):][:min(cap(r.input)-len(r.input), inputBlock)])
	r.input = r.input[:len(r.input)+n]
	r.arrived += int64(n)
	r.err = err
	if err == io.EOF {
		r.input = append(r.input, make([]float32, r.kernel.taps/2)...)
	}
}
