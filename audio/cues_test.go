package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/go-audio/wav"
	"github.com/polyphon/polyphon/internal/need"
)

func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

// cueChunk holds points by their six fields.
func cueChunk(points ...[6]uint32) []byte {
	b := words(uint32(len(points)))
	for _, p := range points {
		b = append(b, words(p[:]...)...)
	}
	return chunk("cue ", b...)
}

const dataID = 0x61746164 // "data"

// point is a point as nearly all programs write it.
func point(number, frame uint32) [6]uint32 { return [6]uint32{number, frame, dataID, 0, 0, frame} }

func labl(number uint32, text string) []byte {
	return chunk("labl", slices.Concat(words(number), []byte(text), []byte{0})...)
}

func note(number uint32, text string) []byte {
	return chunk("note", slices.Concat(words(number), []byte(text), []byte{0})...)
}

func ltxt(number, length uint32, purpose, text string) []byte {
	return chunk("ltxt", slices.Concat(words(number, length), []byte(purpose), make([]byte, 8), []byte(text))...)
}

func adtl(texts ...[]byte) []byte {
	return chunk("LIST", slices.Concat([]byte("adtl"), slices.Concat(texts...))...)
}

type cueCase struct {
	name  string
	bytes []byte
	want  []Cue
	err   error
	says  string
}

