package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The builders write what a test says, true or not.

func chunk(id string, body ...byte) []byte { return sizedChunk(id, uint32(len(body)), body...) }

// sizedChunk is a chunk that claims size, padded to an even length.
func sizedChunk(id string, size uint32, body ...byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), size)
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func fmtBody(tag, channels, rate, align, bits int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint16(nil, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*align))
	b = le.AppendUint16(b, uint16(align))
	return le.AppendUint16(b, uint16(bits))
}

func fmtChunk(tag, channels, rate, bits int) []byte {
	return chunk("fmt ", fmtBody(tag, channels, rate, channels*bits/8, bits)...)
}

func extensible(tag, channels, rate, bits, valid int) []byte {
	b := fmtBody(tagExtensible, channels, rate, channels*bits/8, bits)
	b = append(b, 22, 0, byte(valid), 0, 0, 0, 0, 0, byte(tag), byte(tag>>8))
	return chunk("fmt ", append(b, subFormatTail...)...)
}

func ds64(dataSize uint64) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 8), dataSize)
	return chunk("ds64", append(b, make([]byte, 12)...)...)
}

func file(magic string, chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	return slices.Concat(binary.LittleEndian.AppendUint32([]byte(magic), uint32(4+len(body))), []byte("WAVE"), body)
}

func riff(chunks ...[]byte) []byte { return file("RIFF", chunks...) }

func with(b []byte, offset int, patch ...byte) []byte {
	b = slices.Clone(b)
	copy(b[offset:], patch)
	return b
}

// levels are exact in every linear encoding. lawLevels are what G.711 has nearest to them.
var (
	levels      = []float32{0, 0.5, -0.5, 0.25, -1}
	muLawBytes  = []byte{0xFF, 0x90, 0x10, 0xA0, 0x00}
	muLawLevels = []float32{0, 15996. / 32768, -15996. / 32768, 7932. / 32768, -32124. / 32768}
	aLawBytes   = []byte{0xD5, 0xA5, 0x25, 0xB5, 0x2A}
	aLawLevels  = []float32{8. / 32768, 16896. / 32768, -16896. / 32768, 8448. / 32768, -32256. / 32768}
)

// pcm writes the values as signed little-endian integers, or unsigned bytes.
func pcm(bits int, values ...float32) []byte {
	var b []byte
	for _, v := range values {
		n := int64(float64(v) * math.Ldexp(1, bits-1))
		n = min(n, 1<<(bits-1)-1)
		if bits == 8 {
			n += 128
		}
		for i := 0; i < bits; i += 8 {
			b = append(b, byte(n>>i))
		}
	}
	return b
}

