package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

const rate = 16000

// loudness writes a model that tells how loud a sound is: _silence_ for zeros, hum for a murmur, loud for noise.
func loudness(t *testing.T) string {
	t.Helper()
	f := features.Default()
	f.Floor = 1e-5 // silence is a row of −11.5
	m := &polynet.Model{
		Features: f, Window: 1, Temperature: 1, Labels: []string{"loud", "hum", polynet.SilenceLabel},
		Net: polynet.Config{
			Inputs: f.Mels, Classes: 3, Block: polynet.Linear, Stem: polynet.Stem{Width: 1, Kernel: 1, Stride: 1},
			Stages: []polynet.Stage{{Width: 1, Blocks: 1, Kernel: 1, Stride: 1}},
		},
		Weights: map[string]*tensor.Dense{},
	}
	for range f.Mels {
		m.Norm.Mean = append(m.Norm.Mean, -6)
		m.Norm.Std = append(m.Norm.Std, 1)
	}
	for _, s := range m.Net.WeightShapes() {
		values := make([]float32, s.Len()) // zero: the block adds nothing to its skip
		switch {
		case s.Name == "stem.conv.weight":
			fill(values, 1/float32(f.Mels))
		case s.Name == "stem.norm.weight", strings.HasSuffix(s.Name, ".running_var"):
			fill(values, 1)
		case s.Name == "head.weight":
			copy(values, []float32{1, 0, -1})
		case s.Name == "head.bias":
			copy(values, []float32{0, 2, 0})
		}
		m.Weights[s.Name] = tensor.New(tensor.WithShape(s.Shape...), tensor.WithBacking(values))
	}
	path := filepath.Join(t.TempDir(), "loudness.safetensors")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func fill(values []float32, v float32) {
	for i := range values {
		values[i] = v
	}
}

// noise returns n samples of white noise.
func noise(n int, amplitude float32) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = amplitude * (2*rng.Float32() - 1)
	}
	return samples
}

// Amplitudes that the loudness model tells apart.
const (
	loud   = 0.5
	hum    = 0.004
	silent = 0
)

func wav(t *testing.T, samples []float32) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := audio.WriteWAV(&b, audio.Clip{Rate: rate, Samples: samples}, audio.S16LE); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// folder writes files into a new working directory.
func folder(t *testing.T, files map[string][]byte) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// classify runs the command.
func classify(t *testing.T, stdin []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, streams{in: bytes.NewReader(stdin), out: &out, err: &errs})
	return status, out.String(), errs.String()
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n%v\nwant\n%v", what, got, want)
	}
}

func contains(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q does not say %q", what, text, part)
	}
}