func cueCases() []cueCase {
	second := chunk("data", make([]byte, 32000)...)
	odd := chunk("data", make([]byte, 8001)...)
	two := cueChunk(point(1, 8000), point(2, 4000))
	unpadded := func(b []byte) []byte { return b[:len(b)-1] }
	return []cueCase{
		// As programs write them.
		{name: "ocenaudio", bytes: riff(mono16, second, two, adtl(ltxt(1, 4000, "rgn ", ""), labl(1, "yes"),
			ltxt(2, 0, "rgn ", ""), labl(2, "stop"))), want: []Cue{{"stop", 0.25, 0.25}, {"yes", 0.5, 0.75}}},
		{name: "Adobe Audition", bytes: riff(bext, mono16, fact, second, list, two,
			adtl(labl(1, "Marker 01"), note(1, "a word"),
				labl(2, "žluť"), ltxt(2, 16000, "rgn ", "")), chunk("_PMX", []byte("<x:xmpmeta/>")...)),
			want: []Cue{{"žluť", 0.25, 1.25}, {"Marker 01", 0.5, 0.5}}},
		{name: "libsndfile, as Audacity uses it", bytes: riff(mono16, two, adtl(labl(1, "a"), labl(2, "bc")), list, second),
			want: []Cue{{"bc", 0.25, 0.25}, {"a", 0.5, 0.5}}},
		{name: "a recorder's marks", bytes: riff(chunk("JUNK", 0, 0, 0), mono16, second, cueChunk(point(1, 1), point(2, 2))),
			want: []Cue{{"", 1. / 16000, 1. / 16000}, {"", 2. / 16000, 2. / 16000}}},
		{name: "RF64", bytes: file("RF64", ds64(8001), fmtChunk(tagPCM, 1, 8000, 8),
			with(odd, 4, 0xFF, 0xFF, 0xFF, 0xFF), two, adtl(labl(2, "x"))), want: []Cue{{"x", 0.5, 0.5}, {"", 1, 1}}},

		// Variants.
		{name: "no cues", bytes: riff(mono16, second)},
		{name: "no points", bytes: riff(mono16, second, cueChunk())},
		{name: "labels without points", bytes: riff(mono16, second, adtl(labl(1, "a")))},
		{name: "position only", bytes: riff(mono16, second, cueChunk([6]uint32{1, 8000, dataID})),
			want: []Cue{{"", 0.5, 0.5}}},
		{name: "offset only", bytes: riff(mono16, second, cueChunk([6]uint32{1, 0, dataID, 0, 0, 8000})),
			want: []Cue{{"", 0.5, 0.5}}},
		{name: "cues before fmt", bytes: riff(two, mono16, second), want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "two chunks of points", bytes: riff(mono16, cueChunk(point(1, 8000)), second, cueChunk(point(2, 0))),
			want: []Cue{{"", 0, 0}, {"", 0.5, 0.5}}},
		{name: "equal starts", bytes: riff(mono16, cueChunk(point(9, 8000), point(7, 8000)),
			adtl(labl(7, "b"), labl(9, "a"))),
			want: []Cue{{"a", 0.5, 0.5}, {"b", 0.5, 0.5}}},
		{name: "a label in ltxt", bytes: riff(mono16, two, adtl(ltxt(1, 16000, "mark", "in ltxt"), ltxt(2, 0, "rgn ", "no"),
			labl(2, "yes"))),
			want: []Cue{{"yes", 0.25, 0.25}, {"in ltxt", 0.5, 1.5}}},
		{name: "Latin-1", bytes: riff(mono16, two, adtl(labl(1, "gr\xfcn"))),
			want: []Cue{{"", 0.25, 0.25}, {"grün", 0.5, 0.5}}},
		{name: "a label without NUL", bytes: riff(mono16, two, adtl(chunk("labl", 1, 0, 0, 0, 'a', 'b'))),
			want: []Cue{{"", 0.25, 0.25}, {"ab", 0.5, 0.5}}},
		{name: "labels without padding", bytes: riff(mono16, two, adtl(unpadded(labl(1, "ab")), labl(2, "c"))),
			want: []Cue{{"c", 0.25, 0.25}, {"ab", 0.5, 0.5}}},
		{name: "odd data", bytes: riff(fmtChunk(tagPCM, 1, 8000, 8), odd, cueChunk(point(1, 8000))), want: []Cue{{"", 1, 1}}},
		{name: "odd data without padding", bytes: riff(fmtChunk(tagPCM, 1, 8000, 8), unpadded(odd), cueChunk(point(1, 8000))),
			want: []Cue{{"", 1, 1}}},
		{name: "24 channels", bytes: riff(fmtChunk(tagPCM, 24, 16000, 16), second, two),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "the last frame that there can be", bytes: riff(mono16, cueChunk(point(1, math.MaxUint32)),
			adtl(ltxt(1, math.MaxUint32, "rgn ", ""))),
			want: []Cue{{"", math.MaxUint32 / 16000., 2 * math.MaxUint32 / 16000.}}},
		{name: "no data", bytes: riff(mono16, two), want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},

		// Sizes that are not so.
		{name: "data of unknown size", bytes: riff(mono16, with(second, 4, 0xFF, 0xFF, 0xFF, 0xFF), two),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "data size 0", bytes: riff(mono16, chunk("data"), two), want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "data cut short", bytes: riff(mono16, two, sizedChunk("data", 1<<30, 1, 2, 3)),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "RF64 claims exabytes", bytes: file("RF64", ds64(1<<62), mono16, two, with(second, 4, 0xFF, 0xFF, 0xFF, 0xFF)),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "ends inside a head", bytes: append(riff(mono16, two), "LIS"...),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "more points than bytes", bytes: riff(mono16, with(two, 8, 3)), err: ErrCorrupt,
			says: "says 3 points in 48 bytes"},
		{name: "4 billion points", bytes: riff(mono16, with(two, 8, 0xFF, 0xFF, 0xFF, 0xFF)), err: ErrCorrupt,
			says: "4294967295 points"},
		{name: "fewer points than bytes", bytes: riff(mono16, with(two, 8, 1)), want: []Cue{{"", 0.5, 0.5}}},
		{name: "ends inside the points", bytes: riff(mono16, two[:len(two)-1]), err: ErrCorrupt,
			says: `ends inside its "cue " chunk`},
		{name: "ends inside the texts", bytes: riff(mono16, two, adtl(labl(1, "abc"))[:20]), err: ErrCorrupt,
			says: `ends inside its "LIST" chunk`},
		{name: "an empty cue chunk", bytes: riff(mono16, chunk("cue ")), err: ErrCorrupt, says: "cue"},
		{name: "4 GB of points", bytes: riff(mono16, sizedChunk("cue ", 0xFFFFFFF0, 1)), err: ErrTooLong,
			says: "4294967280 bytes"},
		{name: "4 GB of labels", bytes: riff(mono16, sizedChunk("LIST", 0xFFFFFFF0, []byte("adtl")...)), err: ErrTooLong,
			says: "LIST"},
		{name: "many chunks of labels", bytes: riff(mono16, slices.Repeat(adtl(make([]byte, 1<<20)), 17)), err: ErrTooLong},
		{name: "4 GB of other things", bytes: riff(mono16, two, sizedChunk("LIST", 0xFFFFFFF0, []byte("INFO")...)),
			want: []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "a label longer than its list", bytes: riff(mono16, two, adtl(sizedChunk("labl", 999, 2, 0, 0, 0, 'a'))),
			want: []Cue{{"a", 0.25, 0.25}, {"", 0.5, 0.5}}},
		{name: "texts too short for a number",
			bytes: riff(mono16, two, adtl(chunk("labl", 2, 0), chunk("ltxt", words(1, 2)...))),
			want:  []Cue{{"", 0.25, 0.25}, {"", 0.5, 0.5}}},

		{name: "no fmt", bytes: riff(two), err: ErrFormat, says: "no fmt chunk"},
		{name: "ADPCM", bytes: riff(fmtChunk(0x11, 1, 16000, 4), two), err: ErrFormat, says: "IMA ADPCM"},
		{name: "FLAC", bytes: []byte("fLaC\x00\x00\x00\x22\x10\x00\x10\x00"), err: ErrFormat, says: "not a WAV file"},
		{name: "empty", err: ErrCorrupt, says: "12 bytes"},
	}
}

