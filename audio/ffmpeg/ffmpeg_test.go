package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/internal/need"
)

// tone returns n samples of a tone.
func tone(n int) (samples []float32) {
	for i := range n {
		samples = append(samples, 0.5*float32(math.Sin(0.2*float64(i))))
	}
	return samples
}

// behave is the variable that has the test program behave as an ffmpeg.
const behave = "FAKE_FFMPEG"

func TestMain(m *testing.M) {
	sound := audiotest.WAV(audio.F32LE, 16000, tone(1000))
	switch os.Getenv(behave) {
	case "":
		os.Exit(m.Run())
	case "arguments": // as its complaint, with the size of its input
		in, _ := io.ReadAll(os.Stdin)
		fmt.Fprintln(os.Stderr, os.Args[1:], len(in))
		os.Exit(1)
	case "input": // what it has decoded at the end of its input
		io.Copy(io.Discard, os.Stdin)
		os.Stdout.Write(sound)
	case "sound":
		os.Stdout.Write(sound)
	case "complaint": // behind the sound
		os.Stdout.Write(sound)
		fmt.Fprintln(os.Stderr, "first line\n[aac @ 0x55d0c0ffee00] channel element 0.0 is not allocated")
	case "endless":
		os.Stdout.Write(slices.Concat(sound[:4], []byte("\xff\xff\xff\xff"), sound[8:]))
		for {
			os.Stdout.Write(make([]byte, 1<<10))
		}
	case "silent":
		time.Sleep(time.Hour)
	}
	os.Exit(0)
}

// fake has Register find an ffmpeg that behaves in one way.
func fake(t *testing.T, behaviour string) context.Context {
	t.Helper()
	folder := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := "ffmpeg"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if err := os.Link(program, filepath.Join(folder, name)); err != nil {
		data, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), data, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
	t.Setenv(behave, behaviour)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	if err := Register(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audio.RegisterFallback(nil) })
	return ctx
}

// other is the beginning of a file that package audio does not read.
const other = "\x00\x00\x00\x20ftypM4A and so on"

func TestArguments(t *testing.T) {
	fake(t, "arguments")
	_, err := audio.Decode(strings.NewReader(other))
	const want = "-protocol_whitelist pipe -i pipe:0 -map 0:a:0 -c:a pcm_f32le -f wav pipe:1]"
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s %d", want, len(other))) {
		t.Errorf("of a stream: %v, want %q", err, want)
	}
	path := filepath.Join(t.TempDir(), "-odd: name.m4a")
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = audio.ReadFile(path, 0); err == nil || !strings.Contains(err.Error(),
		fmt.Sprintf("-protocol_whitelist file -i file:%s -map", path)) {
		t.Errorf("of a file: %v", err)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		behaviour, in string
		samples       int
		says          string // of the error or the warning
	}{
		{"sound", other, 1000, ""},
		{"complaint", other, 1000, "ffmpeg: [aac] channel element 0.0 is not allocated"},
		{"nothing", other, 0, "this is an M4A file"},
		{"sound", "no sound at all, in no format", 1000, ""},
		{"sound", "", 0, "no samples"}, // no other format
		{"nothing", string(audiotest.WAV(audio.S16LE, 16000, tone(77))), 77, ""},
	} {
		fake(t, c.behaviour)
		clip := audio.Clip{}
		d, err := audio.Decode(strings.NewReader(c.in))
		if err == nil {
			clip, err = audio.ReadAll(d, 0)
			d.Close()
		}
		said := clip.Warning
		if err != nil {
			said = err.Error()
		}
		if c.says == "" && said != "" || !strings.Contains(said, c.says) ||
			len(clip.Samples) != c.samples || (err == nil) != (c.samples > 0) {
			t.Errorf("%s of %.20q: %d samples, error %v, warning %q",
				c.behaviour, c.in, len(clip.Samples), err, clip.Warning)
		}
	}
}

// TestClose ends an ffmpeg that would go on for ever.
func TestClose(t *testing.T) {
	ctx := fake(t, "endless")
	program, _ := exec.LookPath("ffmpeg")
	p, err := start(ctx, program, "", strings.NewReader(other))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(p, make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if p.command.ProcessState == nil || p.Warning() != "" {
		t.Errorf("state %v after Close, warning %q", p.command.ProcessState, p.Warning())
	}
}

// TestCancel ends an ffmpeg that delivers nothing while its input delivers nothing.
func TestCancel(t *testing.T) {
	fake(t, "silent")
	ctx, cancel := context.WithCancel(t.Context())
	program, _ := exec.LookPath("ffmpeg")
	never, w := io.Pipe()
	defer w.Close()
	p, err := start(ctx, program, "", never)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := p.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) || p.command.ProcessState == nil {
		t.Errorf("error %v, state %v", err, p.command.ProcessState)
	}
	p.Close()
}

// TestInputError breaks the input: its error comes out, after what had been decoded.
func TestInputError(t *testing.T) {
	fake(t, "input")
	broken := errors.New("unplugged")
	d, err := audio.Decode(io.MultiReader(strings.NewReader(other), iotest.ErrReader(broken)))
	if err == nil {
		defer d.Close()
		_, err = audio.ReadAll(d, 0)
	}
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if err := Register(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("error %v", err)
	}
	if audio.IsAudio("a.m4a") {
		t.Error(".m4a is taken for sound without an ffmpeg")
	}
}

// TestFFmpeg decodes what the installed ffmpeg has encoded, from files and from pipes.
func TestFFmpeg(t *testing.T) {
	program := need.Tool(t, "ffmpeg")
	if err := Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer audio.RegisterFallback(nil)
	left := filepath.Join("..", "..", "examples", "left.wav")
	want, err := audio.ReadFile(left, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, within := range map[string]float64{"x.caf": 0, "x.au": 0, "x.m4a": 0.1, "x.mp2": 2} {
		path := filepath.Join(t.TempDir(), name)
		if out, err := exec.Command(program, "-i", left, path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]func() (audio.Clip, error){
			"file": func() (audio.Clip, error) { return audio.ReadFile(path, 0) },
			"pipe": func() (audio.Clip, error) {
				d, err := audio.Decode(bytes.NewReader(data))
				if err != nil {
					return audio.Clip{}, err
				}
				defer d.Close()
				return audio.ReadAll(d, 0)
			},
		}
		for from, read := range files {
			got, err := read()
			if err != nil && name == "x.m4a" && from == "pipe" {
				continue // its index is at its end
			}
			n := len(got.Samples)
			if err != nil || n < 16000 || n > 18000 || got.Warning != "" || !audio.IsAudio(path) {
				t.Errorf("%s of a %s: %d samples, error %v, warning %q", name, from, n, err, got.Warning)
				continue
			}
			worst := 0.0
			for i, v := range want.Samples {
				worst = max(worst, math.Abs(float64(v-got.Samples[i])))
			}
			if worst > within {
				t.Errorf("%s of a %s differs by %g", name, from, worst)
			}
		}
	}
}
