package audio

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/polyphon/polyphon/audio/audiotest"
)

// tone returns n samples of sines at 440 Hz and 3 kHz.
func tone(rate, n int) Clip {
	c := Clip{Rate: rate, Samples: make([]float32, n)}
	for i := range c.Samples {
		t := 2 * math.Pi * float64(i) / float64(rate)
		c.Samples[i] = float32(0.5*math.Sin(440*t) + 0.25*math.Sin(3000*t))
	}
	return c
}

func wavOf(c Clip, e Encoding) []byte { return audiotest.WAV(e, c.Rate, c.Samples) }

// oddPieces delivers r in pieces of random sizes, also none.
type oddPieces struct {
	r      io.Reader
	random *rand.Rand
}

func (o oddPieces) Read(b []byte) (int, error) {
	return o.r.Read(b[:min(len(b), o.random.IntN(700))])
}

// TestOddPieces reads every case of the table, and longer sounds, through readers that deliver as they like.
func TestOddPieces(t *testing.T) {
	files := map[string][]byte{"flac": encodeFLAC(t, tone(16000, 9999), 16)}
	for e := U8; e <= MuLaw; e++ {
		files[e.String()] = wavOf(tone(16000, 30000), e)
	}
	for _, c := range wavCases() {
		files[c.name] = c.bytes
	}
	readers := map[string]func(io.Reader) io.Reader{
		"one byte":      iotest.OneByteReader,
		"half":          iotest.HalfReader,
		"data with EOF": iotest.DataErrReader,
		"odd pieces":    func(r io.Reader) io.Reader { return oddPieces{r, rand.New(rand.NewPCG(3, 4))} },
	}
	for name, file := range files {
		want, wantErr := readFrom(bytes.NewReader(file), 0)
		for kind, wrap := range readers {
			got, err := readFrom(wrap(bytes.NewReader(file)), 0)
			if !slices.Equal(got.Samples, want.Samples) || got.Rate != want.Rate || (err == nil) != (wantErr == nil) {
				t.Errorf("%s by %s: %d samples, error %v; otherwise %d samples, error %v",
					name, kind, len(got.Samples), err, len(want.Samples), wantErr)
			}
		}
	}
}

// TestLivePipe reads samples as they come, before the pipe is closed.
func TestLivePipe(t *testing.T) {
	r, w := io.Pipe()
	head := with(riff(mono16, sizedChunk("data", 0xFFFFFFFF)), 4, 0xFF, 0xFF, 0xFF, 0xFF)
	go func() {
		w.Write(head)
		w.Write(pcm(16, 0.5))
	}()
	d, err := Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float32, 100)
	for _, v := range []float32{0.5, -0.25, 0.125} {
		if n, err := d.Read(dst); n != 1 || err != nil || dst[0] != v {
			t.Fatalf("%d samples, first %g, error %v; want the one sample %g", n, dst[0], err, v)
		}
		if v != 0.125 {
			go w.Write(pcm(16, v/-2))
		}
	}
	broken := errors.New("unplugged")
	w.CloseWithError(broken)
	for range 2 {
		if n, err := d.Read(dst); n != 0 || err != broken {
			t.Errorf("%d samples, error %v; want the pipe's error", n, err)
		}
	}
}

// TestReaderErrors cuts the input by an error at every byte: it must come out, never a clean end.
func TestReaderErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, file := range map[string][]byte{
		"wav": riff(list, mono16, data16), "flac": encodeFLAC(t, tone(16000, 600), 16),
		"mp3": []byte("ID3\x04\x00\x00\x00\x00\x00\x04abcdefgh"),
	} {
		for n := range len(file) {
			_, err := readFrom(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)), 0)
			if !errors.Is(err, broken) && !(name == "mp3" && errors.Is(err, ErrFormat)) {
				t.Errorf("%s, failing after %d bytes: %v", name, n, err)
			}
		}
	}
}

