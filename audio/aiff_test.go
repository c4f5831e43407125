package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio/audiotest"
)

// iffChunk is a big-endian chunk that claims size, padded to an even length.
func iffChunk(id string, size int, body ...byte) []byte {
	b := append(binary.BigEndian.AppendUint32([]byte(id), uint32(size)), body...)
	return append(b, make([]byte, len(body)%2)...)
}

// comm is a COMM chunk of 16 kHz; kind is that of AIFC, "" for AIFF.
func comm(channels, frames, bits int, kind string) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(channels))
	b = binary.BigEndian.AppendUint32(b, uint32(frames))
	b = binary.BigEndian.AppendUint16(b, uint16(bits))
	b = append(b, 0x40, 0x0C, 0xFA, 0, 0, 0, 0, 0, 0, 0) // 16000
	if kind != "" {
		b = append(b, kind+"\x05about"...)
	}
	return iffChunk("COMM", len(b), b...)
}

// ssnd is an SSND chunk of samples after so many bytes.
func ssnd(offset int, samples []byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(offset)), make([]byte, 4+offset)...)
	return iffChunk("SSND", len(b)+len(samples), append(b, samples...)...)
}

func aiff(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	return slices.Concat(binary.BigEndian.AppendUint32([]byte("FORM"), uint32(4+len(body))), []byte("AIFC"), body)
}

type aiffCase struct {
	name  string
	bytes []byte
	want  []float32
	err   error
	says  string
}

