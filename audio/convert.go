package audio

import "fmt"

// Converter turns live sound that is pushed in pieces of any size, bytes of PCM or samples of several channels, into
// mono samples of another rate. Its output does not depend on how the sound is cut.
type Converter struct {
	format    Format
	decode    sampleDecoder
	resampler *resampler // nil where the rates are the same
	bytes     []byte     // of a frame that is not complete
	frame     []float32  // samples of a frame that is not complete
	scratch   []float32
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
	if channels == 1 {
		return c.resample(dst, samples)
	}
	mono := make([]float32, 0, (len(c.frame)+len(samples))/channels)
	for _, v := range samples {
		if c.frame = append(c.frame, v); len(c.frame) == channels {
			mono = append(mono, mixDown(c.frame, channels)[0])
			c.frame = c.frame[:0]
		}
	}
	return c.resample(dst, mono)
}

// resample appends mono samples at the new rate to dst.
func (c *Converter) resample(dst, samples []float32) []float32 {
	if c.resampler == nil {
		return append(dst, samples...)
	}
	for len(samples) > 0 {
		n := min(len(samples), inputBlock)
		c.resampler.write(samples[:n])
		samples = samples[n:]
		dst = c.drain(dst)
	}
	return dst
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
	if c.resampler != nil {
		c.resampler.reset()
	}
}
