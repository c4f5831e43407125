package audio

import (
	"fmt"
	"slices"
)

// Converter turns live sound that is pushed in pieces of any size, bytes of PCM or samples of several channels, into
// mono samples of another rate. Its output does not depend on how the sound is cut, and samples that are NaN, infinite
// or beyond ±2³² count as 0 (ReplaceOdd). It trusts what the format says of all others: the scale, the encoding and
// the channels are the caller's.
type Converter struct {
	format    Format
	decode    sampleDecoder
	resampler *resampler // nil where the rates are the same
	bytes     []byte     // of a frame that is not complete
	frame     []float32  // samples of a frame that is not complete
	scratch   []float32
	mono      []float32
	odd       int // samples
	pushed    int // samples
	beyond    int // maxSample
	peak      float32
}

// NewConverter returns a Converter from f's rate, channels and encoding to mono samples at rate hertz. Errors wrap
// ErrFormat.
func NewConverter(f Format, rate int) (*Converter, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if !f.Encoding.valid() {
		return nil, fmt.Errorf("%w: live sound needs an encoding, not %v", ErrFormat, f.Encoding)
	}
	c := &Converter{format: f, decode: encodings[f.Encoding].decode}
	if f.Rate == rate {
		return c, nil
	}
	var err error
	c.resampler, err = newResampler(f.Rate, rate)
	return c, err
}

// Write takes bytes in the format's encoding, cut anywhere, and appends the mono samples that they complete to dst.
func (c *Converter) Write(dst []float32, pcm []byte) []float32 {
	size := c.format.Encoding.Bytes()
	if len(c.bytes) > 0 {
		n := min(size-len(c.bytes), len(pcm))
		c.bytes, pcm = append(c.bytes, pcm[:n]...), pcm[n:]
		if len(c.bytes) < size {
			return dst
		}
		dst = c.Push(dst, c.decoded(c.bytes))
		c.bytes = c.bytes[:0]
	}
	whole := len(pcm) / size * size
	c.bytes = append(c.bytes, pcm[whole:]...)
	return c.Push(dst, c.decoded(pcm[:whole]))
}

// decoded returns the samples of whole encoded ones, valid until the next call.
func (c *Converter) decoded(pcm []byte) []float32 {
	n := len(pcm) / c.format.Encoding.Bytes()
	if cap(c.scratch) < n {
		c.scratch = make([]float32, n)
	}
	samples := c.scratch[:n]
	c.decode(samples, pcm)
	return samples
}

// Push takes interleaved samples, cut anywhere, and appends the mono samples that they complete to dst.
func (c *Converter) Push(dst, samples []float32) []float32 {
	channels := c.format.Channels
	for part := range slices.Chunk(samples, inputBlock) {
		c.mono = append(c.mono[:0], part...)
		c.odd += ReplaceOdd(c.mono)
		c.measure()
		if channels > 1 {
			n := 0
			for _, v := range c.mono {
				if c.frame = append(c.frame, v); len(c.frame) == channels {
					c.mono[n] = mixDown(c.frame, channels)[0]
					c.frame = c.frame[:0]
					n++
				}
			}
			c.mono = c.mono[:n]
		}
		dst = c.resample(dst, c.mono)
	}
	return dst
}

// measure looks for samples that are far beyond full scale.
func (c *Converter) measure() {
	c.pushed += len(c.mono)
	for _, v := range c.mono {
		if v > maxSample || v < -maxSample {
			c.beyond++
			c.peak = max(c.peak, v, -v)
		}
	}
}

// Warning says that the samples seem to be on an integer scale, and by what to divide them; "" where they do not.
func (c *Converter) Warning() string {
	if c.beyond == 0 || 100*c.beyond < c.pushed {
		return ""
	}
	factor, scale := scaleOf(c.peak, false)
	return fmt.Sprintf("samples up to %.0f, as on %s scale: divide them by %.0f, full scale is 1",
		c.peak, scale, 1/factor)
}

// Odd returns how many samples were NaN, infinite or beyond ±2³² since the sound began.
func (c *Converter) Odd() int { return c.odd }

// resample appends mono samples, at most inputBlock, at the new rate to dst.
func (c *Converter) resample(dst, samples []float32) []float32 {
	if c.resampler == nil {
		return append(dst, samples...)
	}
	c.resampler.write(samples)
	return c.drain(dst)
}

func (c *Converter) drain(dst []float32) []float32 {
	for {
		const block = 1024
		n := len(dst)
		dst = append(dst, make([]float32, block)...)
		got := c.resampler.read(dst[n:])
		if dst = dst[:n+got]; got < block {
			return dst
		}
	}
}

// Flush ends the sound and appends the samples that are left to dst. What is not a whole frame is dropped.
func (c *Converter) Flush(dst []float32) []float32 {
	if c.resampler == nil {
		return dst
	}
	c.resampler.finish()
	return c.drain(dst)
}

// Reset makes c ready for another sound.
func (c *Converter) Reset() {
	c.bytes, c.frame = c.bytes[:0], c.frame[:0]
	c.odd, c.pushed, c.beyond, c.peak = 0, 0, 0, 0
	if c.resampler != nil {
		c.resampler.reset()
	}
}