func TestCues(t *testing.T) {
	for _, c := range cueCases() {
		got, err := Cues(bytes.NewReader(c.bytes))
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, error %v; want %v, %v %q", c.name, got, err, c.want, c.err, c.says)
		}
	}
}

// TestCuesAreTheLibrarys compares positions with those that go-audio/wav reads, where it can read them.
func TestCuesAreTheLibrarys(t *testing.T) {
	compared := 0
	for _, c := range cueCases() {
		d := wav.NewDecoder(bytes.NewReader(c.bytes))
		if strings.Contains(c.name, " GB of ") { // which the library would allocate
			continue
		}
		if d.ReadMetadata(); d.Err() != nil || d.Metadata == nil || len(d.Metadata.CuePoints) == 0 {
			continue
		}
		var starts, want []float64
		for _, p := range d.Metadata.CuePoints {
			starts = append(starts, float64(max(p.SampleOffset, p.Position))/float64(d.SampleRate))
		}
		got, err := Cues(bytes.NewReader(c.bytes))
		if err != nil {
			continue
		}
		for _, cue := range got {
			want = append(want, cue.Start)
		}
		if slices.Sort(starts); !slices.Equal(starts, want) && !strings.HasPrefix(c.name, "data ") &&
			!strings.HasPrefix(c.name, "two chunks") {
			t.Errorf("%s: %v, the library has %v", c.name, want, starts)
		}
		compared++
	}
	if compared < 15 {
		t.Errorf("%d files compared", compared)
	}
}

// TestCuesSeek reads the cues of a file with gigabytes of samples, of which there is a hole instead.
func TestCuesSeek(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "long.wav"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 6 << 30
	head := file("RF64", ds64(size), mono16, words(dataID, math.MaxUint32))
	tail := slices.Concat(cueChunk(point(1, size/2-16000)), adtl(labl(1, "end")))
	_, err = f.Write(head)
	_, err2 := f.WriteAt(tail, int64(len(head))+size)
	need.Host(t, "files with holes", errors.Join(err, err2))
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	want := []Cue{{"end", size/2/16000. - 1, size/2/16000. - 1}}
	if got, err := Cues(f); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, error %v; want %v", got, err, want)
	}
}

type brokenSeeker struct {
	io.Reader
	err error
}

func (b brokenSeeker) Seek(int64, int) (int64, error) { return 0, b.err }

func TestCuesReaderErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	whole := riff(mono16, adtl(labl(1, "a")), cueChunk(point(1, 8000)), chunk("data", make([]byte, 10000)...))
	for n := range len(whole) {
		r := brokenSeeker{io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)), broken}
		if _, err := Cues(r); !errors.Is(err, broken) {
			t.Fatalf("failing after %d bytes: %v", n, err)
		}
	}
}

func FuzzCues(f *testing.F) {
	for _, c := range cueCases() {
		if len(c.bytes) < 2000 {
			f.Add(c.bytes)
		}
	}
	for _, file := range cases(f) {
		f.Add(file)
	}
	f.Add(riff(mono8k, sized(100), cueChunk(point(1, 2), point(2, 1)), adtl(labl(1, "a"))))
	f.Add(riff(mono16, data16, cueChunk(point(1, 2), point(2, 1)), adtl(labl(1, "a"), ltxt(2, 3, "rgn ", "b"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > maxInput {
			return
		}
		var cues []Cue
		var err error
		thrifty(t, len(data), func() { cues, err = Cues(bytes.NewReader(data)) })
		if err != nil && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLong) {
			t.Fatalf("error %v", err)
		}
		if len(cues) > len(data)/24 {
			t.Fatalf("%d cues from %d bytes", len(cues), len(data))
		}
		last := 0.0
		for _, c := range cues {
			if !(c.Start >= last && c.End >= c.Start && c.End <= 2*math.MaxUint32) || !utf8.ValidString(c.Label) {
				t.Fatalf("%+v after %g", c, last)
			}
			last = c.Start
		}
	})
}
