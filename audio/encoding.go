package audio

import (
	"fmt"
	"slices"
	"strings"
)

// Encoding says how a PCM sample is written as bytes.
type Encoding int

// The encodings. The zero Encoding is none of them: it is what a compressed format such as FLAC reports.
const (
	U8    Encoding = 1 + iota // unsigned 8-bit, 128 is silence
	S16LE                     // signed, little endian; full scale is 1<<15
	S24LE                     // full scale is 1<<23
	S32LE                     // full scale is 1<<31
	F32LE                     // IEEE 754, full scale is 1
	F64LE
	ALaw  // ITU-T G.711
	MuLaw // ITU-T G.711
)

var encodings = [...]struct {
	name  string
	bytes int
}{
	0:     {"none", 0},
	U8:    {"u8", 1},
	S16LE: {"s16le", 2},
	S24LE: {"s24le", 3},
	S32LE: {"s32le", 4},
	F32LE: {"f32le", 4},
	F64LE: {"f64le", 8},
	ALaw:  {"alaw", 1},
	MuLaw: {"mulaw", 1},
}

// valid tells whether e is one of the named encodings.
func (e Encoding) valid() bool { return e >= U8 && e <= MuLaw }

// String returns the name that ParseEncoding reads: u8, s16le, s24le, s32le, f32le, f64le, alaw or mulaw; these are
// also ffmpeg's names.
func (e Encoding) String() string {
	if e != 0 && !e.valid() {
		return fmt.Sprintf("Encoding(%d)", int(e))
	}
	return encodings[e].name
}

// Bytes returns the size of a sample, 0 for the zero Encoding.
func (e Encoding) Bytes() int { return encodings[e].bytes }

// ParseEncoding returns the encoding of that name, in any case; an unknown name is ErrFormat.
func ParseEncoding(name string) (Encoding, error) {
	var names []string
	for e := U8; e <= MuLaw; e++ {
		names = append(names, e.String())
	}
	if i := slices.Index(names, strings.ToLower(name)); i >= 0 {
		return U8 + Encoding(i), nil
	}
	return 0, fmt.Errorf("%w: encoding %q (there are %s)", ErrFormat, name, strings.Join(names, ", "))
}

// MarshalText implements encoding.TextMarshaler with the encoding's name.
func (e Encoding) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseEncoding.
func (e *Encoding) UnmarshalText(text []byte) error {
	parsed, err := ParseEncoding(string(text))
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}
