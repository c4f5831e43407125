package audio

import (
	"bytes"
	"errors"
	"io"
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
	for start := 0; start < len(c.Samples); start += 4096 {
		n := min(4096, len(c.Samples)-start)
		f := &frame.Frame{Header: frame.Header{
			BlockSize: uint16(n), SampleRate: uint32(c.Rate), Channels: frame.Channels(len(channels) - 1),
			BitsPerSample: uint8(bits),
		}}
		for _, channel := range channels {
			s := &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, NSamples: n, Samples: make([]int32, n)}
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
				t.Fatalf("%d bits, %d channels: %d samples, error %v, warning %q", bits, len(channels), len(got.Samples), err,
					d.Warning())
			}
			for i, v := range got.Samples {
				var mean float64
				for _, c := range channels {
					mean += float64(audiotest.Quantize(c.Samples[i], bits)) / float64(int(1)<<(bits-1)) / float64(len(channels))
				}
				if difference := float64(v) - mean; difference > 1e-7 || difference < -1e-7 {
					t.Fatalf("%d bits, %d channels: sample %d is %g, want %g", bits, len(channels), i, v, mean)
				}
			}
		}
	}
}

// TestFLACDefects damages one file. Its first frame begins after "fLaC", STREAMINFO (4+34) and the padding (4+20).
func TestFLACDefects(t *testing.T) {
	const first = 4 + 38 + 24
	whole := encodeFLAC(t, tone(16000, 9000), 16)
	id3 := []byte("ID3\x04\x00\x00\x00\x00\x00\x05hello")
	unknown := with(whole, 4+4+13, whole[4+4+13]&0xF0, 0, 0, 0, 0)
	for _, c := range []struct {
		name    string
		bytes   []byte
		samples int
		err     error
		says    string
	}{
		{"ID3 tag before", append(slices.Clone(id3), whole...), 9000, nil, ""},
		{"ID3 tag after", append(slices.Clone(whole), []byte("TAG and more")...), 9000, nil, ""},
		{"count of samples unknown", unknown, 9000, nil, ""},
		{"truncated", whole[:len(whole)-10], 8192, nil, "header says 9000 samples, file ends after 8192"},
		{"truncated, count unknown", unknown[:len(whole)-10], 8192, nil, "file ends inside the frame after sample 8192"},
		{"claims fewer samples", with(whole, 4+4+14, 0, 0, 0x10, 0x01), 4097, nil, ""},
		{"claims 2^36 samples", with(whole, 4+4+13, whole[4+4+13]|0x0F, 0xFF, 0xFF, 0xFF, 0xFF), 9000, nil,
			"file ends after 9000"},
		{"a flipped bit in the last frame", with(whole, len(whole)-50, whole[len(whole)-50]^1), 8192, ErrCorrupt, "CRC-16"},
		{"a frame out of step", with(whole, first, 0), 0, ErrCorrupt, "sync"},
		{"a frame of another depth", with(whole, first+3, whole[first+3]&0xF1|2), 0, ErrCorrupt, ""},
		{"begins with a picture", with(whole, 4, 6), 0, ErrCorrupt, "type 6"},
		{"STREAMINFO of another size", with(whole, 7, 33), 0, ErrCorrupt, "33 bytes"},
		{"block size 0", with(whole, 8, 0, 0), 0, ErrCorrupt, "block size"},
		{"rate 0", with(whole, 18, 0, 0, whole[20]&0x0F), 0, ErrCorrupt, "sample rate"},
		{"rate of 1 MHz", with(whole, 18, 0xFF, 0xFF), 0, ErrFormat, "Hz"},
		{"32 bits", with(whole, 20, whole[20]|1, whole[21]|0xF0), 0, ErrFormat, "32-bit FLAC"},
		{"ends in STREAMINFO", whole[:20], 0, ErrCorrupt, "metadata"},
		{"ends in the magic", whole[:6], 0, ErrCorrupt, "8 bytes"},
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
			t.Errorf("%s: %d samples, error %v, warning %q; want %d, %v, %q", c.name, len(clip.Samples), err, warning, c.samples,
				c.err, c.says)
		}
	}
}

// TestFLACGuard has the library panic.
func TestFLACGuard(t *testing.T) {
	f := &flacBlocks{}
	if err := f.guard(func() error { panic("index out of range") }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a panic becomes %v", err)
	}
	if err := f.guard(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an end becomes %v", err)
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