func TestText(t *testing.T) {
	model := loudness(t)
	middle := slices.Concat(noise(2*rate, hum), noise(rate, loud), make([]float32, 2*rate+rate/4))
	folder(t, map[string][]byte{
		"a.wav":         wav(t, noise(rate, loud)),
		"silent.wav":    wav(t, make([]float32, rate/2)),
		"long.wav":      wav(t, middle),
		"quiet.wav":     wav(t, make([]float32, 3*rate/2)),
		"new\nline.wav": wav(t, noise(rate, hum)),
	})
	status, out, errs := classify(t, nil, "--model", model, "a.wav", "silent.wav", "long.wav", "quiet.wav", "new\nline.wav")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, "")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), out)
	}
	for i, want := range [][]string{
		{"a.wav         loud ", " %"},
		{"silent.wav    _silence_ ", " %"},
		{"long.wav      loud ", " %  at 2.00-3.00 s of 5.25 s (10 windows of 1 s, hop 0.5 s)"},
		{"quiet.wav     _silence_ ", " %  at 0.00-1.00 s of 1.50 s (2 windows of 1 s, hop 0.5 s)"},
		{`"new\nline.wav"  hum `, " %"},
	} {
		if !strings.HasPrefix(lines[i], want[0]) || !strings.HasSuffix(lines[i], want[1]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
	_, out, _ = classify(t, nil, "--model", model, "--top", "2", "a.wav")
	contains(t, "two labels", out, " %, hum ")
}

// ndjson is any line of the ndjson format.
type ndjson struct {
	Spec       int
	Event      string
	File       string
	Start, End float64
	Labels     []struct {
		Label string
		P     float64
	}
	Error                           string
	Files, Failed, Windows, Threads int
	AudioSeconds                    float64 `json:"audio_seconds"`
	Window, Hop                     float64
	Model                           string
	Device                          string
	Interrupted                     bool
}

func parse(t *testing.T, out string) []ndjson {
	t.Helper()
	var events []ndjson
	for line := range strings.Lines(out) {
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		var e ndjson
		if err := d.Decode(&e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		expect(t, "spec", e.Spec, 1)
		events = append(events, e)
	}
	return events
}

// outline tells events in a few words each.
func outline(events []ndjson) []string {
	var list []string
	for _, e := range events {
		switch e.Event {
		case "result":
			list = append(list, fmt.Sprintf("%s %g-%g %s", e.File, e.Start, e.End, e.Labels[0].Label))
		case "error":
			list = append(list, "error "+e.File)
		default:
			list = append(list, fmt.Sprintf("%s %d/%d", e.Event, e.Failed, e.Files))
		}
	}
	return list
}

// library is a folder in which a good deal can go wrong.
func library(t *testing.T) {
	folder(t, map[string][]byte{
		"b/loud.wav":      wav(t, noise(rate, loud)),
		"b/a/hum.WAV":     wav(t, noise(rate, hum)),
		"b/a/two.wav":     wav(t, slices.Concat(make([]float32, rate), noise(rate, loud))),
		"b/broken.wav":    []byte("RIFF\x10\x00\x00\x00WAVEjunk"),
		"b/text.wav":      []byte("I am not a sound at all, whatever my name says"),
		"b/empty.wav":     nil,
		"b/notes.txt":     []byte("ignored"),
		"b/.hidden.wav":   []byte("ignored"),
		"b/.git/x.wav":    []byte("ignored"),
		"b/z/silence.wav": wav(t, make([]float32, rate/4)),
		"notes.txt":       wav(t, noise(rate, hum)),
	})
}

var libraryOutline = []string{
	"b/a/hum.WAV 0-1 hum",
	"b/a/two.wav 0-1 _silence_", "b/a/two.wav 0.5-1.5 loud", "b/a/two.wav 1-2 loud",
	"error b/broken.wav", "error b/empty.wav",
	"b/loud.wav 0-1 loud",
	"error b/text.wav",
	"b/z/silence.wav 0-0.25 _silence_",
	"notes.txt 0-1 hum",
	"error missing.wav",
	"summary 4/9",
}

func TestNDJSON(t *testing.T) {
	model := loudness(t)
	library(t)
	for _, threads := range []string{"0", "1", "5"} {
		status, out, errs := classify(t, nil, "--model", model, "--format", "ndjson", "--top", "0", "--threads", threads, "b", "notes.txt", "missing.wav")
		expect(t, "status", status, statusFailed)
		events := parse(t, out)
		expect(t, threads+" threads", strings.Join(outline(events), "\n"), strings.Join(libraryOutline, "\n"))
		for _, name := range []string{"b/broken.wav", "b/empty.wav", "b/text.wav", "missing.wav"} {
			contains(t, "stderr", errs, "classify: "+name+": ")
		}
		contains(t, "stderr", errs, "missing.wav: no such file or directory\n")
		for _, e := range events {
			sum := 0.0
			for _, l := range e.Labels {
				sum += l.P
			}
			if e.Event == "result" && (len(e.Labels) != 3 || sum < 0.9999 || sum > 1.0001) {
				t.Errorf("%s has the labels %v", e.File, e.Labels)
			}
		}
		s := events[len(events)-1]
		expect(t, "windows", s.Windows, 7)
		expect(t, "audio_seconds", s.AudioSeconds, 5.25)
		expect(t, "window and hop", []float64{s.Window, s.Hop}, []float64{1, 0.5})
		expect(t, "model", s.Model, model)
		contains(t, "device", s.Device, "cpu")
		expect(t, "interrupted", s.Interrupted, false)
	}
}

func TestJSON(t *testing.T) {
	model := loudness(t)
	library(t)
	status, out, _ := classify(t, nil, "--model", model, "--format", "json", "b", "notes.txt", "missing.wav")
	expect(t, "status", status, statusFailed)
	var document struct {
		Spec            int
		Results, Errors []ndjson
		Summary         ndjson
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	expect(t, "spec", document.Spec, 1)
	for i := range document.Results {
		document.Results[i].Event = "result"
		expect(t, "labels", len(document.Results[i].Labels), 1)
	}
	want := slices.DeleteFunc(slices.Clone(libraryOutline), func(line string) bool {
		return strings.HasPrefix(line, "error") || strings.HasPrefix(line, "summary")
	})
	expect(t, "results", strings.Join(outline(document.Results), "\n"), strings.Join(want, "\n"))
	expect(t, "errors", len(document.Errors), 4)
	expect(t, "an error", document.Errors[3].File+": "+document.Errors[3].Error, "missing.wav: no such file or directory")
	expect(t, "summary", []int{document.Summary.Files, document.Summary.Failed, document.Summary.Windows}, []int{9, 4, 7})

	_, out, _ = classify(t, nil, "--model", model, "--format", "json", "missing.wav")
	if err := json.Unmarshal([]byte(out), &document); err != nil || document.Results == nil || len(document.Results) != 0 {
		t.Errorf("without results: %v, %s", err, out)
	}
}

func TestCSV(t *testing.T) {
	model := loudness(t)
	library(t)
	os.WriteFile("b,\"x\".wav", wav(t, noise(rate, hum)), 0o644)
	status, out, errs := classify(t, nil, "--model", model, "--format", "csv", "--top", "2", "b,\"x\".wav", "b")
	expect(t, "status", status, statusFailed)
	contains(t, "stderr", errs, "classify: b/broken.wav: ")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "header", strings.Join(rows[0], " "), "file start end label1 p1 label2 p2")
	expect(t, "number of rows", len(rows), 8)
	expect(t, "first row", strings.Join(rows[1][:4], " "), "b,\"x\".wav 0 1 hum")
	expect(t, "a window", strings.Join(rows[4][:4], " "), "b/a/two.wav 0.5 1.5 loud")
	_, out, _ = classify(t, nil, "--model", model, "--format", "csv", "--top", "0", "notes.txt")
	contains(t, "all labels", out, "label3,p3\n")
}

func TestHop(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"x.wav": wav(t, noise(2*rate, loud))})
	status, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "--hop", "0.25", "x.wav")
	expect(t, "status", status, statusOK)
	events := parse(t, out)
	expect(t, "windows", len(events), 6)
	expect(t, "second window", []float64{events[1].Start, events[1].End}, []float64{0.25, 1.25})
	expect(t, "hop", events[5].Hop, 0.25)
}

