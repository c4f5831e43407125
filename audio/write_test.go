package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-audio/wav"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/internal/need"
)

// TestG711 compares all codes, and the codes of all 16-bit values, with the checksums of testdata/g711.py.
func TestG711(t *testing.T) {
	for _, law := range []struct {
		e                Encoding
		decode           func(byte) int
		decoded, encoded uint32
	}{
		{ALaw, decodeALaw, 0x9d764657, 0x9133796e},
		{MuLaw, decodeMuLaw, 0x0c847a9f, 0xeb8edaa8},
	} {
		var decoded []byte
		var samples []float32
		for code := range 256 {
			decoded = binary.LittleEndian.AppendUint16(decoded, uint16(law.decode(byte(code))))
		}
		for v := math.MinInt16; v <= math.MaxInt16; v++ {
			samples = append(samples, float32(v)/(1<<15))
		}
		if got := crc32.ChecksumIEEE(decoded); got != law.decoded {
			t.Errorf("%v decodes with checksum %#08x, want %#08x", law.e, got, law.decoded)
		}
		if got := crc32.ChecksumIEEE(audiotest.PCM(law.e, samples)); got != law.encoded {
			t.Errorf("%v encodes with checksum %#08x, want %#08x", law.e, got, law.encoded)
		}
	}
}

// TestEncodingsRoundTrip reads noise in each encoding: the difference is the rounding of the encoding, and writing what
// was read loses nothing more.
func TestEncodingsRoundTrip(t *testing.T) {
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
			first := wavOf(clip, e)
			if size := binary.LittleEndian.Uint32(first[4:]); int(size) != len(first)-8 || len(first)%2 != 0 {
				t.Errorf("%v: RIFF size %d in a file of %d bytes", e, size, len(first))
			}
			d, err := Decode(bytes.NewReader(first))
			if err != nil {
				t.Fatal(e, err)
			}
			back, err := ReadAll(d, 0)
			if err != nil || d.Warning() != "" || back.Rate != clip.Rate || len(back.Samples) != n {
				t.Fatalf("%v: %d samples of %d Hz, warning %q, error %v",
					e, len(back.Samples), back.Rate, d.Warning(), err)
			}
			if f := d.Format(); f.Encoding != e || f.Frames != int64(n) {
				t.Errorf("%v of %d samples reads as %+v", e, n, f)
			}
			for i, v := range back.Samples {
				if math.Abs(float64(v-clip.Samples[i])) > tolerance {
					t.Fatalf("%v: sample %d is %g, was %g", e, i, v, clip.Samples[i])
				}
			}
			again, err := readFrom(bytes.NewReader(wavOf(back, e)), 0)
			if err != nil || !slices.Equal(again.Samples, back.Samples) {
				t.Errorf("%v: writing what was read gives another sound, error %v", e, err)
			}
		}
	}
}

// written returns what WriteWAV writes.
func written(t testing.TB, c Clip, tags Tags) []byte {
	t.Helper()
	var m memory
	if err := WriteWAV(&m, c, tags); err != nil {
		t.Fatal(err)
	}
	return m.b
}

// TestWriteWAVClipsAndRounds also has another reader confirm the file.
func TestWriteWAVClipsAndRounds(t *testing.T) {
	samples := []float32{1, -1, 2, -2, 0.6 / 32768, 1.4 / 32768, -0.6 / 32768, nan, inf, -inf}
	want := []int{32767, -32768, 32767, -32768, 1, 1, -1, 0, 32767, -32768}
	library := wav.NewDecoder(bytes.NewReader(written(t, Clip{Rate: 16000, Samples: samples}, Tags{})))
	got, err := library.FullPCMBuffer()
	if err != nil || !slices.Equal(got.Data, want) {
		t.Errorf("samples %v, error %v; want %v", got.Data, err, want)
	}
	if library.SampleRate != 16000 || library.NumChans != 1 || library.BitDepth != 16 {
		t.Errorf("%d Hz, %d channels, %d bits", library.SampleRate, library.NumChans, library.BitDepth)
	}
}

// TestWriteWAVIsAsPlain compares files without tags with the plainest ones that there are.
func TestWriteWAVIsAsPlain(t *testing.T) {
	for _, n := range []int{1, 2, blockSamples - 1, blockSamples, blockSamples + 1, 3*blockSamples + 17} {
		c := tone(44100, n)
		if !bytes.Equal(written(t, c, Tags{}), wavOf(c, S16LE)) {
			t.Errorf("%d samples differ from a plain file", n)
		}
	}
}

