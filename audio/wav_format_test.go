package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestWAVFormats: the ways in which a fmt chunk says the same.
func TestWAVFormats(t *testing.T) {
	body := func(tag, channels, align, bits, byteRate int) []byte {
		b := fmtBody(tag, channels, 16000, align, bits)
		binary.LittleEndian.PutUint32(b[8:], uint32(byteRate))
		return b
	}
	ambisonic := func(tag byte, bits int) []byte {
		b := extensible(int(tag), 4, 16000, bits, bits)
		copy(b[len(b)-14:], ambisonicTail)
		return b
	}
	bFormat := []float32{0.5, 0.25, 0, -1, -0.5, 0.125, 1. / 64, 0} // W X Y Z
	ex := func(b []byte, extra ...byte) []byte { return chunk("fmt ", append(b, extra...)...) }
	s16, s24, s32 := pcm(16, levels...), pcm(24, levels...), pcm(32, levels...)
	for _, c := range []struct {
		name          string
		format, data  []byte
		encoding      Encoding
		bits          int
		want          []float32
		warning, tail string
	}{
		{name: "12 bits in 2 bytes", format: ex(body(tagPCM, 1, 2, 12, 32000)), data: s16, encoding: S16LE, bits: 12},
		{name: "14 bits in 2 bytes", format: ex(body(tagPCM, 1, 2, 14, 0)), data: s16, encoding: S16LE, bits: 14},
		{name: "9 bits in 2 bytes", format: ex(body(tagPCM, 1, 2, 9, 77)), data: s16, encoding: S16LE, bits: 9},
		{name: "20 bits in 3 bytes", format: ex(body(tagPCM, 1, 3, 20, 48000)), data: s24, encoding: S24LE, bits: 20},
		{name: "18 bits in 4 bytes", format: ex(body(tagPCM, 1, 4, 18, 64000)), data: s32, encoding: S32LE, bits: 18},
		{name: "16 bits in 3 bytes", format: ex(body(tagPCM, 1, 3, 16, 48000)), data: s24, encoding: S24LE, bits: 16},
		{name: "6 bits in a byte", format: ex(body(tagPCM, 1, 1, 6, 16000)), data: pcm(8, levels...), encoding: U8, bits: 8},
		{name: "extensible 12 in 2 bytes", format: extensible(tagPCM, 1, 16000, 16, 12), data: s16, encoding: S16LE,
			bits: 12},
		{name: "WAVEFORMAT", format: chunk("fmt ", fmtBody(tagPCM, 1, 16000, 2, 0)[:14]...), data: s16, encoding: S16LE,
			bits: 16},
		{name: "0 bits", format: ex(body(tagPCM, 1, 3, 0, 0)), data: s24, encoding: S24LE, bits: 24},
		{name: "byte rate 0", format: ex(body(tagPCM, 1, 2, 16, 0)), data: s16, encoding: S16LE, bits: 16},
		{name: "byte rate of something else", format: ex(body(tagPCM, 1, 2, 16, 123)), data: s16, encoding: S16LE, bits: 16},
		{name: "align and byte rate 0", format: ex(body(tagPCM, 1, 0, 16, 0)), data: s16, encoding: S16LE, bits: 16,
			warning: "fmt chunk says 0-byte frames, 1 channels of s16le are 2 bytes"},
		{name: "align of stereo, byte rate of mono", format: ex(body(tagPCM, 1, 4, 16, 32000)), data: s16, encoding: S16LE,
			bits: 16, warning: "fmt chunk says 4-byte frames, 1 channels of s16le are 2 bytes"},
		{name: "absurd align", format: ex(body(tagPCM, 1, 32767, 24, 0)), data: s24, encoding: S24LE, bits: 24,
			warning: "fmt chunk says 32767-byte frames, 1 channels of s24le are 3 bytes"},
		{name: "cbSize missing", format: ex(body(tagFloat, 1, 4, 32, 0)), data: floats32(levels...), encoding: F32LE,
			bits: 32},
		{name: "cbSize beyond the chunk", format: ex(body(tagFloat, 1, 4, 32, 0), 0xFF, 0xFF), data: floats32(levels...),
			encoding: F32LE, bits: 32},
		{name: "odd cbSize", format: ex(body(tagPCM, 1, 2, 16, 0), 3, 0, 1, 2, 3), data: s16, encoding: S16LE, bits: 16},
		{name: "fmt of 64 bytes", format: ex(body(tagPCM, 1, 2, 16, 0), make([]byte, 48)...), data: s16, encoding: S16LE,
			bits: 16},
		{name: "µ-law of 16 bits", format: ex(body(tagMuLaw, 1, 1, 16, 0)), data: muLawBytes, encoding: MuLaw, bits: 8,
			want: muLawLevels},
		{name: "A-law of 0 bits", format: ex(body(tagALaw, 1, 1, 0, 0)), data: aLawBytes, encoding: ALaw, bits: 8,
			want: aLawLevels},
		{name: "float of 0 bits", format: ex(body(tagFloat, 1, 8, 0, 0)), data: floats64(0, 0.5, -0.5, 0.25, -1),
			encoding: F64LE, bits: 64},
		{name: "ambisonic PCM", format: ambisonic(tagPCM, 16), data: pcm(16, bFormat...), encoding: S16LE, bits: 16,
			want: []float32{0.5, -0.5}},
		{name: "ambisonic float", format: ambisonic(tagFloat, 32), data: floats32(bFormat...), encoding: F32LE, bits: 32,
			want: []float32{0.5, -0.5}},
	} {
		if c.want == nil {
			c.want = levels
		}
		d, err := Decode(bytes.NewReader(riff(c.format, chunk("data", c.data...))))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		clip, err := ReadAll(d, 0)
		f := d.Format()
		if err != nil || !slices.Equal(clip.Samples, c.want) || clip.Warning != c.warning || f.Encoding != c.encoding ||
			f.Bits != c.bits {
			t.Errorf("%s: %v as %v of %d bits, error %v, warning %q", c.name, clip.Samples, f.Encoding, f.Bits, err,
				clip.Warning)
		}
	}
}

