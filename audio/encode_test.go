package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-audio/wav"
)

// The checksums are those of testdata/g711.py.
func TestG711(t *testing.T) {
	for _, law := range []struct {
		e                Encoding
		decode           func(byte) int
		encode           func(int16) byte
		decoded, encoded uint32
	}{
		{ALaw, decodeALaw, encodeALaw, 0x9d764657, 0x9133796e},
		{MuLaw, decodeMuLaw, encodeMuLaw, 0x0c847a9f, 0xeb8edaa8},
	} {
		var decoded, encoded []byte
		for code := range 256 {
			decoded = binary.LittleEndian.AppendUint16(decoded, uint16(law.decode(byte(code))))
		}
		for v := math.MinInt16; v <= math.MaxInt16; v++ {
			encoded = append(encoded, law.encode(int16(v)))
		}
		if got := crc32.ChecksumIEEE(decoded); got != law.decoded {
			t.Errorf("%v decodes with checksum %#08x, want %#08x", law.e, got, law.decoded)
		}
		if got := crc32.ChecksumIEEE(encoded); got != law.encoded {
			t.Errorf("%v encodes with checksum %#08x, want %#08x", law.e, got, law.encoded)
		}
	}
}

// TestWriteWAVRoundTrip writes noise and reads it back: the difference is the rounding of the encoding, and writing
// what was read loses nothing more.
func TestWriteWAVRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for e, tolerance := range map[Encoding]float64{
		U8: 0.5 / (1 << 7), S16LE: 0.5 / (1 << 15), S24LE: 0.5 / (1 << 23), S32LE: 1. / (1 << 24), F32LE: 0, F64LE: 0,
		ALaw: 1. / 60, MuLaw: 1. / 60,
	} {
		for _, n := range []int{1, 2, 3, 8191, 20001} {
			clip := Clip{Rate: 22050, Samples: make([]float32, n)}
			for i := range clip.Samples {
				clip.Samples[i] = 0.98 * (2*random.Float32() - 1)
			}
			first := writeWAV(t, clip, e)
			if size := binary.LittleEndian.Uint32(first[4:]); int(size) != len(first)-8 || len(first)%2 != 0 {
				t.Errorf("%v: RIFF size %d in a file of %d bytes", e, size, len(first))
			}
			d, err := Decode(bytes.NewReader(first))
			if err != nil {
				t.Fatal(e, err)
			}
			back, err := ReadAll(d, 0)
			if err != nil || d.Warning() != "" || back.Rate != clip.Rate || len(back.Samples) != n {
				t.Fatalf("%v: %d samples of %d Hz, warning %q, error %v", e, len(back.Samples), back.Rate, d.Warning(), err)
			}
			if f := d.Format(); f.Encoding != e || f.Frames != int64(n) {
				t.Errorf("%v of %d samples reads as %+v", e, n, f)
			}
			for i, v := range back.Samples {
				if math.Abs(float64(v-clip.Samples[i])) > tolerance {
					t.Fatalf("%v: sample %d is %g, was %g", e, i, v, clip.Samples[i])
				}
			}
			again, err := readFrom(bytes.NewReader(writeWAV(t, back, e)), 0)
			if err != nil || !slices.Equal(again.Samples, back.Samples) {
				t.Errorf("%v: writing what was read gives another sound, error %v", e, err)
			}
		}
	}
}

func writeWAV(t testing.TB, c Clip, e Encoding) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteWAV(&b, c, e); err != nil {
		t.Fatal(e, err)
	}
	return b.Bytes()
}

// TestWriteWAVClipsAndRounds also has another reader confirm the file.
func TestWriteWAVClipsAndRounds(t *testing.T) {
	clip := Clip{Rate: 16000, Samples: []float32{1, -1, 2, -2, 0.6 / 32768, 1.4 / 32768, -0.6 / 32768, nan, inf, -inf}}
	want := []int{32767, -32768, 32767, -32768, 1, 1, -1, 0, 32767, -32768}
	library := wav.NewDecoder(bytes.NewReader(writeWAV(t, clip, S16LE)))
	got, err := library.FullPCMBuffer()
	if err != nil || !slices.Equal(got.Data, want) {
		t.Errorf("samples %v, error %v; want %v", got.Data, err, want)
	}
	if library.SampleRate != 16000 || library.NumChans != 1 || library.BitDepth != 16 {
		t.Errorf("%d Hz, %d channels, %d bits", library.SampleRate, library.NumChans, library.BitDepth)
	}
}

func TestWriteWAVErrors(t *testing.T) {
	clip := Clip{Rate: 16000, Samples: make([]float32, 100000)}
	if err := WriteWAV(io.Discard, Clip{Samples: clip.Samples}, S16LE); !errors.Is(err, ErrFormat) {
		t.Errorf("rate 0: %v", err)
	}
	if err := WriteWAV(io.Discard, clip, 0); !errors.Is(err, ErrFormat) {
		t.Errorf("no encoding: %v", err)
	}
	r, w := io.Pipe()
	broken := errors.New("disk full")
	r.CloseWithError(broken)
	if err := WriteWAV(w, clip, S16LE); err != broken {
		t.Errorf("a writer that fails: %v", err)
	}
}

func TestEncodingNames(t *testing.T) {
	for e := U8; e <= MuLaw; e++ {
		text, err := e.MarshalText()
		var back Encoding
		if err != nil || back.UnmarshalText(text) != nil || back != e {
			t.Errorf("%v: text %s reads as %v", e, text, back)
		}
	}
	if e, err := ParseEncoding("S16LE"); e != S16LE || err != nil {
		t.Errorf("S16LE is %v, %v", e, err)
	}
	if _, err := ParseEncoding("s12le"); !errors.Is(err, ErrFormat) {
		t.Errorf("s12le: %v", err)
	}
}
