package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/polyphon/polyphon/internal/need"
)

// longData is a second of sound at 8 kHz as it is in a WAV file, longClip as it is read.
var (
	longData = wavOf(tone(8000, 8000), S16LE)[44:]
	longClip = func() Clip {
		c := Clip{Rate: 8000, Samples: make([]float32, 8000)}
		decode16(c.Samples, longData)
		return c
	}()
	mono8k = fmtChunk(tagPCM, 1, 8000, 16)
)

// sized is a data chunk of the whole second that claims so many bytes.
func sized(size uint32) []byte { return sizedChunk("data", size, longData...) }

// cipherBytes are what compressed or encrypted data look like.
func cipherBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// TestWAVSizes: what a header says of the data's size is checked against what follows. The samples are those of a
// second, of several, or of its beginning.
func TestWAVSizes(t *testing.T) {
	const whole = 16000 // bytes
	le := binary.LittleEndian
	another := riff(mono8k, sized(whole))
	tag := append([]byte("TAG"), make([]byte, 125)...)
	id3 := append([]byte("ID3\x03\x00\x00\x00\x00\x01\x00"), make([]byte, 128)...)
	stereo := fmtChunk(tagPCM, 2, 8000, 16)
	text := bytes.Repeat([]byte("<note>recorded on a Tuesday</note>\r\n"), 100)
	quietZeros := make([]byte, 3000)
	at := func(samples int) string { return place(int64(samples), 8000) }
	goesOn := func(claimed, to string) string {
		return "data chunk says " + claimed + " bytes, the sound goes on behind them, to " + to
	}
	for _, c := range []struct {
		name    string
		bytes   []byte
		want    []float32
		warning string
	}{
		{"right", riff(mono8k, sized(whole)), longClip.Samples, ""},
		{"preallocated", riff(mono8k, sized(4096)), longClip.Samples, goesOn("4096", at(8000))},
		{"one frame", riff(mono8k, sized(2)), longClip.Samples, goesOn("2", at(8000))},
		{"inside of a frame", riff(mono8k, sized(4097)), longClip.Samples, goesOn("4097", at(8000))},
		{"wrapped, LIST behind", riff(mono8k, sized(4096), list), longClip.Samples, goesOn("4096", at(8000))},
		{"wrapped, tag behind", append(riff(mono8k, sized(4096)), slices.Concat([]byte("id3 "), le.AppendUint32(nil,
			uint32(len(id3))), id3)...), longClip.Samples, goesOn("4096", at(8000))},
		{"sound of zeros first", riff(mono8k, chunk("data", longData...), quietZeros, longData),
			slices.Concat(longClip.Samples, make([]float32, 1500), longClip.Samples), goesOn("16000", at(17500))},

		{"too large", riff(mono8k, sized(whole+2000)), longClip.Samples,
			"data chunk says 18000 bytes, file ends after 16000, at 1.00 s"},
		{"covers LIST", riff(mono8k, sized(whole+uint32(len(list))), list), longClip.Samples,
			`data chunk says 16024 bytes, a "LIST" chunk begins after 16000`},
		{"covers cue, LIST", riff(mono8k, sized(0x7000000), cueChunk(point(1, 9)), adtl(labl(1, "a"))), longClip.Samples,
			`data chunk says 117440512 bytes, a "cue " chunk begins after 16000`},
		{"covers an id3 chunk", riff(mono8k, sized(whole+146), chunk("id3 ", id3...)), longClip.Samples,
			`data chunk says 16146 bytes, a "id3 " chunk begins after 16000`},
		{"streamed, LIST behind", riff(mono8k, sized(math.MaxUint32), list), longClip.Samples, ""},
		{"streamed, XML behind", riff(mono8k, sized(0), chunk("iXML", text...)), longClip.Samples, ""},
		{"LIST of another kind inside",
			riff(mono8k, chunk("data", with(longData, 50, []byte("LIST\x04\x00\x00\x00wavl")...)...)),
			nil, ""},

		{"RF64, 0 in the data chunk", file("RF64", ds64(whole), mono8k, sized(0), list), longClip.Samples, ""},
		{"RF64, another size in the data chunk", file("RF64", ds64(whole), mono8k, sized(999), list), longClip.Samples, ""},
		{"RF64, wrapped in ds64", file("RF64", ds64(1000), mono8k, sized(math.MaxUint32), list), longClip.Samples,
			goesOn("1000", at(8000))},
		{"RF64, 0 in ds64", file("RF64", ds64(0), mono8k, sized(whole), list), longClip.Samples, ""},

		{"empty data chunk first", riff(mono8k, chunk("data"), list, sized(whole)), longClip.Samples, ""},
		{"two empty data chunks first", riff(mono8k, chunk("data"), chunk("data"), sized(whole)), longClip.Samples, ""},
		{"two data chunks", riff(mono8k, chunk("data", longData[:8000]...), chunk("data", longData[8000:]...)),
			longClip.Samples, "several data chunks, read as one sound"},
		{"three data chunks, LIST between", riff(mono8k, chunk("data", longData[:8000]...), list,
			chunk("data", longData[8000:12000]...), oddList, chunk("data", longData[12000:]...), list),
			longClip.Samples, "several data chunks, read as one sound"},
		{"two data chunks, the second too small", riff(mono8k, sized(whole), sized(1000)),
			slices.Repeat(longClip.Samples, 2), "several data chunks, read as one sound; " + goesOn("1000", at(16000))},
		{"the same fmt chunk again", riff(mono8k, sized(whole), mono8k, sized(whole)),
			slices.Repeat(longClip.Samples, 2), "several data chunks, read as one sound"},
		{"another fmt chunk", riff(mono8k, sized(whole), stereo, sized(whole)), longClip.Samples,
			"sound of another format begins at 1.00 s, it is left out"},
		{"another codec", riff(mono8k, sized(whole), fmtChunk(0x55, 1, 8000, 0), sized(whole)), longClip.Samples,
			"sound of another format begins at 1.00 s, it is left out"},
		{"a damaged fmt chunk", riff(mono8k, sized(whole), sizedChunk("fmt ", 3, 1, 2, 3)), longClip.Samples, ""},
		{"two files in one", slices.Concat(another, another), slices.Repeat(longClip.Samples, 2),
			"another WAV file begins at 1.00 s, read as one sound"},

		{"ID3v1 behind", slices.Concat(another, tag), longClip.Samples, ""},
		{"ID3v2 behind", slices.Concat(another, id3), longClip.Samples, ""},
		{"APE tag behind", slices.Concat(another, []byte("APETAGEX\xd0\x07\x00\x00"), text), longClip.Samples, ""},
		{"Lyrics3 behind", slices.Concat(another, []byte("LYRICSBEGIN"), text), longClip.Samples, ""},
		{"zeros behind", slices.Concat(another, make([]byte, 60000)), longClip.Samples, ""},
		{"zeros and LIST behind", slices.Concat(another, make([]byte, 512), list), longClip.Samples, ""},
		{"unknown chunks behind", slices.Concat(another, chunk("abcd", text...), chunk("x_1 ", 1, 2, 3), list),
			longClip.Samples, ""},
		{"an unknown chunk last", slices.Concat(another, chunk("abcd", text...)), longClip.Samples, ""},
		{"a chunk cut short behind", slices.Concat(another, list[:20]), longClip.Samples, ""},
		{"a few bytes behind", slices.Concat(another, []byte("end")), longClip.Samples, ""},
		{"text behind", slices.Concat(another, text), longClip.Samples,
			"what follows the samples at 1.00 s is neither a chunk nor sound, it is left out"},
		{"random bytes behind", slices.Concat(another, cipherBytes(9000)), longClip.Samples,
			"what follows the samples at 1.00 s is neither a chunk nor sound, it is left out"},
		{"noise after noise", riff(mono8k, sizedChunk("data", 4000, cipherBytes(16000)...)), nil, goesOn("4000", at(8000))},
		{"more zeros than padding", slices.Concat(another, make([]byte, maxZeros+32000)),
			slices.Concat(longClip.Samples, make([]float32, (maxZeros+32000)/2)), goesOn("16000", at(8000+maxZeros/2+16000))},

		{"fact too small", riff(mono8k, chunk("fact", 5, 0, 0, 0), sized(whole)), longClip.Samples, ""},
		{"fact too large", riff(mono8k, chunk("fact", 0, 0, 1, 0), sized(whole)), longClip.Samples,
			"fact chunk says 65536 samples, data chunk has 8000"},
		{"fact unknown", riff(mono8k, chunk("fact", 255, 255, 255, 255), sized(whole)), longClip.Samples, ""},
		{"fact of no size", riff(mono8k, chunk("fact", 1), sized(whole)), longClip.Samples, ""},
	} {
		for _, r := range []io.Reader{
			bytes.NewReader(c.bytes), iotest.OneByteReader(bytes.NewReader(c.bytes)),
			iotest.DataErrReader(bytes.NewReader(c.bytes)),
		} {
			clip, err := readFrom(r, 0)
			if c.want == nil { // the whole data, whatever it is
				c.want = clip.Samples[:8000]
			}
			if err != nil || !slices.Equal(clip.Samples, c.want) || clip.Warning != c.warning {
				t.Errorf("%s: %d samples, error %v, warning %q; want %d, %q", c.name, len(clip.Samples), err, clip.Warning,
					len(c.want), c.warning)
				break
			}
		}
	}
}