// TestMemory opens files of a few bytes that claim gigabytes.
func TestMemory(t *testing.T) {
	files := map[string][]byte{
		"data":      riff(mono16, sizedChunk("data", 0x7FFFEFFF, 1, 2, 3, 4)),
		"data, 4GB": riff(mono16, sizedChunk("data", 0xFFFFEFFF, 1, 2, 3, 4)),
		"RF64":      file("RF64", ds64(1<<60), mono16, sizedChunk("data", 0xFFFFFFFF, 1, 2, 3, 4)),
		"chunk":     riff(sizedChunk("LIST", 0xFFFFFFFF, 1, 2, 3, 4)),
		"fmt":       riff(sizedChunk("fmt ", 0xFFFFFFFF, fmtBody(1, 1, 16000, 2, 16)...)),
		"64 x f64":  riff(fmtChunk(tagFloat, 64, 384000, 64), sizedChunk("data", 0xFFFFEFFF, make([]byte, 512)...)),
		"ID3":       []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7ffLaC"),
		"flac":      encodeFLAC(t, tone(16000, 16), 16)[:60],
		"picture":   append([]byte("fLaC\x06\xff\xff\xff"), make([]byte, 40)...),
		"pictures": append(slices.Clone(encodeFLAC(t, tone(16000, 16), 16)[:42]), 6, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0xFF,
			0xFF, 0xFF, 0xFF),
	}
	for name, file := range files {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		clip, err := readFrom(bytes.NewReader(file), 0)
		runtime.ReadMemStats(&after)
		const bound = 1 << 20
		if got := after.TotalAlloc - before.TotalAlloc; got > bound {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, got, len(file))
		}
		if len(clip.Samples) > len(file) {
			t.Errorf("%s: %d samples from %d bytes, error %v", name, len(clip.Samples), len(file), err)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	for _, c := range []struct{ magic, says string }{
		{"ID3\x03\x00\x00\x00\x00\x00\x02ab\xFF\xF1\x50\x80....", "AAC stream (ADTS)"},
		{"\xFF\xFD\x90\x64 and so on....", "MPEG audio of layer 2, not MP3; convert it with ffmpeg -i in.mp2 out.wav"},
		{"\xFF\xFB\x00\x64 and so on....", "MP3 in free format; convert it with ffmpeg -i in.mp3 out.wav"},
		{"\xFF\xF1\x50\x80 and so on....", "AAC stream (ADTS); convert it with ffmpeg -i in.aac out.wav"},
		{string(oggPage(1, 0, 0, oggFirst, []byte("Speex   1.2"))), "Ogg with Speex; convert it with ffmpeg -i in.ogg"},
		{"\x00\x00\x00\x20ftypM4A ......", "M4A file (AAC or ALAC); convert it with ffmpeg -i in.m4a out.wav"},
		{"\x00\x00\x00\x20ftypisom....", "MP4 file (AAC, ALAC or another codec); convert it with ffmpeg -i in.mp4"},
		{"\x1a\x45\xdf\xa3\x01\x00\x00\x00", "WebM file; convert it with ffmpeg -i in.webm out.wav"},
		{"#!AMR\n<......", "AMR file; convert it with ffmpeg -i in.amr out.wav"},
		{"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF) file; convert it with ffmpeg -i in.wma out.wav"},
		{"caff\x00\x01\x00\x00desc", "CAF file; convert it with ffmpeg -i in.caf out.wav"},
		{".snd\x00\x00\x00\x18", "AU file; convert it with ffmpeg -i in.au out.wav"},
		{"MThd\x00\x00\x00\x06", "MIDI file, which has notes and no sound; play it with fluidsynth"},
		{"FORM\x00\x00\x00\x008SVX", "8SVX"},
		{"riff\x2e\x91\xcf\x11....", "Wave64"},
		{"NIST_1A\n   1024\n", "SPHERE"},
		{"version https://git-lfs.github.com/spec/v1\n", "not the sound it stands for; run git lfs pull"},
		{"<!DOCTYPE html>", "a web page (HTML); the download brought a page"},
		{"<HTML><head>", "a web page (HTML)"},
		{"PK\x03\x04......", "a zip archive; unpack it"},
		{"%PDF-1.7......", "a PDF document"},
		{"RI", `begins with "RI"; if it is sound, convert it with ffmpeg -i in out.wav`},
		{"\x00", "no sound format that is known"},
	} {
		_, err := Decode(strings.NewReader(c.magic))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v, want it to say %q", c.magic, err, c.says)
		}
	}
	if _, err := Decode(strings.NewReader("")); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestRaw(t *testing.T) {
	for e, b := range map[Encoding][]byte{
		U8: pcm(8, levels...), S16LE: pcm(16, levels...), S24LE: pcm(24, levels...), S32LE: pcm(32, levels...),
		F32LE: floats32(levels...), F64LE: floats64(0, 0.5, -0.5, 0.25, -1),
		S24In32LE: audiotest.PCM(S24In32LE, levels), ALaw: aLawBytes, MuLaw: muLawBytes,
	} {
		want := levels
		if e == ALaw {
			want = aLawLevels
		} else if e == MuLaw {
			want = muLawLevels
		}
		d, err := Raw(iotest.OneByteReader(bytes.NewReader(b)), e, 8000, 1)
		if err != nil {
			t.Fatal(e, err)
		}
		c, err := ReadAll(d, 0)
		if err != nil || !slices.Equal(c.Samples, want) || d.Warning() != "" {
			t.Errorf("%v: %v, error %v, warning %q", e, c.Samples, err, d.Warning())
		}
		if want := (Format{"raw", e, 8000, 1, 8 * e.Bytes(), -1}); d.Format() != want {
			t.Errorf("format %+v, want %+v", d.Format(), want)
		}
	}
	d, err := Raw(bytes.NewReader(pcm(16, 0.5, 0.25, -0.5, -0.25, 1)), S16LE, 16000, 2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadAll(d, 0)
	if err != nil || !slices.Equal(c.Samples, []float32{0.375, -0.375}) ||
		!strings.Contains(d.Warning(), "4-byte frames") {
		t.Errorf("stereo with half a frame: %v, error %v, warning %q", c.Samples, err, d.Warning())
	}
	for _, bad := range []struct {
		e              Encoding
		rate, channels int
	}{{0, 16000, 1}, {99, 16000, 1}, {S16LE, 0, 1}, {S16LE, -1, 1}, {S16LE, 400000, 1}, {S16LE, 16000, 0},
		{S16LE, 16000, 65}} {
		if _, err := Raw(bytes.NewReader(make([]byte, 99)), bad.e, bad.rate, bad.channels); !errors.Is(err, ErrFormat) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if _, err := Raw(strings.NewReader(""), S16LE, 16000, 1); !errors.Is(err, ErrEmpty) {
		t.Errorf("no bytes: %v", err)
	}
}

func TestReadAllBound(t *testing.T) {
	clip := tone(16000, 50000)
	for max, want := range map[int]int{0: 50000, 1: 1, 49999: 49999, 50000: 50000, 50001: 50000} {
		got, err := ReadAll(clip.Source(), max)
		if len(got.Samples) != want || errors.Is(err, ErrTooLong) != (want < 50000) {
			t.Errorf("max %d: %d samples, error %v", max, len(got.Samples), err)
		}
	}
	if got, err := ReadAll(Clip{Rate: 8000}.Source(), 0); err != nil || len(got.Samples) != 0 || got.Rate != 8000 {
		t.Errorf("an empty clip: %+v, %v", got, err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tone.wav")
	if err := os.WriteFile(path, wavOf(tone(44100, 44100), S16LE), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadFile(path, 0); err != nil || c.Rate != 44100 || len(c.Samples) != 44100 {
		t.Errorf("%d samples of %d Hz, error %v", len(c.Samples), c.Rate, err)
	}
	if c, err := ReadFile(path, 16000); err != nil || c.Rate != 16000 || len(c.Samples) != 16000 {
		t.Errorf("%d samples of %d Hz, error %v", len(c.Samples), c.Rate, err)
	}
	cut := filepath.Join(dir, "cut.wav")
	if err := os.WriteFile(cut, wavOf(tone(44100, 44100), S16LE)[:1000], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, rate := range []int{0, 16000} {
		c, err := ReadFile(cut, rate)
		if want := "data chunk says 88200 bytes, file ends after 956, at 0.01 s"; err != nil || c.Warning != want {
			t.Errorf("cut, at %d Hz: warning %q, error %v; want %q", rate, c.Warning, err, want)
		}
		if again, err := ReadAll(c.Source(), 0); err != nil || again.Warning != c.Warning {
			t.Errorf("a clip's source has the warning %q, error %v", again.Warning, err)
		}
	}
	text := filepath.Join(dir, "text.wav")
	if err := os.WriteFile(text, []byte("not sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		path string
		rate int
		err  error
	}{
		{text, 0, ErrFormat}, {path, 1000, ErrFormat}, {filepath.Join(dir, "none.wav"), 0, os.ErrNotExist},
		{dir, 0, nil},
	} {
		_, err := ReadFile(bad.path, bad.rate)
		if err == nil || strings.Count(err.Error(), bad.path) != 1 || bad.err != nil && !errors.Is(err, bad.err) {
			t.Errorf("%s at %d Hz: error %v, want %v and the path once", bad.path, bad.rate, err, bad.err)
		}
	}
}

func TestIsAudio(t *testing.T) {
	for name, want := range map[string]bool{
		"a.wav": true, "A.WAV": true, "dir.x/b.Wave": true, "c.flac": true, "d.mp3": true, "e.OGG": true,
		"f.oga": true, "g.opus": true, "h.aiff": true, "i.aif": true, "j.aifc": true, "k.m4a": false, "wav": false,
		"e.wav.txt": false,
	} {
		if IsAudio(name) != want {
			t.Errorf("IsAudio(%q) is %t", name, !want)
		}
	}
}

func TestSniff(t *testing.T) {
	for _, c := range []struct{ start, container, problem string }{
		{"RIFF\xff\xff\xff\xffWAVEfmt ", "wav", ""},
		{"RF64\xff\xff\xff\xffWAVEds64", "rf64", ""},
		{"fLaC\x00\x00\x00\x22\x10\x00\x10\x00", "flac", ""},
		{"OggS\x00\x02\x00\x00\x00\x00\x00\x00", "ogg", ""},
		{"FORM\x00\x00\x00\x00AIFC", "aiff", ""},
		{"ID3\x04\x00\x00\x00\x00\x00\x00\x00\x00", "id3", ""},
		{string(mp3Frames(3)), "mp3", ""},
		{string(mp3Frames(2)) + "and something else", "", ""},
		{strings.Repeat("\xff\xf1\x50\x80\x01\x7f\xfc\x00\x00\x00\x00", 3), "", "an AAC stream"},
		{"\x00\x00\x00\x20ftypM4A ", "", "an M4A"},
		{"RIFF\x00\x00\x00\x00AVI ", "", "an AVI file"},
		{"RIFF", "", ""}, // too short to be sure
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "", ""},
		{"\x00\x00\x01\x00\xff\xff\x02\x00\x01\x00\x00\x00", "", ""},
		{"", "", ""},
	} {
		container, err := Sniff(bufio.NewReader(strings.NewReader(c.start)))
		if container != c.container || (err != nil) != (c.problem != "") {
			t.Errorf("%q: %q, %v", c.start, container, err)
		}
		if err != nil && (!errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.problem)) {
			t.Errorf("%q: %v does not say %q", c.start, err, c.problem)
		}
	}
}
