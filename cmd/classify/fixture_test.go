package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

const rate = 16000

// loudness writes a model of how loud a sound is: _silence_ for zeros, hum for a murmur, loud for noise.
func loudness(t *testing.T) string {
	t.Helper()
	return loudnessWith(t, "loud")
}

// loudnessWith writes that model with another label for noise.
func loudnessWith(t *testing.T, noise string) string {
	t.Helper()
	return savedModel(t, loudnessModel(noise))
}

// loudnessModel returns that model.
func loudnessModel(noise string) *polynet.Model {
	f := features.Default()
	f.Floor = 1e-5 // silence is a row of −11.5
	m := &polynet.Model{
		Features: f, Window: 1, Temperature: 1, Labels: []string{noise, "hum", polynet.SilenceLabel},
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
	for _, s := range m.Net.Program().Weights {
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
	return m
}

// savedModel writes a model.
func savedModel(t *testing.T, m *polynet.Model) string {
	t.Helper()
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

// Amplitudes of the loudness model's labels.
const (
	loud   = 0.5
	hum    = 0.004
	silent = 0
)

func wav(samples []float32) []byte { return audiotest.WAV(audio.S16LE, rate, samples) }

// raw returns samples as bytes.
func raw(e audio.Encoding, samples []float32) []byte { return audiotest.PCM(e, samples) }

// spoken returns an example clip's samples, repeated to so many seconds.
func spoken(t *testing.T, name string, seconds int) []float32 {
	t.Helper()
	c, err := audio.ReadFile(filepath.Join("..", "..", "examples", name), rate)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Repeat(c.Samples, 1+seconds*rate/len(c.Samples))[:seconds*rate]
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

// Exit statuses.
const (
	statusOK          = program.StatusOK
	statusFailed      = program.StatusFailed
	statusUsage       = program.StatusUsage
	statusModel       = program.StatusModel
	statusInterrupted = program.StatusInterrupted
)

// runCommand executes one command line.
func runCommand(ctx context.Context, args []string, s program.Streams) (status int) {
	return this.Run(ctx, args, s, &commands{})
}

// classify runs the command.
func classify(t *testing.T, stdin []byte, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = runCommand(t.Context(), args, program.Streams{In: bytes.NewReader(stdin), Out: &out, Err: &errs})
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
	Seconds                         float64
	As                              string
	Warning                         []string
	Error                           string
	Files, Failed, Windows, Threads int
	AudioSeconds                    float64 `json:"audio_seconds"`
	Window, Hop                     float64
	Model                           string
	Device                          string
	Interrupted                     bool
	Skipped                         int
	Shard                           string
	Elapsed                         float64
	Events                          int
	Stream                          *records.StreamSummary
	Drift                           *records.DriftSummary
	Time                            float64
	Clock                           string
	Label                           string
	P                               float64
	Refused                         any
	RefusedEvents                   int `json:"refused_events"`
	Set                             []string
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
		expect(t, "spec", e.Spec, 2)
		events = append(events, e)
	}
	return events
}

// outline describes lines in a few words each.
func outline(events []ndjson) []string {
	var list []string
	for _, e := range events {
		switch e.Event {
		case "result":
			line := fmt.Sprintf("%s %g s %s", e.File, e.Seconds, e.Labels[0].Label)
			if e.Events > 0 {
				line += fmt.Sprintf(", %d events", e.Events)
			}
			list = append(list, line)
		case "window":
			list = append(list, fmt.Sprintf("%s %g-%g %s", e.File, e.Start, e.End, e.Labels[0].Label))
		case "detection":
			list = append(list, fmt.Sprintf("%s %.1f-%.1f %s", e.File, e.Start, e.End, e.Label))
		case "error":
			list = append(list, "error "+e.File)
		default:
			list = append(list, fmt.Sprintf("%s %d/%d", e.Event, e.Failed, e.Files))
		}
	}
	return list
}
