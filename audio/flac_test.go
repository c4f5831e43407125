package audio

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
	"github.com/polyphon/polyphon/audio/audiotest"
)

// memory is a file in memory, in which encoders can go back to write sizes.
type memory struct {
	b  []byte
	at int
}

func (m *memory) Write(p []byte) (int, error) {
	n := copy(m.b[m.at:], p)
	m.b = append(m.b, p[n:]...)
	m.at += len(p)
	return len(p), nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch m.at = int(offset); whence {
	case io.SeekCurrent:
		panic("not needed")
	case io.SeekEnd:
		m.at += len(m.b)
	}
	return int64(m.at), nil
}

// encodeFLAC returns the clips, one a channel, as a FLAC file of so many bits with one block of padding after
// STREAMINFO and frames of at most 4096 samples.
func encodeFLAC(t testing.TB, c Clip, bits int, more ...Clip) []byte {
	t.Helper()
	channels := append([]Clip{c}, more...)
	out := &memory{}
	info := &meta.StreamInfo{
		BlockSizeMin: 16, BlockSizeMax: 4096, SampleRate: uint32(c.Rate), NChannels: uint8(len(channels)),
		BitsPerSample: uint8(bits),
	}
	padding := &meta.Block{Header: meta.Header{Type: meta.TypePadding, Length: 20}}
	encoder, err := flac.NewEncoder(out, info, padding)
	if err != nil {
		t.Fatal(err)
	}
	encoder.EnablePredictionAnalysis(bits <= 20) // its sums overflow an int of 32 bits
	for start := 0; start < len(c.Samples); start += 4096 {
		n := min(4096, len(c.Samples)-start)
		f := &frame.Frame{Header: frame.Header{
			BlockSize: uint16(n), SampleRate: uint32(c.Rate), Channels: frame.Channels(len(channels) - 1),
			BitsPerSample: uint8(bits),
		}}
		for _, channel := range channels {
			s := &frame.Subframe{NSamples: n, Samples: make([]int32, n)}
			s.Pred = frame.PredVerbatim
			for i, v := range channel.Samples[start : start+n] {
				s.Samples[i] = int32(audiotest.Quantize(v, bits))
			}
			f.Subframes = append(f.Subframes, s)
		}
		if err := encoder.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := encoder.Close(); err != nil {
		t.Fatal(err)
	}
	return out.b
}

func TestFLAC(t *testing.T) {
	left, right := tone(44100, 10000), tone(44100, 10000)
	for i := range right.Samples {
		right.Samples[i] *= -0.5
	}
	for _, bits := range []int{8, 12, 16, 20, 24} {
		for _, channels := range [][]Clip{{left}, {left, right}, {left, right, right}} {
			d, err := Decode(bytes.NewReader(encodeFLAC(t, left, bits, channels[1:]...)))
			if err != nil {
				t.Fatal(err)
			}
			want := Format{Container: "flac", Rate: 44100, Channels: len(channels), Bits: bits, Frames: 10000}
			if d.Format() != want {
				t.Errorf("format %+v, want %+v", d.Format(), want)
			}
			got, err := ReadAll(d, 0)
			if err != nil || len(got.Samples) != 10000 || d.Warning() != "" {
				t.Fatalf("%d bits, %d channels: %d samples, error %v, warning %q",
					bits, len(channels), len(got.Samples), err, d.Warning())
			}
			for i, v := range got.Samples {
				var mean float64
				for _, c := range channels {
					mean += math.Ldexp(float64(audiotest.Quantize(c.Samples[i], bits)), 1-bits) / float64(len(channels))
				}
				if difference := float64(v) - mean; difference > 1e-7 || difference < -1e-7 {
					t.Fatalf("%d bits, %d channels: sample %d is %g, want %g", bits, len(channels), i, v, mean)
				}
			}
		}
	}
}

// TestFLACDefects damages one file of three frames, of 4096, 4096 and 808 samples. Its first frame begins after "fLaC",
// STREAMINFO (4+34) and the padding (4+20).
func TestFLACDefects(t *testing.T) {
	const first = 4 + 38 + 24
	whole := encodeFLAC(t, tone(16000, 9000), 16)
	second := first + 4 + bytes.Index(whole[first+4:], whole[first:first+4])
	id3 := []byte("ID3\x04\x00\x00\x00\x00\x00\x05hello")
	unknown := with(whole, 4+4+13, whole[4+4+13]&0xF0, 0, 0, 0, 0)
	tail := func(text string) []byte { return append(slices.Clone(whole), text...) }
	unknownTail := func(text string) []byte { return append(slices.Clone(unknown), text...) }
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	for _, c := range []struct {
		name    string
		bytes   []byte
		samples int
		err     error
		says    string
	}{
		{"ID3 tag before", append(slices.Clone(id3), whole...), 9000, nil, ""},
		{"tag behind", tail("TAG and more"), 9000, nil, ""},
		{"anything behind all samples", tail("\xFF\xF8and noise"), 9000, nil, ""},
		{"ID3v1 behind, count unknown", unknownTail("TAG" + strings.Repeat("x", 125)), 9000, nil, ""},
		{"APE tag behind, count unknown", unknownTail("APETAGEX\xD0\x07\x00\x00 and so on"), 9000, nil, ""},
		{"ID3v2 behind, count unknown", unknownTail(string(id3)), 9000, nil, ""},
		{"zeros behind, count unknown", unknownTail(strings.Repeat("\x00", 5000)), 9000, nil, ""},
		{"noise behind, count unknown", unknownTail(string(noise)), 9000, nil,
			"the frame at 0.56 s is damaged or cut short, and none follows"},
		{"count of samples unknown", unknown, 9000, nil, ""},
		{"truncated", whole[:len(whole)-10], 8192, nil, "header says 9000 samples, file ends after 8192"},
		{"truncated, count unknown", unknown[:len(whole)-10], 8192, nil,
			"the frame at 0.51 s is damaged or cut short, and none follows"},
		{"claims fewer samples", with(whole, 4+4+14, 0, 0, 0x10, 0x01), 9000, nil,
			"header says 4097 samples, 9000 follow it"},
		{"claims 2^36 samples", with(whole, 4+4+13, whole[4+4+13]|0x0F, 0xFF, 0xFF, 0xFF, 0xFF), 9000, nil,
			"file ends after 9000"},
		{"a flipped bit in the last frame", with(whole, len(whole)-50, whole[len(whole)-50]^1), 8192, nil,
			"the frame at 0.51 s is damaged or cut short, and none follows; header says 9000 samples, file ends"},
		{"a flipped bit in the second frame", with(whole, second+3000, whole[second+3000]^1), 9000, nil,
			"damaged at 0.26 s, with 0.26 s of silence instead"},
		{"zeros in the second frame", with(whole, second+1000, make([]byte, 3000)...), 9000, nil,
			"damaged at 0.26 s, with 0.26 s of silence instead"},
		{"most of the second frame is missing", slices.Delete(slices.Clone(whole), second+5, second+7000), 9000, nil,
			"damaged at 0.26 s, with 0.26 s of silence instead"},
		{"inserted before the second frame", slices.Insert(slices.Clone(whole), second, noise...), 9000, nil,
			"damaged at 0.26 s"},
		{"the first frame's sync is gone", with(whole, first, 0), 9000, nil,
			"damaged at 0.00 s, with 0.26 s of silence instead"},
		{"the first frame has another depth", with(whole, first+3, whole[first+3]&0xF1|2), 9000, nil,
			"damaged at 0.00 s"},
		{"two files", append(slices.Clone(whole), whole...), 18000, nil,
			"another FLAC stream follows at 0.56 s"},
		{"wrong block sizes", with(whole, 8, 0x10, 0, 0x10, 0), 9000, nil, ""},
		{"block size 0", with(whole, 8, 0, 0, 0, 0), 9000, nil, ""},
		{"wrong frame sizes", with(whole, 12, 0, 0, 1, 0, 0, 2), 9000, nil, ""},
		{"wrong MD5", with(whole, 26, 1, 2, 3), 9000, nil, ""},
		{"no block is the last one", with(whole, 4+38, whole[4+38]&0x7F), 9000, nil, ""},
		{"no frame is intact", with(with(whole, first+7, 0xEE), second, make([]byte, len(whole)-second)...), 0,
			ErrCorrupt, "FLAC"},
		{"begins with a picture", with(whole, 4, 6), 0, ErrCorrupt, "type 6"},
		{"STREAMINFO of another size", with(whole, 7, 33), 0, ErrCorrupt, "33 bytes"},
		{"rate 0", with(whole, 18, 0, 0, whole[20]&0x0F), 0, ErrCorrupt, "sample rate"},
		{"rate of 1 MHz", with(whole, 18, 0xFF, 0xFF), 0, ErrFormat, "Hz"},
		{"32 bits", with(whole, 20, whole[20]|1, whole[21]|0xF0), 0, ErrFormat,
			"32-bit FLAC; convert it with ffmpeg -i in.flac out.wav"},
		{"ends in STREAMINFO", whole[:20], 0, ErrCorrupt, "metadata, after 20 bytes"},
		{"ends in the magic", whole[:6], 0, ErrCorrupt, "metadata, after 6 bytes"},
		{"no frames", whole[:first], 0, ErrEmpty, "file ends after 0"},
	} {
		d, err := Decode(bytes.NewReader(c.bytes))
		var clip Clip
		warning := ""
		if err == nil {
			clip, err = ReadAll(d, 0)
			warning = d.Warning()
		}
		said := warning
		if err != nil {
			said = err.Error()
		}
		if len(clip.Samples) != c.samples || !errors.Is(err, c.err) || !strings.Contains(said, c.says) ||
			c.says == "" && warning != "" {
			t.Errorf("%s: %d samples, error %v, warning %q; want %d, %v, %q",
				c.name, len(clip.Samples), err, warning, c.samples, c.err, c.says)
		}
	}
}

// TestFLACBitDepths reads depths for which a frame has no code, so that it refers to STREAMINFO: a constant subframe.
func TestFLACBitDepths(t *testing.T) {
	for _, bits := range []byte{4, 13, 17, 25, 31} {
		file := append(flacHead(0, bits), 0) // constant, no wasted bits
		value := uint64(1) << (bits - 2) << (64 - bits)
		for i := range (bits + 7) / 8 {
			file = append(file, byte(value>>(56-8*i)))
		}
		const frame = 4 + 38
		file = append(file, crc16(file[frame:])...)
		got, err := readFrom(bytes.NewReader(file), 0)
		if err != nil || len(got.Samples) != 4096 || got.Samples[7] != 0.5 {
			t.Errorf("%d bits: %d samples, error %v", bits, len(got.Samples), err)
		}
	}
}

// crc16 is the checksum at the end of a FLAC frame, CRC-16 with polynomial 0x8005.
func crc16(b []byte) []byte {
	var crc uint16
	for _, v := range b {
		crc ^= uint16(v) << 8
		for range 8 {
			crc = crc<<1 ^ crc>>15*0x8005
		}
	}
	return []byte{byte(crc >> 8), byte(crc)}
}
