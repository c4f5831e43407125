package audio

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// blockSamples is how many samples, of all channels, are decoded at a time.
const blockSamples = 4096

// sampleDecoder decodes len(dst) samples: dst[i] is the one at src[i*bytes:].
type sampleDecoder func(dst []float32, src []byte)

// tableDecoder returns the decoder of one-byte samples, whose linear value is on the 16-bit scale.
func tableDecoder(linear func(code byte) int) sampleDecoder {
	var table [256]float32
	for code := range table {
		table[code] = float32(linear(byte(code))) / (1 << 15)
	}
	return func(dst []float32, src []byte) {
		for i, code := range src {
			dst[i] = table[code]
		}
	}
}

// The floats are as they are written: NaN, infinite and absurd ones are replaced afterwards (oddSamples).

func decodeFloat32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeFloat64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

// Integer samples are decoded here and not by go-audio/wav, which takes 17 ns for each, as long as the network. Tests
// check that both give the same floats.

const (
	scale16 = 1.0 / (1 << 15)
	scale32 = 1.0 / (1 << 31)
)

func decode16(dst []float32, src []byte) {
	for len(dst) >= 4 && len(src) >= 8 { // four at a time take 0.6 of the time
		four := binary.LittleEndian.Uint64(src)
		dst[0] = float32(int16(four)) * scale16
		dst[1] = float32(int16(four>>16)) * scale16
		dst[2] = float32(int16(four>>32)) * scale16
		dst[3] = float32(int16(four>>48)) * scale16
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:]))) * scale16
	}
}

func decode24(dst []float32, src []byte) {
	for i := range dst {
		b := src[3*i:][:3]
		dst[i] = float32(int32(b[0])<<8|int32(b[1])<<16|int32(b[2])<<24) * scale32
	}
}

func decode32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:]))) * scale32
	}
}

func decode24In32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])<<8)) * scale32
	}
}

// bigEndian returns the decoder of big-endian samples of that size, given that of little-endian ones.
func bigEndian(size int, decode sampleDecoder) sampleDecoder {
	return func(dst []float32, src []byte) {
		var buffer [16 * 24]byte // whole samples of every size
		for len(dst) > 0 {
			n := min(len(dst), len(buffer)/size)
			little := buffer[:n*size]
			for i := 0; i < len(little); i += size {
				for k := range size {
					little[i+k] = src[i+size-1-k]
				}
			}
			decode(dst[:n], little)
			dst, src = dst[n:], src[len(little):]
		}
	}
}

// pcmBlocks reads interleaved frames of PCM.
type pcmBlocks struct {
	in        *bufio.Reader
	claimed   int64 // bytes of the data chunk, -1 where its header does not say
	begun     int64 // bytes before this data chunk
	arrived   int64 // bytes
	rate      int
	channels  int
	frameSize int // bytes
	decode    sampleDecoder
	samples   []float32 // interleaved
	skip      int       // bytes to leave out before the next frame
	head      []byte    // of the next frame, read before
	notes     []string
}

// reset makes p read another sound, in the memory that it has.
func (p *pcmBlocks) reset(in *bufio.Reader, f Format, claimed int64) {
	*p = pcmBlocks{
		in: in, claimed: claimed, rate: f.Rate, channels: f.Channels, frameSize: f.Channels * f.Encoding.Bytes(),
		decode: encodings[f.Encoding].decode, samples: p.samples, head: p.head[:0],
	}
	if p.samples == nil {
		p.samples = make([]float32, blockSamples)
	}
}

// left returns how many bytes of the data chunk are still to come.
func (p *pcmBlocks) left() int64 {
	if p.claimed < 0 {
		return math.MaxInt64
	}
	return p.claimed - (p.arrived - p.begun)
}

// next implements blocks. It waits for one frame and decodes what has arrived with it.
func (p *pcmBlocks) next() ([]float32, error) {
	left := p.left()
	first, err := p.in.Peek(int(min(left, int64(p.need()))))
	if len(first) < p.need() {
		if err != nil && err != io.EOF {
			return nil, err
		}
		p.noteEnd(len(first))
		return nil, io.EOF
	}
	return p.take(int(min(left, int64(p.in.Buffered())))), nil
}

// need returns how many bytes the next frame needs.
func (p *pcmBlocks) need() int { return p.skip + p.frameSize - len(p.head) }

// realign has the next frame begin some bytes later, or with bytes that were read before.
func (p *pcmBlocks) realign(later int, head []byte) {
	p.skip, p.head = later, append(p.head[:0], head...)
}

// take decodes frames of the next n bytes, which have arrived and are as many as need says.
func (p *pcmBlocks) take(n int) []float32 {
	p.in.Discard(p.skip)
	p.arrived += int64(p.skip)
	n, p.skip = n-p.skip, 0
	if len(p.head) > 0 {
		rest, _ := p.in.Peek(p.frameSize - len(p.head))
		p.decode(p.samples[:p.channels], append(p.head, rest...))
		p.in.Discard(len(rest))
		p.arrived += int64(len(rest))
		p.head = p.head[:0]
		return p.samples[:p.channels]
	}
	frames := min(n/p.frameSize, len(p.samples)/p.channels)
	raw, _ := p.in.Peek(frames * p.frameSize)
	samples := p.samples[:frames*p.channels]
	p.decode(samples, raw)
	p.in.Discard(len(raw))
	p.arrived += int64(len(raw))
	return samples
}

// place returns how long the sound is so far, for messages.
func (p *pcmBlocks) place() string { return place(p.arrived/int64(p.frameSize), p.rate) }

// noteEnd notes what is odd about the end of the data, rest bytes after the last frame.
func (p *pcmBlocks) noteEnd(rest int) {
	switch size := p.arrived - p.begun + int64(rest); {
	case size < p.claimed:
		p.addNote("data chunk says %d bytes, file ends after %d, at %s", p.claimed, size, p.place())
	case rest > 0:
		p.addNote("%d bytes of data are not a whole number of %d-byte frames", size, p.frameSize)
	}
}

// maxNotes is how many sentences a warning has at most.
const maxNotes = 8

// addNote adds a sentence to the warning, unless it is there.
func (p *pcmBlocks) addNote(format string, args ...any) {
	if note := fmt.Sprintf(format, args...); len(p.notes) < maxNotes && !slices.Contains(p.notes, note) {
		p.notes = append(p.notes, note)
	}
}

func (p *pcmBlocks) warning() string { return joinNotes("", p.notes) }

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
