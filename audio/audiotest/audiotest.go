// Package audiotest makes sound files and raw PCM for tests. It does not import package audio, so that the tests inside
// that package can use it too; encodings are given by their names, which are what an audio.Encoding prints as.
package audiotest

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// WAV returns samples as a mono WAV file, with an extension field and a fact chunk where it is not integer PCM.
func WAV(encoding fmt.Stringer, rate int, samples []float32) []byte {
	data := PCM(encoding, samples)
	tag, size := 1, len(PCM(encoding, []float32{0}))
	switch encoding.String() {
	case "f32le", "f64le":
		tag = 3
	case "alaw":
		tag = 6
	case "mulaw":
		tag = 7
	}
	// tag and channels, bytes per frame and bits are 16 bits each
	format := words(uint32(tag)|1<<16, uint32(rate), uint32(rate*size), uint32(size)|uint32(8*size)<<16)
	var fact []byte
	if tag != 1 {
		format = append(format, 0, 0)
		fact = chunk("fact", words(uint32(len(samples))))
	}
	return chunk("RIFF", slices.Concat([]byte("WAVE"), chunk("fmt ", format), fact, chunk("data", data)))
}

// Cue is a cue point, in frames.
type Cue struct {
	Label         string
	Start, Length uint32
}

// WithCues returns the WAV file with cue points after its samples.
func WithCues(wav []byte, cues ...Cue) []byte {
	points, texts := words(uint32(len(cues))), []byte("adtl")
	for i, c := range cues {
		number := uint32(i + 1)
		points = slices.Concat(points, words(number, c.Start), []byte("data"), words(0, 0, c.Start))
		label := slices.Concat(words(number), []byte(c.Label), []byte{0})
		length := slices.Concat(words(number, c.Length), []byte("rgn "), make([]byte, 8))
		texts = slices.Concat(texts, chunk("labl", label), chunk("ltxt", length))
	}
	return chunk("RIFF", slices.Concat(wav[8:], chunk("cue ", points), chunk("LIST", texts)))
}

// words returns numbers of 32 bits.
func words(numbers ...uint32) (b []byte) {
	for _, v := range numbers {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func chunk(id string, body []byte) []byte {
	return slices.Concat([]byte(id), words(uint32(len(body))), body, make([]byte, len(body)%2))
}

// PCM returns samples as raw PCM. Integers are rounded and clipped, NaN becomes 0, and G.711 starts from 16 bits.
func PCM(encoding fmt.Stringer, samples []float32) []byte {
	le := binary.LittleEndian
	var b []byte
	for _, v := range samples {
		if v != v {
			v = 0
		}
		if little, ok := strings.CutSuffix(encoding.String(), "be"); ok {
			swapped := PCM(name(little+"le"), []float32{v})
			slices.Reverse(swapped)
			b = append(b, swapped...)
			continue
		}
		switch name := encoding.String(); name {
		case "s8":
			b = append(b, byte(Quantize(v, 8)))
		case "u8":
			b = append(b, byte(Quantize(v, 8)+128))
		case "s16le":
			b = le.AppendUint16(b, uint16(Quantize(v, 16)))
		case "s24le":
			q := Quantize(v, 24)
			b = append(b, byte(q), byte(q>>8), byte(q>>16))
		case "s24in32le":
			b = le.AppendUint32(b, uint32(Quantize(v, 24)))
		case "s32le":
			b = le.AppendUint32(b, uint32(Quantize(v, 32)))
		case "f32le":
			b = le.AppendUint32(b, math.Float32bits(v))
		case "f64le":
			b = le.AppendUint64(b, math.Float64bits(float64(v)))
		case "alaw":
			b = append(b, encodeALaw(int(Quantize(v, 16))))
		case "mulaw":
			b = append(b, encodeMuLaw(int(Quantize(v, 16))))
		default:
			panic("audiotest: no encoding " + name)
		}
	}
	return b
}

// name is an encoding's.
type name string

func (n name) String() string { return string(n) }

// Quantize returns v, full scale 1, as a signed integer of so many bits, rounded and clipped.
func Quantize(v float32, bits int) int64 {
	scale := math.Ldexp(1, bits-1)
	return int64(min(max(math.RoundToEven(float64(v)*scale), -scale), scale-1))
}

// encodeMuLaw returns the µ-law byte whose step holds the magnitude of a 16-bit value (ITU-T G.711).
func encodeMuLaw(v int) byte {
	const bias, clip = 132, 32635
	sign := byte(0)
	if v < 0 {
		sign, v = 0x80, -v
	}
	v = min(v, clip) + bias
	segment := bits.Len(uint(v)) - 8
	return ^(sign | byte(segment<<4|v>>(segment+3)&15))
}

// encodeALaw returns the A-law byte whose step holds a 16-bit value (ITU-T G.711).
func encodeALaw(v int) byte {
	sign := byte(0x80)
	if v < 0 {
		sign, v = 0, -v-1 // each negative step holds its lower bound
	}
	segment := max(bits.Len(uint(v))-8, 0)
	return (sign | byte(segment<<4|v>>(max(segment, 1)+3)&15)) ^ 0x55
}