// TestCodecNames: each registered format tag is refused by its name, or read.
func TestCodecNames(t *testing.T) {
	named := 0
	for tag := range 1 << 16 {
		name := codecName(uint16(tag))
		if name == "" {
			continue
		}
		named++
		switch tag {
		case tagPCM, tagFloat, tagALaw, tagMuLaw:
			continue
		}
		want := "sound format not supported: " + name + " in a WAV file; convert it with ffmpeg -i in.wav out.wav"
		if _, err := Decode(bytes.NewReader(riff(fmtChunk(tag, 1, 16000, 16), data16))); err == nil || err.Error() != want {
			t.Errorf("tag 0x%04x: %v, want %s", tag, err, want)
		}
	}
	if lines := strings.Count(codecs, "\n") - 1; named != lines || named < 240 {
		t.Errorf("%d names in %d lines", named, lines)
	}
	for tag, want := range map[int]string{
		0x0002: "Microsoft ADPCM", 0x0031: "GSM 6.10", 0x0055: "MP3", 0x1600: "AAC (ADTS)", 0x704F: "Opus", 0xF1AC: "FLAC",
		0xA109: "Speex", 0x2000: "AC-3 (DVM)", 0x0001: "PCM", 0x1234: "",
	} {
		if got := codecName(uint16(tag)); got != want {
			t.Errorf("tag 0x%04x is %q, want %q", tag, got, want)
		}
	}
}

