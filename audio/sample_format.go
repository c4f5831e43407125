package audio

import (
	"fmt"
	"strings"
)

// Encoding is the way in which a PCM sample is written as bytes. The zero Encoding is none: that of compressed formats
// such as FLAC.
type Encoding int

// The encodings.
const (
	U8    Encoding = 1 + iota // unsigned 8-bit, 128 is silence
	S16LE                     // signed, little endian; full scale is 1<<15
	S24LE                     // full scale is 1<<23
	S32LE                     // full scale is 1<<31
	F32LE                     // IEEE 754, full scale is 1
	F64LE
	ALaw  // ITU-T G.711
	MuLaw // ITU-T G.711
	// S24In32LE is signed 24-bit in the low three of four bytes, little endian: ALSA's S24_LE, which arecord writes
	// with -f S24_LE. The highest byte holds the sign, or anything.
	S24In32LE
	S8    // signed
	S16BE // big endian, as the others that follow
	S24BE
	S32BE
	F32BE
	F64BE
)

type encoding struct {
	name   string
	bytes  int
	tag    uint16 // in WAV, 0 where it has none
	decode sampleDecoder
}

var encodings = [...]encoding{
	0:     {name: "none"},
	U8:    {"u8", 1, tagPCM, tableDecoder(func(code byte) int { return (int(code) - 128) << 8 })},
	S16LE: {"s16le", 2, tagPCM, decode16},
	S24LE: {"s24le", 3, tagPCM, decode24},
	S32LE: {"s32le", 4, tagPCM, decode32},
	F32LE: {"f32le", 4, tagFloat, decodeFloat32},
	F64LE: {"f64le", 8, tagFloat, decodeFloat64},
	ALaw:  {"alaw", 1, tagALaw, tableDecoder(decodeALaw)},
	MuLaw: {"mulaw", 1, tagMuLaw, tableDecoder(decodeMuLaw)},
	// A WAV header cannot say it: this is what it calls 32 bits, or 24 bits in frames of four bytes a channel.
	S24In32LE: {"s24in32le", 4, tagPCM, decode24In32},
	S8:        {"s8", 1, 0, tableDecoder(func(code byte) int { return int(int8(code)) << 8 })},
	S16BE:     {"s16be", 2, 0, bigEndian(2, decode16)},
	S24BE:     {"s24be", 3, 0, bigEndian(3, decode24)},
	S32BE:     {"s32be", 4, 0, bigEndian(4, decode32)},
	F32BE:     {"f32be", 4, 0, bigEndian(4, decodeFloat32)},
	F64BE:     {"f64be", 8, 0, bigEndian(8, decodeFloat64)},
}

// bigEndians are the big-endian forms of encodings.
var bigEndians = map[Encoding]Encoding{S16LE: S16BE, S24LE: S24BE, S32LE: S32BE, F32LE: F32BE, F64LE: F64BE}

// valid reports whether e is one of the named encodings.
func (e Encoding) valid() bool { return e >= U8 && e <= F64BE }

// String returns the name that ParseEncoding reads: u8, s16le, s24le, s32le, f32le, f64le, alaw, mulaw, s8, s16be,
// s24be, s32be, f32be, f64be, which are also ffmpeg's names, or s24in32le.
func (e Encoding) String() string {
	if e != 0 && !e.valid() {
		return fmt.Sprintf("Encoding(%d)", int(e))
	}
	return encodings[e].name
}

// Bytes returns the size of a sample, 0 for the zero Encoding.
func (e Encoding) Bytes() int { return encodings[e].bytes }

// ParseEncoding returns the encoding of a name, in any case. An unknown name gives ErrFormat.
func ParseEncoding(name string) (Encoding, error) {
	var names []string
	for e := U8; e.valid(); e++ {
		if e.String() == strings.ToLower(name) {
			return e, nil
		}
		names = append(names, e.String())
	}
	return 0, fmt.Errorf("%w: encoding %q (there are %s)", ErrFormat, name, strings.Join(names, ", "))
}

// MarshalText implements encoding.TextMarshaler with the encoding's name.
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseEncoding.
func (e *Encoding) UnmarshalText(text []byte) (err error) {
	*e, err = ParseEncoding(string(text))
	return err
}