func floats32(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func floats64(values ...float64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

var (
	mono16  = fmtChunk(tagPCM, 1, 16000, 16)
	data16  = chunk("data", pcm(16, levels...)...)
	plain16 = riff(mono16, data16)
	list    = chunk("LIST", []byte("INFOISFT\x04\x00\x00\x00test")...)
	oddList = chunk("LIST", []byte("INFOISFT\x03\x00\x00\x00tes")...)
	bext    = chunk("bext", make([]byte, 603)...)
	fact    = chunk("fact", 5, 0, 0, 0)
	nan     = float32(math.NaN())
	inf     = float32(math.Inf(1))
)

type wavCase struct {
	name   string
	bytes  []byte
	want   []float32 // nil where err is expected
	err    error
	says   string  // part of the error or of the warning
	format Format  // compared where Container is set
	within float32 // tolerance
}

func wavCases() []wavCase {
	unknown := func(size uint32) []byte {
		return with(riff(mono16, list, sizedChunk("data", size, pcm(16, levels...)...)), 4, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	stereo := []float32{0, 0.5, -0.5, 0.25, -1, 0} // frames (0, .5) (-.5, .25) (-1, 0)
	mixed := []float32{0.25, -0.125, -0.5}
	float := fmtChunk(tagFloat, 1, 16000, 32)
	padded24 := chunk("fmt ", fmtBody(tagPCM, 1, 16000, 4, 24)...)
	var sixtyFour []float32
	for range 64 {
		sixtyFour = append(sixtyFour, 0.25)
	}
	return []wavCase{
		// Encodings.
		{name: "u8", bytes: riff(fmtChunk(tagPCM, 1, 8000, 8), chunk("data", pcm(8, levels...)...)), want: levels,
			format: Format{"wav", U8, 8000, 1, 8, 5}},
		{name: "s16", bytes: plain16, want: levels, format: Format{"wav", S16LE, 16000, 1, 16, 5}},
		{name: "s24", bytes: riff(fmtChunk(tagPCM, 1, 48000, 24), chunk("data", pcm(24, levels...)...)), want: levels,
			format: Format{"wav", S24LE, 48000, 1, 24, 5}},
		{name: "s32", bytes: riff(fmtChunk(tagPCM, 1, 96000, 32), chunk("data", pcm(32, levels...)...)), want: levels,
			format: Format{"wav", S32LE, 96000, 1, 32, 5}},
		{name: "f32", bytes: riff(float, chunk("data", floats32(levels...)...)), want: levels,
			format: Format{"wav", F32LE, 16000, 1, 32, 5}},
		{name: "f64",
			bytes: riff(fmtChunk(tagFloat, 1, 16000, 64), fact, chunk("data", floats64(0, 0.5, -0.5, 0.25, -1)...)),
			want:  levels, format: Format{"wav", F64LE, 16000, 1, 64, 5}},
		{name: "A-law", bytes: riff(fmtChunk(tagALaw, 1, 8000, 8), fact, chunk("data", aLawBytes...)), want: aLawLevels,
			format: Format{"wav", ALaw, 8000, 1, 8, 5}},
		{name: "µ-law",
			bytes: riff(fmtChunk(tagMuLaw, 1, 8000, 8), fact, chunk("data", muLawBytes...)), want: muLawLevels,
			format: Format{"wav", MuLaw, 8000, 1, 8, 5}},
		{name: "fmt of 18 bytes", bytes: riff(chunk("fmt ", append(fmtBody(tagFloat, 1, 16000, 4, 32), 0, 0)...),
			chunk("data", floats32(levels...)...)), want: levels},
		{name: "float beyond full scale",
			bytes: riff(float, chunk("data", floats32(1.5, -3)...)), want: []float32{1.5, -3}},
		{name: "float NaN, infinite and absurd",
			bytes: riff(float, chunk("data", floats32(nan, 0.5, inf, -inf, 3e38)...)),
			want:  []float32{0, 0.5, 0, 0, 0},
			says:  "4 samples are NaN, infinite or far beyond full scale, the first at 0.000 s"},
		{name: "f64 NaN, infinite and absurd", bytes: riff(fmtChunk(tagFloat, 1, 16000, 64),
			chunk("data", floats64(math.NaN(), 0.5, math.Inf(-1), 1e300)...)), want: []float32{0, 0.5, 0, 0},
			says: "3 samples are NaN or infinite, the first at 0.000 s: read as 0"},

		// WAVE_FORMAT_EXTENSIBLE.
		{name: "extensible s16", bytes: riff(extensible(tagPCM, 1, 16000, 16, 16), data16), want: levels,
			format: Format{"wav", S16LE, 16000, 1, 16, 5}},
		{name: "extensible u8", bytes: riff(extensible(tagPCM, 1, 16000, 8, 8), chunk("data", pcm(8, levels...)...)),
			want: levels},
		{name: "extensible 20 in 24",
			bytes: riff(extensible(tagPCM, 1, 16000, 24, 20), chunk("data", pcm(24, levels...)...)),
			want:  levels, format: Format{"wav", S24LE, 16000, 1, 20, 5}},
		{name: "extensible 24 in 32",
			bytes: riff(extensible(tagPCM, 1, 16000, 32, 24), chunk("data", pcm(32, levels...)...)),
			want:  levels, format: Format{"wav", S32LE, 16000, 1, 24, 5}},
		{name: "extensible f32",
			bytes: riff(extensible(tagFloat, 1, 16000, 32, 32), chunk("data", floats32(levels...)...)),
			want:  levels},
		{name: "extensible µ-law", bytes: riff(extensible(tagMuLaw, 1, 8000, 8, 8), chunk("data", muLawBytes...)),
			want: muLawLevels},
		{name: "extensible, valid bits 0", bytes: riff(extensible(tagPCM, 1, 16000, 16, 0), data16), want: levels,
			format: Format{"wav", S16LE, 16000, 1, 16, 5}},
		{name: "plain 24 in 32", bytes: riff(padded24, chunk("data", pcm(32, levels...)...)), want: levels,
			format: Format{"wav", S32LE, 16000, 1, 24, 5}},

		// Channels.
		{name: "stereo s16",
			bytes: riff(fmtChunk(tagPCM, 2, 16000, 16), chunk("data", pcm(16, stereo...)...)), want: mixed,
			format: Format{"wav", S16LE, 16000, 2, 16, 3}},
		{name: "stereo f32", bytes: riff(fmtChunk(tagFloat, 2, 16000, 32), chunk("data", floats32(stereo...)...)),
			want: mixed},
		{name: "stereo u8",
			bytes: riff(fmtChunk(tagPCM, 2, 16000, 8), chunk("data", pcm(8, stereo...)...)), want: mixed},
		{name: "three channels s24",
			bytes: riff(fmtChunk(tagPCM, 3, 16000, 24), chunk("data", pcm(24, 0.5, -0.5, 0.75)...)),
			want:  []float32{0.25}, within: 1e-7},
		{name: "64 channels", bytes: riff(fmtChunk(tagPCM, 64, 16000, 16), chunk("data", pcm(16, sixtyFour...)...)),
			want: []float32{0.25}},

		// Chunks.
		{name: "LIST, bext, fact before", bytes: riff(list, bext, mono16, fact, data16), want: levels},
		{name: "odd chunk before", bytes: riff(mono16, oddList, data16), want: levels},
		{name: "odd chunk without its padding", bytes: riff(mono16, oddList[:len(oddList)-1], data16), want: levels},
		{name: "LIST after", bytes: riff(mono16, data16, list), want: levels},
		{name: "odd data, LIST after",
			bytes: riff(fmtChunk(tagPCM, 1, 8000, 8), chunk("data", pcm(8, levels...)...), list),
			want:  levels},
		{name: "RIFF size 0", bytes: with(plain16, 4, 0, 0, 0, 0), want: levels},
		{name: "RIFF size too large", bytes: with(plain16, 4, 0xF0, 0xFF, 0xFF, 0x0F), want: levels},

		// Unknown sizes.
		{name: "data size 0, as streamed",
			bytes: unknown(0), want: levels, format: Format{"wav", S16LE, 16000, 1, 16, -1}},
		{name: "data size of ffmpeg's pipe", bytes: unknown(0xFFFFFFFF), want: levels,
			format: Format{"wav", S16LE, 16000, 1, 16, -1}},
		{name: "data size of sox's pipe", bytes: unknown(0x7FFFF000), want: levels,
			format: Format{"wav", S16LE, 16000, 1, 16, -1}},
		{name: "data size of arecord's pipe", bytes: unknown(0x80000000), want: levels},
		{name: "unknown size, cut inside a sample", bytes: append(unknown(0xFFFFFFFF), 7), want: levels,
			says: "11 bytes of data are not a whole number of 2-byte frames"},
		{name: "RF64",
			bytes:  file("RF64", ds64(10), mono16, sizedChunk("data", 0xFFFFFFFF, pcm(16, levels...)...), list),
			want:   levels,
			format: Format{"rf64", S16LE, 16000, 1, 16, 5}},
		{name: "BW64", bytes: file("BW64", ds64(10), mono16, sizedChunk("data", 0xFFFFFFFF, pcm(16, levels...)...)),
			want: levels},
		{name: "RF64 with a 32-bit size",
			bytes: file("RF64", ds64(10), mono16, sizedChunk("data", 4, pcm(16, levels...)...)),
			want:  levels, format: Format{"rf64", S16LE, 16000, 1, 16, 5}},
		{name: "RF64 without ds64", bytes: file("RF64", mono16, sizedChunk("data", 0xFFFFFFFF, pcm(16, levels...)...)),
			want:   levels,
			format: Format{"rf64", S16LE, 16000, 1, 16, -1}},
		{name: "RF64 with an impossible size",
			bytes: file("RF64", ds64(1<<63+10), mono16, sizedChunk("data", 0xFFFFFFFF, pcm(16, levels...)...)),
			want:  levels, format: Format{"rf64", S16LE, 16000, 1, 16, -1}},

		// Damage that leaves samples.
		{name: "truncated", bytes: riff(mono16, sizedChunk("data", 64000, pcm(16, levels...)...)), want: levels,
			says: "data chunk says 64000 bytes, file ends after 10", format: Format{"wav", S16LE, 16000, 1, 16, 32000}},
		{name: "truncated inside a sample", bytes: plain16[:len(plain16)-1], want: levels[:4],
			says: "data chunk says 10 bytes, file ends after 9"},
		{name: "claims 2 GB", bytes: riff(mono16, sizedChunk("data", 2000000000, pcm(16, levels...)...)), want: levels,
			says: "file ends after 10"},
		{name: "RF64 claims exabytes",
			bytes: file("RF64", ds64(1<<62), mono16, sizedChunk("data", 0xFFFFFFFF, pcm(16, levels...)...)),
			want:  levels, says: "file ends after 10"},
		{name: "data of 9 bytes", bytes: riff(mono16, chunk("data", pcm(16, levels...)[:9]...)), want: levels[:4],
			says: "9 bytes of data are not a whole number of 2-byte frames"},
		{name: "block align 0", bytes: riff(chunk("fmt ", fmtBody(tagPCM, 1, 16000, 0, 16)...), data16), want: levels,
			says: "fmt chunk says 0-byte frames, 1 channels of s16le are 2 bytes"},
		{name: "block align 3, the byte rate of 16 bits",
			bytes: riff(with(chunk("fmt ", fmtBody(tagPCM, 1, 16000, 3, 16)...), 16, 0, 125), data16),
			want:  levels, says: "3-byte frames"},

		// Refusals.
		{name: "no fmt", bytes: riff(data16), err: ErrFormat, says: "no fmt chunk"},
		{name: "fmt after data", bytes: riff(data16, mono16), err: ErrFormat, says: "no fmt chunk"},
		{name: "no channels", bytes: riff(fmtChunk(tagPCM, 0, 16000, 16), data16), err: ErrFormat, says: "0 channels"},
		{name: "65535 channels", bytes: riff(fmtChunk(tagPCM, 65535, 16000, 8), data16), err: ErrFormat,
			says: "65535 channels"},
		{name: "rate 0", bytes: riff(fmtChunk(tagPCM, 1, 0, 16), data16), err: ErrFormat, says: "rate of 0 Hz"},
		{name: "rate of 4 GHz", bytes: riff(fmtChunk(tagPCM, 1, -1, 16), data16), err: ErrFormat,
			says: fmt.Sprint(toInt(1<<32-1), " Hz")},
		{name: "12-bit PCM", bytes: riff(fmtChunk(tagPCM, 1, 16000, 12), data16), err: ErrFormat, says: "12-bit PCM"},
		{name: "64-bit PCM", bytes: riff(fmtChunk(tagPCM, 1, 16000, 64), data16), err: ErrFormat, says: "64-bit PCM"},
		{name: "16-bit float",
			bytes: riff(fmtChunk(tagFloat, 1, 16000, 16), data16), err: ErrFormat, says: "16-bit float"},
		{name: "16-bit µ-law",
			bytes: riff(fmtChunk(tagMuLaw, 1, 16000, 16), data16), err: ErrFormat, says: "16-bit µ-law"},
		{name: "ADPCM", bytes: riff(fmtChunk(0x11, 1, 16000, 4), data16), err: ErrFormat, says: "IMA ADPCM"},
		{name: "MP3 inside",
			bytes: riff(fmtChunk(0x55, 1, 16000, 0), data16), err: ErrFormat, says: "MP3 in a WAV file"},
		{name: "unknown tag", bytes: riff(fmtChunk(0x1234, 1, 16000, 16), data16), err: ErrFormat, says: "0x1234"},
		{name: "unknown sub-format", bytes: with(riff(extensible(tagPCM, 1, 16000, 16, 16), data16), 12+8+30, 9),
			err: ErrFormat, says: "sub-format"},
		{name: "extensible, short fmt",
			bytes: riff(chunk("fmt ", append(fmtBody(tagExtensible, 1, 16000, 2, 16), 0, 0)...),
				data16),
			err: ErrCorrupt, says: "18 bytes, needs 40"},
		{name: "short fmt", bytes: riff(chunk("fmt ", 1, 0, 1, 0), data16), err: ErrCorrupt, says: "4 bytes, needs 14"},
		{name: "short ds64", bytes: file("RF64", chunk("ds64", 1, 2), mono16, data16), err: ErrCorrupt, says: "ds64"},
		{name: "no data", bytes: riff(mono16), err: ErrCorrupt, says: "ends inside the chunks before its data"},
		{name: "ends in its head", bytes: plain16[:7], err: ErrCorrupt, says: "12 bytes"},
		{name: "ends in fmt", bytes: plain16[:30], err: ErrCorrupt, says: `"fmt "`},
		{name: "chunk claims 4 GB", bytes: riff(mono16, sizedChunk("JUNK", 0xFFFFFFF0), data16), err: ErrCorrupt,
			says: `"JUNK" chunk, which says 4294967280 bytes`},
		{name: "AVI", bytes: with(plain16, 8, []byte("AVI ")...), err: ErrFormat, says: "AVI"},
		{name: "RIFX, no WAVE", bytes: append([]byte("RIFX\x00\x00\x00\x04MC95"), make([]byte, 40)...), err: ErrFormat,
			says: "a RIFX file other than WAV"},
		{name: "data size 0, nothing follows", bytes: riff(mono16, chunk("data")), err: ErrEmpty,
			says: "data chunk says 0 bytes"},
		{name: "data size 0, LIST follows", bytes: riff(mono16, chunk("data"), list), err: ErrEmpty,
			says: "data chunk says 0 bytes"},
		{name: "data missing", bytes: riff(mono16, sizedChunk("data", 1000)), err: ErrEmpty, says: "file ends after 0"},
		{name: "less than a frame", bytes: riff(mono16, chunk("data", 1)), err: ErrEmpty, says: "1 bytes of data"},
		{name: "unknown size, nothing follows", bytes: riff(mono16, sizedChunk("data", 0xFFFFFFFF)), err: ErrEmpty},
	}
}

func TestWAVDialectsAndDefects(t *testing.T) {
	cases := wavCases()
	if len(cases) < 40 {
		t.Fatalf("%d cases, the table promises 40", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func (c wavCase) check() error {
	d, err := Decode(bytes.NewReader(c.bytes))
	if c.err != nil {
		if !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			return fmt.Errorf("error %v, want %v saying %q", err, c.err, c.says)
		}
		return nil
	}
	if err != nil {
		return err
	}
	clip, err := ReadAll(d, 0)
	if err != nil {
		return err
	}
	if len(clip.Samples) != len(c.want) {
		return fmt.Errorf("samples %v, want %v", clip.Samples, c.want)
	}
	for i, v := range clip.Samples {
		if math.Abs(float64(v-c.want[i])) > float64(c.within) {
			return fmt.Errorf("samples %v, want %v", clip.Samples, c.want)
		}
	}
	if warning := d.Warning(); (warning == "") != (c.says == "") || !strings.Contains(warning, c.says) {
		return fmt.Errorf("warning %q, want %q", warning, c.says)
	}
	if c.format.Container != "" && d.Format() != c.format {
		return fmt.Errorf("format %+v, want %+v", d.Format(), c.format)
	}
	return nil
}