// TestWAVRefusals: every ErrFormat ends with how to convert the file.
func TestWAVRefusals(t *testing.T) {
	const hint = "; convert it with ffmpeg -i in.wav out.wav"
	guid := func(b ...byte) []byte {
		e := extensible(tagPCM, 1, 16000, 16, 16)
		copy(e[len(e)-16:], b)
		return riff(e, data16)
	}
	for _, c := range []struct {
		bytes []byte
		says  string
	}{
		{riff(fmtChunk(0x1234, 1, 16000, 16), data16), "WAV format tag 0x1234"},
		{riff(fmtChunk(tagPCM, 1, 16000, 12), data16), "12-bit PCM in frames of 1 bytes"},
		{riff(fmtChunk(tagPCM, 2, 16000, 64), data16), "64-bit PCM in frames of 16 bytes"},
		{riff(fmtChunk(tagFloat, 1, 16000, 24), data16), "24-bit float in frames of 3 bytes"},
		{riff(data16), "no fmt chunk before the data chunk"},
		{riff(fmtChunk(tagPCM, 0, 16000, 16), data16), "0 channels, 1 to 64 are read"},
		{riff(fmtChunk(tagPCM, 1, 0, 16), data16), "a rate of 0 Hz"},
		{file("RF64", ds64(10), fmtChunk(tagPCM, 1, 400000, 16), data16), "a rate of 400000 Hz, the highest read is 384000"},
		{guid(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
			"WAV sub-format {04030201-0605-0807-090A-0B0C0D0E0F10}"},
		{guid(0x92, 0, 0, 0, 0xEA, 0x0C), "a compressed S/PDIF stream (IEC 61937, 0x0092) in a WAV file"},
		{guid(0x55, 0), "MP3 in a WAV file"},
	} {
		_, err := Decode(bytes.NewReader(c.bytes))
		if want := "sound format not supported: " + c.says + hint; err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// TestFramesWithoutRoom: frames are said to be larger than the bits of their samples; where the samples fill them, they
// are not.
func TestFramesWithoutRoom(t *testing.T) {
	var sine, stereo []float32
	for i := range 4000 {
		v := float32(math.Round(math.Sin(float64(i)/7)*9000) / 32768)
		sine = append(sine, v)
		stereo = append(stereo, v, v)
	}
	header := func(channels, align, bits int) []byte {
		b := fmtBody(tagPCM, channels, 16000, align, bits)
		binary.LittleEndian.PutUint32(b[8:], uint32(16000*align))
		return chunk("fmt ", b...)
	}
	says := func(align, channels int, e string, need int) string {
		return fmt.Sprintf("fmt chunk says %d-byte frames, %d channels of %s are %d bytes", align, channels, e, need)
	}
	low := make([]float32, len(sine)) // in the low half of 32 bits
	low24 := make([]float32, len(sine))
	for i, v := range sine {
		low[i], low24[i] = v/65536, v/256
	}
	for _, c := range []struct {
		name         string
		format, data []byte
		encoding     Encoding
		want         []float32
		warning      string
	}{
		{"16 bits in 4 bytes, packed", header(1, 4, 16), pcm(16, sine...), S16LE, sine, says(4, 1, "s16le", 2)},
		{"16 bits in 3 bytes, packed", header(1, 3, 16), pcm(16, sine...), S16LE, sine, says(3, 1, "s16le", 2)},
		{"24 bits in 4 bytes, packed", header(1, 4, 24), shift24(sine), S24LE, nil, says(4, 1, "s24le", 3)},
		{"stereo, packed", header(2, 8, 16), pcm(16, stereo...), S16LE, sine, says(8, 2, "s16le", 4)},
		{"silence first", header(1, 4, 16), append(make([]byte, 4000), pcm(16, sine...)...), S16LE,
			append(make([]float32, 2000), sine...), says(4, 1, "s16le", 2)},
		{"16 bits in 4 bytes", header(1, 4, 16), pcm(32, sine...), S32LE, sine, ""},
		{"16 bits in 3 bytes", header(1, 3, 16), pcm(24, sine...), S24LE, sine, ""},
		{"stereo of 16 bits in 4 bytes", header(2, 8, 16), pcm(32, stereo...), S32LE, sine, ""},
		{"silence", header(1, 4, 16), make([]byte, 8000), S32LE, make([]float32, 2000), ""},
		{"in the low half", header(1, 4, 16), pcm(32, low...), S32LE, sine,
			"the samples lie in the low 16 of 32 bits: read as such"},
		{"in the low half, 0 above", header(1, 4, 16), cleared(pcm(32, low...)), S32LE, sine,
			"the samples lie in the low 16 of 32 bits: read as such"},
		{"in the low two of three bytes", header(1, 3, 16), pcm(24, low24...), S24LE, sine,
			"the samples lie in the low 16 of 24 bits: read as such"},
	} {
		d, err := Decode(bytes.NewReader(riff(c.format, chunk("data", c.data...))))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		clip, err := ReadAll(d, 0)
		if err != nil || d.Format().Encoding != c.encoding || c.want != nil && !slices.Equal(clip.Samples, c.want) ||
			!strings.HasPrefix(clip.Warning, c.warning) || c.warning == "" && clip.Warning != "" {
			t.Errorf("%s: %d samples of %v, warning %q, %v", c.name, len(clip.Samples), d.Format().Encoding, clip.Warning,
				err)
		}
	}
}

// cleared returns 32-bit samples with 0 in their high halves.
func cleared(b []byte) []byte {
	for i := 0; i < len(b); i += 4 {
		b[i+2], b[i+3] = 0, 0
	}
	return b
}

// shift24 returns samples of 24 bits whose lowest byte is in use.
func shift24(samples []float32) []byte {
	b := pcm(24, samples...)
	for i := 0; i < len(b); i += 3 {
		b[i] = byte(i)
	}
	return b
}
