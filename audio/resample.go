package audio

import (
	"fmt"
	"io"
)

// resampler converts the rate of sound with a polyphase windowed-sinc filter.
//
// Output sample j lies at input position j·in/out. Its value is the dot product of the filter with the input around
// that position, so nothing is delayed; outside the sound, the input is zero. Each output is computed from the same
// numbers in the same order however the input is cut into pieces.
type resampler struct {
	in, out int64 // rates in lowest terms
	kernel  kernel

	input   []float32 // the part of the input that is still needed; input[0] is at position first
	first   int64
	arrived int64 // input samples so far
	ended   bool  // zeros follow the input

	at    int64 // the next output lies at input position at + phase/out
	phase int64
}

// newResampler returns a resampler, or an error that wraps ErrFormat for rates beyond MinRate and MaxRate.
func newResampler(from, to int) (*resampler, error) {
	for _, r := range []int{from, to} {
		if r < MinRate || r > MaxRate {
			return nil, fmt.Errorf("%w: resampling from %d to %d Hz, both must be %d to %d",
				ErrFormat, from, to, MinRate, MaxRate)
		}
	}
	common := gcd(from, to)
	r := &resampler{in: int64(from / common), out: int64(to / common), kernel: newKernel(from/common, to/common)}
	r.reset()
	return r, nil
}

// reset forgets the input.
func (r *resampler) reset() {
	before := r.kernel.taps/2 - 1
	if r.input == nil {
		r.input = make([]float32, before, r.kernel.taps+inputBlock+r.kernel.taps/2)
	}
	r.input = r.input[:before]
	clear(r.input)
	r.first, r.arrived, r.ended, r.at, r.phase = -int64(before), 0, false, 0, 0
}

// write adds input, without odd samples.
func (r *resampler) write(samples []float32) {
	done := min(int(r.at-int64(r.kernel.taps/2-1)-r.first), len(r.input)) // no longer needed
	r.input = append(r.input[:copy(r.input, r.input[done:])], samples...)
	ReplaceOdd(r.input[len(r.input)-len(samples):])
	r.first += int64(done)
	r.arrived += int64(len(samples))
}

// finish ends the input.
func (r *resampler) finish() {
	if !r.ended {
		r.ended = true
		for range r.kernel.taps / 2 {
			r.input = append(r.input, 0)
		}
	}
}

// read returns how many samples the input gives, at most len(dst), in dst.
func (r *resampler) read(dst []float32) (n int) {
	for ; n < len(dst) && !(r.ended && r.at >= r.arrived); n++ {
		start := int(r.at - int64(r.kernel.taps/2-1) - r.first)
		if start+r.kernel.taps > len(r.input) {
			break
		}
		dst[n] = r.kernel.at(r.input[start:start+r.kernel.taps], r.phase)
		r.phase += r.in
		r.at += r.phase / r.out
		r.phase %= r.out
	}
	return n
}

// resampledSource is a Source at another rate.
type resampledSource struct {
	*resampler
	source Source
	rate   int
	block  []float32
	err    error // how the source ended
}

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
	r, err := newResampler(s.Rate(), rate)
	if err != nil {
		return nil, err
	}
	return &resampledSource{resampler: r, source: s, rate: rate, block: make([]float32, inputBlock)}, nil
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
func (r *resampledSource) Rate() int { return r.rate }

// Warning returns that of the source.
func (r *resampledSource) Warning() string { return warning(r.source) }

// Read implements Source.
func (r *resampledSource) Read(dst []float32) (int, error) {
	for {
		n := r.read(dst)
		switch {
		case n == len(dst) || n > 0 && r.err == nil: // what follows may have to be waited for
			return n, nil
		case r.err != nil:
			return n, r.err
		}
		var got int
		got, r.err = r.source.Read(r.block)
		r.write(r.block[:got])
		if r.err == io.EOF {
			r.finish()
		}
	}
}