func TestEmbeddedModel(t *testing.T) {
	folder(t, map[string][]byte{"x.wav": wav(t, noise(rate, hum))})
	status, out, errs := classify(t, nil, "--format", "ndjson", "x.wav")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, "")
	events := parse(t, out)
	expect(t, "model", events[1].Model, "embedded")
}

func TestStdin(t *testing.T) {
	sound := wav(t, slices.Concat(make([]float32, rate), noise(rate, loud)))
	at := bytes.Index(sound, []byte("data"))
	binary.LittleEndian.PutUint32(sound[4:], 0xFFFFFFFF) // as ffmpeg writes to a pipe
	binary.LittleEndian.PutUint32(sound[at+4:], 0xFFFFFFFF)
	status, out, errs := classify(t, sound, "--model", loudness(t), "-")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, "")
	contains(t, "text", out, "-  loud ")
	contains(t, "text", out, "s of 2.00 s (3 windows")
}

// TestStdinIsHeardAsItComes feeds a sound slowly: each window must be told before the sound goes on.
func TestStdinIsHeardAsItComes(t *testing.T) {
	sound := wav(t, noise(4*rate, loud))
	in, feed := io.Pipe()
	told, out := io.Pipe()
	status := make(chan int)
	args := []string{"--model", loudness(t), "--format", "ndjson", "-"}
	go func() {
		s := run(t.Context(), args, streams{in: in, out: out, err: io.Discard})
		out.Close()
		status <- s
	}()
	lines := json.NewDecoder(told)
	for start := range 3 { // of two windows a second
		feed.Write(sound[:min(len(sound), 2*rate)])
		sound = sound[2*rate:]
		for i := 0; i < 2 && (start > 0 || i < 1); i++ {
			var e ndjson
			if start == 0 {
				feed.Write(sound[:200]) // the header's bytes are missing from the first second
				sound = sound[200:]
			}
			if err := lines.Decode(&e); err != nil || e.Event != "result" {
				t.Fatalf("%+v, %v", e, err)
			}
		}
	}
	feed.Write(sound)
	feed.Close()
	rest, _ := io.ReadAll(told)
	contains(t, "rest", string(rest), "summary")
	expect(t, "status", <-status, statusOK)
}

func TestTruncatedSoundIsReadWithAWarning(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"cut.wav": wav(t, noise(rate, loud))[:rate]})
	status, out, errs := classify(t, nil, "--model", model, "cut.wav")
	expect(t, "status", status, statusOK)
	contains(t, "stdout", out, "cut.wav  loud ")
	contains(t, "stderr", errs, "classify: cut.wav: warning: ")
}

func TestFolderWithoutSounds(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"empty/notes.txt": nil, "a.wav": wav(t, noise(rate, loud))})
	status, out, errs := classify(t, nil, "--model", model, "empty", "a.wav")
	expect(t, "status", status, statusFailed)
	contains(t, "stdout", out, "a.wav  loud ")
	contains(t, "stderr", errs, "classify: empty: no sound files")
}