// generated is a reader of a header, and then of blocks again and again, to so many bytes in all.
type generated struct {
	head, block []byte
	at, size    int64
}

func (g *generated) Read(b []byte) (int, error) {
	if g.at == g.size {
		return 0, io.EOF
	}
	from := g.head
	if g.at >= int64(len(g.head)) {
		from = g.block[(g.at-int64(len(g.head)))%int64(len(g.block)):]
	} else {
		from = from[g.at:]
	}
	n := copy(b[:min(int64(len(b)), g.size-g.at)], from)
	g.at += int64(n)
	return n, nil
}

// TestWAVWrapped reads a recording of 37.8 hours, whose size in 32 bits is that of 33 minutes.
func TestWAVWrapped(t *testing.T) {
	need.Long(t, "4 GB")
	const rate, seconds = 4000, 1<<32/(8*4000) + 33*60 // f64: 32,000 bytes a second
	second := wavOf(tone(rate, rate), F64LE)
	second = second[len(second)-8*rate:]
	const size = seconds * 8 * rate
	head := slices.Concat(riff(fmtChunk(tagFloat, 1, rate, 64)), []byte("data"), words(size&math.MaxUint32))
	d, err := Decode(&generated{head: head, block: second, size: int64(len(head)) + size})
	if err != nil {
		t.Fatal(err)
	}
	samples, block := 0, make([]float32, 1<<13)
	for err == nil {
		var n int
		n, err = d.Read(block)
		samples += n
	}
	want := "data chunk says 63336704 bytes, the sound goes on behind them, to 136197.00 s"
	if samples != seconds*rate || err != io.EOF || d.Warning() != want {
		t.Errorf("%d samples, error %v, warning %q; want %d, %q", samples, err, d.Warning(), seconds*rate, want)
	}
}

