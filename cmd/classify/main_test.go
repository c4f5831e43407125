package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/need"
)

func TestStdin(t *testing.T) {
	sound := wav(slices.Concat(make([]float32, rate), noise(rate, loud)))
	at := bytes.Index(sound, []byte("data"))
	binary.LittleEndian.PutUint32(sound[4:], 0xFFFFFFFF) // as ffmpeg writes to a pipe
	binary.LittleEndian.PutUint32(sound[at+4:], 0xFFFFFFFF)
	status, out, errs := classify(t, sound, "--model", loudness(t), "--windows", "-")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, "")
	contains(t, "text", out, "-  loud ")
	contains(t, "text", out, " in 2 s, 3 windows\n")
}

// TestStdinIsProcessedAsItComes feeds a sound slowly: each window must be reported before the sound goes on.
func TestStdinIsProcessedAsItComes(t *testing.T) {
	sound := wav(noise(4*rate, loud))
	in, feed := io.Pipe()
	reported, out := io.Pipe()
	status := make(chan int)
	args := []string{"--model", loudness(t), "--format", "ndjson", "--windows", "-"}
	go func() {
		s := runCommand(t.Context(), args, program.Streams{In: in, Out: out, Err: io.Discard})
		out.Close()
		status <- s
	}()
	lines := json.NewDecoder(reported)
	for sent, end := 0, 1.0; end <= 3; end += 0.5 {
		until := 44 + int(2*rate*(end+0.3)) // the header, and a step after the window
		feed.Write(sound[:until-sent])
		sound, sent = sound[until-sent:], until
		var e ndjson
		if err := lines.Decode(&e); err != nil || e.Event != "window" || e.End != end {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	feed.Write(sound)
	feed.Close()
	rest, _ := io.ReadAll(reported)
	contains(t, "rest", string(rest), "summary")
	expect(t, "status", <-status, statusOK)
}

func TestTruncatedSoundIsReadWithAWarning(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"cut.wav": wav(noise(rate, loud))[:rate]})
	status, out, errs := classify(t, nil, "--model", model, "cut.wav")
	expect(t, "status", status, statusOK)
	contains(t, "stdout", out, "cut.wav  loud ")
	contains(t, "stderr", errs, "classify: cut.wav: warning: ")
}

// A warning is reported with its sound, although the next one is read before both are classified together.
func TestWarningsStayWithTheirSounds(t *testing.T) {
	model := loudness(t)
	whole := wav(noise(rate, loud))
	folder(t, map[string][]byte{"a.wav": whole, "cut.wav": whole[:rate], "e.wav": whole})
	status, _, errs := classify(t, nil, "--model", model, "--threads", "1", "a.wav", "cut.wav", "e.wav")
	expect(t, "status", status, statusOK)
	contains(t, "stderr", errs, "classify: cut.wav: warning: ")
	expect(t, "warnings", strings.Count(errs, "warning"), 1)
}

func TestFolderWithoutSounds(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"empty/notes.txt": nil, "a.wav": wav(noise(rate, loud))})
	status, out, errs := classify(t, nil, "--model", model, "empty", "a.wav")
	expect(t, "status", status, statusFailed)
	contains(t, "stdout", out, "a.wav  loud ")
	contains(t, "stderr", errs, "classify: empty: no sound files")
}

func TestLinks(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"real/a.wav": wav(noise(rate, loud)), "dir/b.wav": wav(noise(rate, hum))})
	for _, link := range [][2]string{
		{"../real/a.wav", "dir/link.wav"}, {".", "dir/circle"}, {"nowhere", "dir/lost.wav"}, {"dir", "way"},
	} {
		need.Host(t, "symbolic links", os.Symlink(link[0], link[1]))
	}
	_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "way")
	want := []string{"way/b.wav 1 s hum", "way/link.wav 1 s loud", "error way/lost.wav", "summary 1/3"}
	expect(t, "events", outline(parse(t, out)), want)
}

func TestUsage(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud))})
	for _, c := range []struct{ args, want string }{
		{"", "expected files"},
		{"--format xml a.wav", "xml"},
		{"--top -1 a.wav", "--top"},
		{"--top x a.wav", "--top"},
		{"--threads -1 a.wav", "--threads"},
		{"--hop 1.5 a.wav", "a hop of 1.5 s for windows of 1 s"},
		{"--hop -1 a.wav", "hop"},
		{"--nonsense a.wav", "--nonsense"},
		{"- a.wav -", "only once"},
		{"--as words a.wav", "--as"},
		{"--as clip --windows a.wav", "--as clip and --windows"},
		{"--as events --windows a.wav", "--as events and --windows"},
		{"--as clip --save x a.wav", "--as clip looks for none"},
		{"--as events --stream", "--as is about recordings"},
	} {
		status, out, errs := classify(t, nil, strings.Fields(c.args)...)
		expect(t, c.args, status, statusUsage)
		expect(t, c.args+": stdout", out, "")
		contains(t, c.args, errs, c.want)
	}
	for _, flag := range []string{"--help", "--version"} {
		status, out, _ := classify(t, nil, flag)
		expect(t, flag, status, statusOK)
		want := map[string]string{"--help": "usage: classify", "--version": "polyphon"}[flag]
		contains(t, flag, strings.ToLower(out), want)
	}
}