func TestLinks(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"real/a.wav": wav(t, noise(rate, loud)), "dir/b.wav": wav(t, noise(rate, hum))})
	for _, link := range [][2]string{{"../real/a.wav", "dir/link.wav"}, {".", "dir/circle"}, {"nowhere", "dir/lost.wav"}, {"dir", "way"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Skip(err)
		}
	}
	_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "way")
	expect(t, "events", outline(parse(t, out)), []string{"way/b.wav 0-1 hum", "way/link.wav 0-1 loud", "error way/lost.wav", "summary 1/3"})
}

func TestUsage(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(t, noise(rate, loud))})
	for _, c := range []struct{ args, want string }{
		{"", "<path>"},
		{"--format xml a.wav", "xml"},
		{"--top -1 a.wav", "--top"},
		{"--top x a.wav", "--top"},
		{"--threads -1 a.wav", "--threads"},
		{"--hop 1.5 a.wav", "a hop of 1.5 s for windows of 1 s"},
		{"--hop -1 a.wav", "hop"},
		{"--nonsense a.wav", "--nonsense"},
		{"- a.wav -", "only once"},
	} {
		status, out, errs := classify(t, nil, strings.Fields(c.args)...)
		expect(t, c.args, status, statusUsage)
		expect(t, c.args+": stdout", out, "")
		contains(t, c.args, errs, c.want)
	}
	for _, flag := range []string{"--help", "--version"} {
		status, out, _ := classify(t, nil, flag)
		expect(t, flag, status, statusOK)
		contains(t, flag, strings.ToLower(out), map[string]string{"--help": "usage: classify", "--version": "polyphon"}[flag])
	}
}

func TestModelThatCannotBeUsed(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(t, noise(rate, loud)), "m.pt": []byte("PK\x03\x04 and so on")})
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
	ctx     context.Context
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
	folder(t, map[string][]byte{"a.wav": wav(t, noise(rate, loud)), "b.wav": wav(t, noise(rate, hum))})
	ctx, interrupt := context.WithCancel(t.Context())
	in := &stalled{start: bytes.NewReader(wav(t, noise(2*rate, loud))[:3*rate]), stalled: make(chan struct{})}
	go func() {
		<-in.stalled
		time.Sleep(50 * time.Millisecond) // for what has been heard to be written
		interrupt()
	}()
	var out, errs bytes.Buffer
	args := []string{"--model", model, "--format", "ndjson", "--threads", "1", "a.wav", "-", "b.wav"}
	status := run(ctx, args, streams{in: in, out: &out, err: &errs})
	expect(t, "status", status, statusInterrupted)
	expect(t, "stderr", errs.String(), "classify: interrupted\n")
	events := parse(t, out.String())
	expect(t, "events", outline(events), []string{"a.wav 0-1 loud", "- 0-1 loud", "summary 0/1"})
	expect(t, "interrupted", events[2].Interrupted, true)
}

func TestInterruptedBeforeTheStart(t *testing.T) {
	model := loudness(t)
	files := map[string][]byte{}
	for i := range 300 {
		files[fmt.Sprintf("d/%d.wav", i)] = wav(t, noise(100, loud))
	}
	folder(t, files)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, errs bytes.Buffer
	expect(t, "status", run(ctx, []string{"--model", model, "d"}, streams{out: &out, err: &errs}), statusInterrupted)
	contains(t, "stderr", errs.String(), "interrupted")
}

// full is an output that takes no more.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatFails(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(t, noise(rate, loud)), "b.wav": wav(t, noise(9*rate, loud))})
	for _, format := range []string{"text", "json", "ndjson", "csv"} {
		for err, want := range map[error]string{syscall.EPIPE: "", errors.New("disk full"): "classify: disk full\n"} {
			var errs bytes.Buffer
			status := run(t.Context(), []string{"--model", model, "--format", format, "a.wav", "b.wav"}, streams{out: full{err}, err: &errs})
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
	for i := range 2 * soundsAhead {
		name := fmt.Sprintf("d/%04d.wav", i)
		switch {
		case i%100 == 3:
			files[name] = wav(t, noise(40*rate, hum)) // more windows than may wait
			want = append(want, slices.Repeat([]string{name}, 79)...)
		case i%10 == 7:
			files[name] = []byte("no sound")
			want = append(want, name)
		default:
			files[name] = wav(t, noise(1600, loud))
			want = append(want, name)
		}
	}
	folder(t, files)
	_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "--threads", "3", "d")
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