// TestWAVReaderErrors: a reader's own error stays one, wherever it comes; the samples before it are read.
func TestWAVReaderErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	whole := riff(mono8k, chunk("data", longData[:1000]...), list, chunk("data", longData[1000:4000]...), longData[4000:])
	for n := range len(whole) {
		clip, err := readFrom(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)), 0)
		if !errors.Is(err, broken) || !slices.Equal(clip.Samples, longClip.Samples[:len(clip.Samples)]) {
			t.Fatalf("failing after %d bytes: %d samples, %v", n, len(clip.Samples), err)
		}
	}
}

// TestWAVTagsInFront: any ID3v2 tags, with what follows them.
func TestWAVTagsInFront(t *testing.T) {
	tag := func(size, flags byte) []byte {
		return append([]byte{'I', 'D', '3', 4, 0, flags, 0, 0, size >> 7, size & 0x7F}, make([]byte, size)...)
	}
	footer := []byte("3DI\x04\x00\x10\x00\x00\x00\x0a")
	cued := riff(mono16, data16, cueChunk(point(1, 2)))
	for name, front := range map[string][]byte{
		"one": tag(200, 0), "empty": tag(0, 0), "two": slices.Concat(tag(20, 0), tag(200, 0)),
		"three": slices.Repeat(tag(3, 0), 3), "footer": slices.Concat(tag(10, 0x10), footer),
		"zeros":         slices.Concat(tag(10, 0), make([]byte, 5000)),
		"zeros between": slices.Concat(tag(10, 0), tag(7, 0), []byte{0}),
	} {
		clip, err := readFrom(bytes.NewReader(slices.Concat(front, cued)), 0)
		if err != nil || !slices.Equal(clip.Samples, levels) || clip.Warning != "" {
			t.Errorf("%s: %v, error %v, warning %q", name, clip.Samples, err, clip.Warning)
		}
		cues, err := Cues(bytes.NewReader(slices.Concat(front, cued)))
		if want := []Cue{{"", 2. / 16000, 2. / 16000}}; err != nil || !slices.Equal(cues, want) {
			t.Errorf("%s: cues %v, error %v", name, cues, err)
		}
	}
	for name, c := range map[string]struct {
		bytes []byte
		err   error
		says  string
	}{
		"cut short":          {tag(200, 0)[:100], ErrCorrupt, "ID3 tag"},
		"nothing behind":     {tag(200, 0), ErrFormat, "ffmpeg"},
		"other than it says": {slices.Concat(tag(10, 0), []byte("not a sound at all")), ErrFormat, "ffmpeg"},
	} {
		if _, err := Decode(bytes.NewReader(c.bytes)); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v saying %q", name, err, c.err, c.says)
		}
	}
}

// TestCuesOfWrongSizes: cue points are found behind the samples that the decoder finds.
func TestCuesOfWrongSizes(t *testing.T) {
	cues := slices.Concat(cueChunk(point(1, 800), point(2, 4000)), adtl(labl(1, "a"), labl(2, "b")))
	want := []Cue{{"a", 0.1, 0.1}, {"b", 0.5, 0.5}}
	tail := uint32(len(cues))
	for name, data := range map[string][]byte{
		"right": sized(16000), "too small": sized(1000), "odd and too small": sized(1001), "covers them": sized(16000 + tail),
		"beyond the end": sized(17000 + tail), "unknown": sized(math.MaxUint32), "streamed": sized(0),
		"two chunks": slices.Concat(sized(16000), sized(16000)), "empty first": slices.Concat(chunk("data"), sized(16000)),
		"more than is looked at": sizedChunk("data", 2, slices.Repeat(longData, 200)...),
	} {
		got, err := Cues(bytes.NewReader(riff(mono8k, data, cues)))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, error %v; want %v", name, got, err, want)
		}
	}
}
