package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	goaudio "github.com/go-audio/audio"
	"github.com/go-audio/wav"
)

// blockBytes is about how much undecoded PCM is held at a time.
const blockBytes = 8 << 10

// sampleDecoder turns whole encoded samples into floats: dst[i] is the sample at src[i*bytes:]. It is used for one
// stream, in order.
type sampleDecoder func(dst []float32, src []byte) error

// newSampleDecoder returns the decoder of e's samples for blocks of at most size samples.
func newSampleDecoder(e Encoding, size int) sampleDecoder {
	switch e {
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
	default:
		return newIntegerDecoder(e, size)
	}
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

// newIntegerDecoder decodes S16LE, S24LE and S32LE with go-audio/wav. The library reads one synthetic header, and
// then every block as the continuation of that file's data chunk: it sees only whole samples, never a size that
// somebody claimed, and allocates no more than a block.
func newIntegerDecoder(e Encoding, size int) sampleDecoder {
	library := wav.NewDecoder(bytes.NewReader(appendHeader(nil, wavHeader{Encoding: e, Rate: 1, Channels: 1})))
	err := library.FwdToPCM()
	block := bytes.NewReader(nil)
	ints := goaudio.IntBuffer{Data: make([]int, size)}
	scale := 1 / float32(int64(1)<<(8*e.Bytes()-1))
	return func(dst []float32, src []byte) error {
		if err != nil {
			return err
		}
		block.Reset(src)
		library.PCMChunk.R = block
		ints.Data = ints.Data[:len(dst)]
		n, err := library.PCMBuffer(&ints)
		if err == nil && n != len(dst) {
			err = fmt.Errorf("%d of %d samples decoded", n, len(dst))
		}
		for i, v := range ints.Data {
			dst[i] = float32(v) * scale
		}
		return err
	}
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
		decode:    newSampleDecoder(e, frames*channels),
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
