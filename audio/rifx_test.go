package audio

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// bigChunk is a chunk of a RIFX file that claims size.
func bigChunk(id string, size int, body ...byte) []byte {
	b := append(binary.BigEndian.AppendUint32([]byte(id), uint32(size)), body...)
	return append(b, make([]byte, len(body)%2)...)
}

func rifx(chunks ...[]byte) []byte {
	body := slices.Concat(chunks...)
	return slices.Concat(binary.BigEndian.AppendUint32([]byte("RIFX"), uint32(4+len(body))), []byte("WAVE"), body)
}

// bigFormat is a fmt chunk of 16 kHz.
func bigFormat(tag, channels, bits int, extra ...byte) []byte {
	align := channels * bits / 8
	b := slices.Concat(bigWords(16, tag, channels), bigWords(32, 16000, 16000*align), bigWords(16, align, bits), extra)
	return bigChunk("fmt ", len(b), b...)
}

func bigWords(bits int, values ...int) (b []byte) {
	for _, v := range values {
		if bits == 16 {
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		} else {
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		}
	}
	return b
}

// reversed returns the samples with their bytes in the other order.
func reversed(size int, data []byte) []byte {
	data = slices.Clone(data)
	for s := range slices.Chunk(data, size) {
		slices.Reverse(s)
	}
	return data
}

// TestRIFX: a file with all its numbers big endian is read like any other.
func TestRIFX(t *testing.T) {
	s16, s24 := reversed(2, pcm(16, levels...)), reversed(3, pcm(24, levels...))
	s32, f32 := reversed(4, pcm(32, levels...)), reversed(4, floats32(levels...))
	f64 := reversed(8, floats64(0, 0.5, -0.5, 0.25, -1))
	mono := bigFormat(tagPCM, 1, 16)
	second := reversed(2, longData) // 8000 samples
	text := bigChunk("LIST", 16, []byte("INFOISFT\x00\x00\x00\x04test")...)
	extension := slices.Concat(bigWords(16, 22, 24), bigWords(32, 4), bigWords(16, tagPCM), []byte(subFormatTail))
	whole := func(b []byte) []byte { return bigChunk("data", len(b), b...) }
	for _, c := range []struct {
		name     string
		bytes    []byte
		encoding Encoding
		want     []float32
		warning  string
	}{
		{"16 bits", rifx(mono, whole(s16)), S16BE, levels, ""},
		{"24 bits", rifx(bigFormat(tagPCM, 1, 24), whole(s24)), S24BE, levels, ""},
		{"32 bits", rifx(bigFormat(tagPCM, 1, 32), whole(s32)), S32BE, levels, ""},
		{"extensible", rifx(bigFormat(tagExtensible, 1, 24, extension...), whole(s24)), S24BE, levels, ""},
		{"float", rifx(bigFormat(tagFloat, 1, 32, 0, 0), whole(f32)), F32BE, levels, ""},
		{"float of 64 bits", rifx(bigFormat(tagFloat, 1, 64), whole(f64)), F64BE, levels, ""},
		{"8 bits", rifx(bigFormat(tagPCM, 1, 8), whole(pcm(8, levels...))), U8, levels, ""},
		{"µ-law", rifx(bigFormat(tagMuLaw, 1, 8), whole(muLawBytes)), MuLaw, muLawLevels, ""},
		{"chunks around", rifx(text, bigChunk("fact", 4, 0, 0, 0, 5), mono, bigChunk("JUNK", 3, 1, 2, 3), whole(s16), text),
			S16BE, levels, ""},
		{"ID3 tag in front", append([]byte("ID3\x03\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00"), rifx(mono, whole(s16))...),
			S16BE, levels, ""},
		{"written to a pipe", rifx(mono, bigChunk("data", 0, second...), text), S16BE, longClip.Samples, ""},
		{"size too small", rifx(mono, bigChunk("data", 1000, second...), text), S16BE, longClip.Samples,
			"data chunk says 1000 bytes, the sound goes on behind them, to 0.50 s"},
		{"size too large", rifx(mono, bigChunk("data", 16000+24, append(slices.Clone(second), text...)...)), S16BE,
			longClip.Samples, `data chunk says 16024 bytes, a "LIST" chunk begins after 16000`},
		{"two data chunks", rifx(mono, whole(second[:8000]), text, whole(second[8000:])), S16BE, longClip.Samples,
			"several data chunks, read as one sound"},
		{"another file behind", append(rifx(mono, whole(s16)), plain16...), S16BE, levels,
			"another WAV file begins at 0.00 s, read as one sound; sound of another format begins at 0.00 s, it is left out"},
	} {
		d, err := Decode(bytes.NewReader(c.bytes))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		clip, err := ReadAll(d, 0)
		f := d.Format()
		if err != nil || !slices.Equal(clip.Samples, c.want) || clip.Warning != c.warning {
			t.Errorf("%s: %d samples, warning %q, %v; want %d, %q", c.name, len(clip.Samples), clip.Warning, err,
				len(c.want), c.warning)
		}
		if f.Container != "wav" || f.Encoding != c.encoding || f.Rate != 16000 || f.Channels != 1 {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestCuesOfRIFX(t *testing.T) {
	point := slices.Concat(bigWords(32, 1, 7, 4000), []byte("data"), bigWords(32, 0, 0, 4000))
	texts := slices.Concat([]byte("adtl"), bigChunk("labl", 8, 0, 0, 0, 7, 'y', 'e', 's', 0))
	file := rifx(bigFormat(tagPCM, 1, 16), bigChunk("data", 16000, longData...), bigChunk("cue ", len(point), point...),
		bigChunk("LIST", len(texts), texts...))
	cues, err := Cues(bytes.NewReader(file))
	if want := []Cue{{Label: "yes", Start: 0.25, End: 0.25}}; err != nil || !slices.Equal(cues, want) {
		t.Errorf("cues %v, %v; want %v", cues, err, want)
	}
}