func TestModelThatCannotBeUsed(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud)), "m.pt": []byte("PK\x03\x04 and so on")})
	for model, want := range map[string]string{"missing": "missing", "m.pt": "ZIP archive", "a.wav": "RIFF"} {
		status, out, errs := classify(t, nil, "--model", model, "a.wav")
		expect(t, model, status, statusModel)
		expect(t, model+": stdout", out, "")
		contains(t, model, errs, want)
	}
	t.Setenv("POLYPHON_CPU", "abacus")
	status, _, errs := classify(t, nil, "a.wav")
	expect(t, "device", status, statusModel)
	contains(t, "device", errs, "abacus")
}

// stalled is a sound on its way that stops coming.
type stalled struct {
	start   io.Reader
	stalled chan struct{}
}

func (s *stalled) Read(p []byte) (int, error) {
	n, err := s.start.Read(p)
	if err == io.EOF {
		close(s.stalled)
		select {} // as a terminal does where nobody types
	}
	return n, err
}

func TestInterruptedRunKeepsWhatIsFinished(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud)), "b.wav": wav(noise(rate, hum))})
	ctx, interrupt := context.WithCancel(t.Context())
	in := &stalled{start: bytes.NewReader(wav(noise(2*rate, loud))[:3*rate]), stalled: make(chan struct{})}
	out := &watched{lines: make(chan string, 100)}
	go func() {
		<-in.stalled
		for line := range out.lines {
			if strings.Contains(line, `"-"`) { // what has been found in it is written
				interrupt()
			}
		}
	}()
	var errs bytes.Buffer
	args := []string{"--model", model, "--format", "ndjson", "--windows", "--threads", "1", "a.wav", "-", "b.wav"}
	status := runCommand(ctx, args, program.Streams{In: in, Out: out, Err: &errs})
	close(out.lines)
	expect(t, "status", status, statusInterrupted)
	expect(t, "stderr", errs.String(), "classify: interrupted\n")
	events := parse(t, out.all.String())
	expect(t, "events", outline(events), []string{"a.wav 0-1 loud", "a.wav 1 s loud", "- 0-1 loud", "summary 0/1"})
	expect(t, "interrupted", events[3].Interrupted, true)
}

func TestInterruptedBeforeTheStart(t *testing.T) {
	model := loudness(t)
	files := map[string][]byte{}
	for i := range 300 {
		files[fmt.Sprintf("d/%d.wav", i)] = wav(noise(100, loud))
	}
	folder(t, files)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, errs bytes.Buffer
	status := runCommand(ctx, []string{"--model", model, "d"}, program.Streams{Out: &out, Err: &errs})
	expect(t, "status", status, statusInterrupted)
	contains(t, "stderr", errs.String(), "interrupted")
}

// full is an output that takes no more.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatFails(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud)), "b.wav": wav(noise(9*rate, loud))})
	for _, format := range []string{"text", "json", "ndjson", "csv"} {
		for err, want := range map[error]string{syscall.EPIPE: "", errors.New("disk full"): "classify: disk full\n"} {
			var errs bytes.Buffer
			args := []string{"--model", model, "--format", format, "a.wav", "b.wav"}
			status := runCommand(t.Context(), args, program.Streams{Out: full{err}, Err: &errs})
			expect(t, format, status, statusFailed)
			expect(t, format+": stderr", errs.String(), want)
		}
	}
}

// TestManyFiles fills every queue and batch on the way.
func TestManyFiles(t *testing.T) {
	model := loudness(t)
	files := map[string][]byte{}
	var want []string
	for i := range 512 {
		name := fmt.Sprintf("d/%04d.wav", i)
		switch {
		case i%250 == 3:
			files[name] = wav(noise(34*rate, hum)) // more windows than may wait
			want = append(want, slices.Repeat([]string{name}, 68)...)
		case i%10 == 7:
			files[name] = []byte("no sound")
			want = append(want, name)
		default:
			files[name] = wav(noise(1600, loud))
			want = append(want, name, name)
		}
	}
	folder(t, files)
	_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "--windows", "--threads", "3", "d")
	var got []string
	for _, e := range parse(t, out) {
		if e.Event != "summary" {
			got = append(got, e.File)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d in the order of the files", len(got), len(want))
	}
}
