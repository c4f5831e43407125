package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// blockBytes is about how much undecoded PCM is held at a time.
const blockBytes = 8 << 10

// sampleDecoder turns whole encoded samples into floats: dst[i] is the sample at src[i*bytes:]. It is used for one
// stream, in order.
type sampleDecoder func(dst []float32, src []byte) error

// newSampleDecoder returns the decoder of e's samples.
func newSampleDecoder(e Encoding) sampleDecoder {
	switch e {
	case S16LE:
		return decodeS16
	case S24LE:
		return decodeS24
	case S32LE:
		return decodeS32
	case U8:
		return decodeByTable(func(code byte) int { return (int(code) - 128) << 8 })
	case ALaw:
		return decodeByTable(decodeALaw)
	case MuLaw:
		return decodeByTable(decodeMuLaw)
	case F32LE:
		return decodeFloat32
	case F64LE:
		return decodeFloat64
	}
	panic(fmt.Sprintf("audio: no decoder of %v", e))
}

// decodeByTable decodes one-byte samples, whose linear value is on the 16-bit scale.
func decodeByTable(linear func(code byte) int) sampleDecoder {
	var table [256]float32
	for code := range table {
		table[code] = float32(linear(byte(code))) / (1 << 15)
	}
	return func(dst []float32, src []byte) error {
		for i, code := range src {
			dst[i] = table[code]
		}
		return nil
	}
}

// maxFloat is the largest float sample that is believed: it is beyond any integer scale that somebody may have
// forgotten to divide by, and its square still is an ordinary float32.
const maxFloat = 1 << 32

func decodeFloat32(dst []float32, src []byte) error {
	for i := range dst {
		dst[i] = finite(float64(math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))))
	}
	return nil
}

func decodeFloat64(dst []float32, src []byte) error {
	for i := range dst {
		dst[i] = finite(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
	return nil
}

// finite returns v, or 0 where v is NaN, infinite or beyond maxFloat.
func finite(v float64) float32 {
	if math.Abs(v) <= maxFloat {
		return float32(v)
	}
	return 0
}

// Little-endian integer PCM. go-audio/wav, which the tests hold these loops to, takes ten times as long through an
// interface call a sample: as long as a small network for the whole clip.

func decodeS16(dst []float32, src []byte) error {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:]))) / (1 << 15)
	}
	return nil
}

func decodeS24(dst []float32, src []byte) error {
	src = src[:3*len(dst)]
	for i := range dst {
		b := src[3*i : 3*i+3 : 3*i+3]
		v := int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8
		dst[i] = float32(v) / (1 << 23)
	}
	return nil
}

func decodeS32(dst []float32, src []byte) error {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:]))) / (1 << 31)
	}
	return nil
}

// pcmBlocks reads interleaved frames of PCM.
type pcmBlocks struct {
	r         io.Reader
	claimed   int64 // bytes of data that the header claims, -1 where it does not say
	arrived   int64
	channels  int
	frameSize int // bytes
	decode    sampleDecoder
	raw       []byte // undecoded bytes: the first held of them are part of a frame
	held      int
	samples   []float32 // interleaved
	note      string
}

func newPCMBlocks(r io.Reader, claimed int64, e Encoding, channels int) *pcmBlocks {
	frameSize := channels * e.Bytes()
	frames := blockBytes / frameSize
	if claimed >= 0 {
		r = io.LimitReader(r, claimed)
	}
	return &pcmBlocks{
		r:         r,
		claimed:   claimed,
		channels:  channels,
		frameSize: frameSize,
		decode:    newSampleDecoder(e),
		raw:       make([]byte, frames*frameSize),
		samples:   make([]float32, frames*channels),
	}
}

// next implements blocks. It waits for one frame and takes what has arrived with it.
func (p *pcmBlocks) next() ([]float32, error) {
	n, err := io.ReadAtLeast(p.r, p.raw[p.held:], p.frameSize-p.held)
	p.arrived += int64(n)
	p.held += n
	frames := p.held / p.frameSize
	if frames == 0 {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			p.noteEnd()
			return nil, io.EOF
		}
		return nil, err
	}
	samples := p.samples[:frames*p.channels]
	whole := frames * p.frameSize
	if err := p.decode(samples, p.raw[:whole]); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	p.held = copy(p.raw, p.raw[whole:p.held])
	return mixDown(samples, p.channels), nil
}

// noteEnd says what is odd about the place where the data ended.
func (p *pcmBlocks) noteEnd() {
	switch {
	case p.claimed >= 0 && p.arrived < p.claimed:
		p.note = fmt.Sprintf("data chunk says %d bytes, file ends after %d", p.claimed, p.arrived)
	case p.held > 0:
		p.note = fmt.Sprintf("%d bytes of data are not a whole number of %d-byte frames", p.arrived, p.frameSize)
	}
}

func (p *pcmBlocks) warning() string { return p.note }

// mixDown replaces interleaved frames by the mean of their channels, in place, and returns the mono samples.
func mixDown(samples []float32, channels int) []float32 {
	if channels == 1 {
		return samples
	}
	scale := 1 / float32(channels)
	frames := len(samples) / channels
	for i := range frames {
		var sum float32
		for _, v := range samples[i*channels : (i+1)*channels] {
			sum += v
		}
		samples[i] = sum * scale
	}
	return samples[:frames]
}
