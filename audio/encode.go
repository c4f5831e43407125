package audio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// writeBlock is how many bytes of a file are written at a time.
const writeBlock = 8 << 10

// wavHeader is what the head of a WAV file with one data chunk says.
type wavHeader struct {
	Encoding       Encoding
	Rate, Channels int
	Samples        int // of all channels
}

// appendHeader appends to b the bytes in front of the samples. What is not plain PCM gets the extension field and
// the fact chunk that the specification asks for.
func appendHeader(b []byte, h wavHeader) []byte {
	size, tag := h.Encoding.Bytes(), formatTags[h.Encoding]
	fmtSize, factSize := 16, 0
	if tag != tagPCM {
		fmtSize, factSize = 18, 8+4
	}
	data := h.Samples * size
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(4+8+fmtSize+factSize+8+data+data%2))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, uint32(fmtSize))
	b = le.AppendUint16(b, tag)
	b = le.AppendUint16(b, uint16(h.Channels))
	b = le.AppendUint32(b, uint32(h.Rate))
	b = le.AppendUint32(b, uint32(h.Rate*h.Channels*size))
	b = le.AppendUint16(b, uint16(h.Channels*size))
	b = le.AppendUint16(b, uint16(8*size))
	if tag != tagPCM {
		b = le.AppendUint16(b, 0)
		b = append(b, "fact"...)
		b = le.AppendUint32(b, 4)
		b = le.AppendUint32(b, uint32(h.Samples/h.Channels))
	}
	b = append(b, "data"...)
	return le.AppendUint32(b, uint32(data))
}

// WriteWAV writes the clip as a mono WAV file of encoding e. Sizes are right from the start, so w may be a pipe.
// Integer encodings round to the nearest value and clip at full scale, without dither; G.711 starts from 16 bits;
// NaN is written as 0. Errors: ErrFormat for a rate or encoding that cannot be written, ErrTooLong beyond the 4 GiB
// of a WAV file, and w's own.
func WriteWAV(w io.Writer, c Clip, e Encoding) error {
	f := Format{Rate: c.Rate, Channels: 1}
	if err := f.check(); err != nil {
		return err
	}
	if !e.valid() {
		return fmt.Errorf("%w: cannot write WAV as %v", ErrFormat, e)
	}
	const longestHeader = 64
	if int64(len(c.Samples))*int64(e.Bytes()) > math.MaxUint32-longestHeader {
		return fmt.Errorf("%w: %d samples of %v are more than a WAV file holds", ErrTooLong, len(c.Samples), e)
	}
	b := appendHeader(make([]byte, 0, writeBlock), wavHeader{Encoding: e, Rate: c.Rate, Channels: 1, Samples: len(c.Samples)})
	for _, v := range c.Samples {
		if len(b)+8 > cap(b) {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		b = appendSample(b, v, e)
	}
	if len(c.Samples)*e.Bytes()%2 == 1 {
		b = append(b, 0)
	}
	_, err := w.Write(b)
	return err
}

// appendSample appends the bytes of one sample.
func appendSample(b []byte, v float32, e Encoding) []byte {
	le := binary.LittleEndian
	if v != v {
		v = 0
	}
	switch e {
	case U8:
		return append(b, byte(quantize(v, 8)+128))
	case S16LE:
		return le.AppendUint16(b, uint16(quantize(v, 16)))
	case S24LE:
		q := quantize(v, 24)
		return append(b, byte(q), byte(q>>8), byte(q>>16))
	case S32LE:
		return le.AppendUint32(b, uint32(quantize(v, 32)))
	case F32LE:
		return le.AppendUint32(b, math.Float32bits(v))
	case F64LE:
		return le.AppendUint64(b, math.Float64bits(float64(v)))
	case ALaw:
		return append(b, encodeALaw(int16(quantize(v, 16))))
	default:
		return append(b, encodeMuLaw(int16(quantize(v, 16))))
	}
}

// quantize returns v, full scale 1, as a signed integer of so many bits, rounded and clipped.
func quantize(v float32, bits int) int64 {
	scale := float64(int64(1) << (bits - 1))
	return int64(min(max(math.RoundToEven(float64(v)*scale), -scale), scale-1))
}