// info returns the texts of a file's INFO list, which must be the last chunk of a file without gaps and excess.
func info(t *testing.T, file []byte) map[string]string {
	t.Helper()
	le := binary.LittleEndian
	chunks := func(b []byte, visit func(id string, body []byte)) {
		for len(b) > 0 {
			if len(b) < 8 {
				t.Fatalf("%d bytes are no chunk", len(b))
			}
			size := int(le.Uint32(b[4:]))
			if len(b) < 8+size+size%2 {
				t.Fatalf("chunk %q of %d bytes in %d", b[:4], size, len(b))
			}
			visit(string(b[:4]), b[8:8+size])
			b = b[8+size+size%2:]
		}
	}
	texts, order := map[string]string{}, ""
	chunks(file, func(_ string, riff []byte) {
		chunks(riff[4:], func(id string, body []byte) {
			if order += id + " "; id != "LIST" {
				return
			}
			chunks(body[4:], func(id string, body []byte) {
				if body[len(body)-1] != 0 {
					t.Errorf("%s does not end with NUL", id)
				}
				texts[id] = strings.TrimRight(string(body), "\x00")
			})
		})
	})
	if order != "fmt  data LIST " {
		t.Errorf("chunks %s", order)
	}
	return texts
}

// TestWriteWAVTags writes texts of even and odd lengths, and reads them in three ways.
func TestWriteWAVTags(t *testing.T) {
	clip := tone(16000, 1001)
	created := time.Date(2026, 3, 9, 23, 59, 0, 0, time.UTC)
	for _, tags := range []Tags{
		{Title: "left", Comment: "p 0.93, 12.5 s to 13.1 s", Software: "polyphon v1", Created: created},
		{Title: "five!", Comment: "x"}, {Title: "žluťoučký kůň"}, {Software: "polyphon"}, {Created: created},
		{Comment: strings.Repeat("long ", 10000)},
	} {
		file := written(t, clip, tags)
		date := ""
		if !tags.Created.IsZero() {
			date = "2026-03-09"
		}
		got := info(t, file)
		for id, want := range map[string]string{"INAM": tags.Title, "ICMT": tags.Comment, "ISFT": tags.Software,
			"ICRD": date} {
			if text, there := got[id]; text != want || there != (want != "") {
				t.Errorf("%s is %q, want %q", id, text, want)
			}
		}
		library := wav.NewDecoder(bytes.NewReader(file))
		library.ReadMetadata()
		if m := library.Metadata; m == nil || m.Title != tags.Title || m.Comments != tags.Comment ||
			m.Software != tags.Software ||
			m.CreationDate != date {
			t.Errorf("the library reads %+v, want %+v", m, tags)
		}
		d, err := Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ReadAll(d, 0); err != nil || d.Warning() != "" || len(back.Samples) != len(clip.Samples) {
			t.Errorf("%d samples, error %v, warning %q", len(back.Samples), err, d.Warning())
		}
	}
}

// TestWriteWAVToAFile also has ffprobe, where it is installed, read the file.
func TestWriteWAVToAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(WriteWAV(f, tone(22050, 22050), Tags{Title: "stop", Comment: "even", Software: "odd"}),
		f.Close()); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadFile(path, 0); err != nil || c.Rate != 22050 || len(c.Samples) != 22050 {
		t.Errorf("%d samples of %d Hz, error %v", len(c.Samples), c.Rate, err)
	}
	probe := exec.Command(need.Tool(t, "ffprobe"), "-v", "warning",
		"-show_entries", "format=duration:format_tags=title,comment,encoder",
		path)
	out, err := probe.CombinedOutput()
	for _, want := range []string{"[FORMAT]", "duration=1.000000", "TAG:title=stop", "TAG:comment=even",
		"TAG:encoder=odd"} {
		if !strings.Contains(string(out), want) || !strings.HasPrefix(string(out), "[FORMAT]") {
			t.Errorf("ffprobe says %s, error %v; want %s", out, err, want)
		}
	}
}

func TestWriteWAVErrors(t *testing.T) {
	clip := Clip{Rate: 16000, Samples: make([]float32, 100000)}
	for _, rate := range []int{0, -1, MaxRate + 1} {
		if err := WriteWAV(&memory{}, Clip{Rate: rate, Samples: clip.Samples}, Tags{}); !errors.Is(err, ErrFormat) {
			t.Errorf("rate %d: %v", rate, err)
		}
	}
	if err := WriteWAV(&memory{}, Clip{Rate: 16000}, Tags{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("no samples: %v", err)
	}
	broken := errors.New("disk full")
	if err := WriteWAV(full{broken}, clip, Tags{}); err != broken {
		t.Errorf("a writer that fails: %v", err)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error)      { return 0, f.err }
func (f full) Seek(int64, int) (int64, error) { return 0, io.ErrClosedPipe }

func TestEncodingNames(t *testing.T) {
	for e := U8; e.valid(); e++ {
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