func aiffCases() (cases []aiffCase) {
	mono := comm(1, 5, 16, "")
	samples := audiotest.PCM(S16BE, levels)
	sound := ssnd(0, samples)
	for _, c := range []struct {
		kind     string
		bits     int
		encoding Encoding
	}{
		{"", 8, S8}, {"", 16, S16BE}, {"", 24, S24BE}, {"", 32, S32BE}, {"NONE", 16, S16BE}, {"twos", 16, S16BE},
		{"twos", 24, S24BE}, {"sowt", 8, S8}, {"sowt", 16, S16LE}, {"sowt", 24, S24LE}, {"sowt", 32, S32LE},
		{"fl32", 32, F32BE}, {"FL32", 32, F32BE}, {"fl64", 64, F64BE}, {"FL64", 64, F64BE}, {"in24", 24, S24BE},
		{"in32", 32, S32BE}, {"raw ", 8, U8}, {"", 12, S16BE}, {"", 20, S24BE}, {"42ni", 16, S24LE}, {"23ni", 16, S32LE},
	} {
		name := fmt.Sprintf("%q of %d bits", c.kind, c.bits)
		file := aiff(comm(1, 5, c.bits, c.kind), ssnd(0, audiotest.PCM(c.encoding, levels)))
		want := slices.Clone(levels)
		cases = append(cases, aiffCase{name, file, want, nil, ""})
	}
	frames := audiotest.PCM(S16BE, []float32{0, 0.5, -0.5, 0.25, -1, 0})
	big := func(size uint32) []byte {
		return with(aiff(mono, iffChunk("SSND", int(int32(size)), append(make([]byte, 8), samples...)...)), 4, 0, 0, 0, 0)
	}
	second := reversed(2, longData) // 8000 samples
	long := comm(1, 8000, 16, "")
	soundOf := func(size int, chunks ...[]byte) []byte {
		return aiff(long, iffChunk("SSND", size, append(make([]byte, 8), second...)...), slices.Concat(chunks...))
	}
	id3 := iffChunk("ID3 ", 300, append([]byte("ID3"), make([]byte, 297)...)...)
	name := iffChunk("NAME", 4, []byte("name")...)
	plain := func(b []byte) []byte { return with(b, 8, []byte("AIFF")...) }
	return append(cases, []aiffCase{
		{"size too small", soundOf(1008), longClip.Samples, nil, "COMM chunk says 8000 frames, SSND chunk holds 500; " +
			"data chunk says 1000 bytes, the sound goes on behind them, to 0.50 s"},
		{"size too small, a tag behind", soundOf(108, id3), longClip.Samples, nil,
			"data chunk says 100 bytes, the sound goes on behind them, to 0.50 s"},
		{"sizes too small, both", aiff(comm(1, 500, 16, ""), iffChunk("SSND", 1008, append(make([]byte, 8), second...)...)),
			longClip.Samples, nil, "data chunk says 1000 bytes, the sound goes on behind them, to 0.50 s"},
		{"chunks behind", soundOf(16008, name, id3), longClip.Samples, nil, ""},
		{"ID3v1 tag behind", append(soundOf(16008), append([]byte("TAG"), make([]byte, 125)...)...), longClip.Samples, nil,
			""},
		{"odd chunk without padding", aiff(iffChunk("ANNO", 3, 'a', 'b', 'c')[:11], mono, sound), levels, nil, ""},
		{"AIFF whose COMM is longer", plain(aiff(comm(1, 5, 16, "abcd"), sound)), levels, nil, ""},
		{"µ-law", aiff(comm(1, 5, 16, "ulaw"), ssnd(0, muLawBytes)), muLawLevels, nil, ""},
		{"A-law", aiff(comm(1, 5, 16, "alaw"), ssnd(0, aLawBytes)), aLawLevels, nil, ""},
		{"stereo", aiff(comm(2, 3, 16, ""), ssnd(0, frames)), []float32{0.25, -0.125, -0.5}, nil, ""},
		{"odd chunks", aiff(iffChunk("NAME", 3, 'a', 'b', 'c'), mono, iffChunk("ANNO", 1, 'x'), sound,
			iffChunk("AUTH", 5, []byte("hello")...)), levels, nil, ""},
		{"odd number of bytes", aiff(comm(1, 5, 8, ""), ssnd(0, audiotest.PCM(S8, levels))), levels, nil, ""},
		{"offset", aiff(mono, ssnd(6, samples)), levels, nil, ""},
		{"written to a pipe", big(0), levels, nil, ""},
		{"written to a pipe, 2 GiB", big(0x7FFFFFFF), levels, nil, ""},
		{"written to a pipe, 4 GiB", big(0xFFFFFFFF), levels, nil, ""},
		{"truncated", aiff(mono, sound)[:60], levels[:3], nil, "data chunk says 10 bytes, file ends after 6"},
		{"fewer frames said", aiff(comm(1, 2, 16, ""), sound), levels, nil,
			"COMM chunk says 2 frames, SSND chunk holds 5"},
		{"more frames said", aiff(comm(1, 9, 16, ""), sound), levels, nil,
			"COMM chunk says 9 frames, SSND chunk holds 5"},
		{"IMA ADPCM", aiff(comm(1, 5, 16, "ima4"), sound), nil, ErrFormat,
			"IMA ADPCM in an AIFC file; convert it with ffmpeg -i in.aiff out.wav"},
		{"another type", aiff(comm(1, 5, 16, "zzzz"), sound), nil, ErrFormat,
			`compression type "zzzz" in an AIFC file`},
		{"64 bits", aiff(comm(1, 5, 64, ""), sound), nil, ErrFormat, "64-bit AIFF"},
		{"0 bits", aiff(comm(1, 5, 0, ""), sound), nil, ErrFormat, "0-bit AIFF"},
		{"no channels", aiff(comm(0, 5, 16, ""), sound), nil, ErrFormat, "0 channels"},
		{"rate of 0", with(aiff(mono, sound), 28, 0, 0), nil, ErrFormat, "a rate of 0 Hz"},
		{"rate of 2^90", with(aiff(mono, sound), 28, 0x40, 0x59), nil, ErrFormat, "a rate of 0 Hz"},
		{"sound first", aiff(sound, mono), nil, ErrFormat, "before its COMM chunk; convert it with ffmpeg"},
		{"short COMM", aiff(iffChunk("COMM", 4, 0, 1, 0, 0), sound), nil, ErrCorrupt, "COMM chunk has 4 bytes"},
		{"offset too large", with(aiff(mono, sound), 12+26+8, 0, 0, 0, 200), nil, ErrCorrupt, "samples after 200"},
		{"no sound", aiff(mono), nil, ErrCorrupt, "ends inside the chunks before its sound"},
		{"no samples", aiff(mono, ssnd(0, nil)), nil, ErrEmpty, ""},
	}...)
}

func TestAIFF(t *testing.T) {
	for _, c := range aiffCases() {
		got, err := readFrom(bytes.NewReader(c.bytes), 0)
		said := got.Warning
		if err != nil {
			said = err.Error()
		}
		if !slices.Equal(got.Samples, c.want) || !errors.Is(err, c.err) || !strings.Contains(said, c.says) ||
			c.says == "" && got.Warning != "" || err == nil && got.Rate != 16000 {
			t.Errorf("%s: %v at %d Hz, error %v, warning %q; want %v, %v, %q",
				c.name, got.Samples, got.Rate, err, got.Warning, c.want, c.err, c.says)
		}
	}
}

func FuzzAIFF(f *testing.F) {
	for _, c := range aiffCases() {
		f.Add(c.bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxInput || !isAIFF(data) {
			return
		}
		if samples := decodeAnyHow(t, data, Decode); len(samples) > len(data) {
			t.Fatalf("%d samples from %d bytes", len(samples), len(data))
		}
	})
}
