package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// train runs a command line and returns its exit status and what it printed.
func train(ctx context.Context, args ...string) (status int, out, err string) {
	var o, e bytes.Buffer
	status = this.Run(ctx, args, program.Streams{In: strings.NewReader(""), Out: &o, Err: &e}, &commands{})
	return status, o.String(), e.String()
}

// pitches writes a data set of words that are tones of different pitch and returns its folder.
func pitches(t *testing.T, clips int, words ...string) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	for w, word := range words {
		if err := os.MkdirAll(filepath.Join(dir, word), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range clips {
			writeTone(t, filepath.Join(dir, word, string(rune('a'+i))+word+".wav"), 300*math.Pow(2, float64(w)), rng)
		}
	}
	return dir
}

func writeTone(t *testing.T, name string, hertz float64, rng *rand.Rand) {
	t.Helper()
	samples := make([]float32, 4800)
	hertz *= 0.95 + 0.1*rng.Float64()
	for i := range samples {
		samples[i] = float32(0.3*math.Sin(2*math.Pi*hertz*float64(i)/16000) + 0.02*rng.NormFloat64())
	}
	writeSamples(t, name, samples)
}

func writeSamples(t *testing.T, name string, samples []float32) {
	t.Helper()
	if err := os.WriteFile(name, audiotest.WAV(audio.S16LE, 16000, samples), 0o644); err != nil {
		t.Fatal(err)
	}
}

// quick are the flags of a small, short run.
func quick(data, out string, more ...string) []string {
	return append([]string{"fit", "--data", data, "--out", out, "--stem", "8:3:1:2", "--stages", "16:1:3:1:2",
		"--epochs", "6", "--silence", "0", "--in-context", "0.5", "--batch", "8", "--augment", "light",
		"--ema", "0.8", "--lr", "0.05", "--warmup", "1", "--threads", "2"}, more...)
}

func TestFitEvalInfo(t *testing.T) {
	data, folder := pitches(t, 16, "low", "mid", "high", "other"), t.TempDir()
	model, log := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "log.csv")
	broken := filepath.Join(data, "low", "broken")
	for _, n := range []string{"0.wav", "1.wav", "2.wav"} {
		if err := os.WriteFile(broken+n, []byte("not a WAV file"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	more := []string{"--words", "low,mid,high", "--unknown", "0.3", "--log", log}
	status, out, errs := train(t.Context(), quick(data, model, more...)...)
	if status != program.StatusOK || !strings.Contains(out, model) {
		t.Fatalf("fit: status %d, printed %q and %q", status, out, errs)
	}
	if !strings.Contains(errs, broken) {
		t.Errorf("fit named no unreadable clip: %q", errs)
	}
	if n := strings.Count(errs, "\nepoch "); n != 6 || strings.ContainsAny(errs, "\r\x1b") {
		t.Errorf("fit printed %d lines about epochs where there is no terminal: %q", n, errs)
	}
	checkLog(t, log, 6)

	status, out, errs = train(t.Context(), "eval", "--model", model, "--data", data, "--split", "all", "--json")
	if status != program.StatusOK || !strings.Contains(errs, broken) {
		t.Fatalf("eval: status %d, %q", status, errs)
	}
	var r struct {
		Accuracy, NLL  float64
		Clips, Skipped int
		Classes        []struct{ Label string }
		Confusion      [][]int
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Clips != 64 || r.Skipped != 3 || r.Accuracy < 80 || r.NLL > 1 || len(r.Classes) != 4 || len(r.Confusion) != 4 {
		t.Errorf("eval printed %s", out)
	}
	if r.Classes[3].Label != "_unknown_" {
		t.Errorf("labels %v; the folder that is no word should be _unknown_", r.Classes)
	}
	status, out, _ = train(t.Context(), "eval", "--model", model, "--data", data, "--context", "--record")
	if status != program.StatusOK || strings.Count(out, "accuracy  ") != 3 ||
		!strings.Contains(out, "in noise 20 dB") || !strings.Contains(out, "of other sound") {
		t.Errorf("eval: status %d, %q", status, out)
	}

	status, out, _ = train(t.Context(), "info", model)
	for _, want := range []string{"low mid high _unknown_", "parameters", "million per second", "lookahead",
		"test_accuracy", "valid_nll", "test_context_accuracy", "test_noise_accuracy", "test_context_snr",
		"valid_context_accuracy"} {
		if status != program.StatusOK || !strings.Contains(out, want) {
			t.Errorf("info: status %d, no %q in\n%s", status, want, out)
		}
	}
}

// TestFitsEveryKind trains a small network of each kind on tones, and checks what fit's help and info say of it.
func TestFitsEveryKind(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	_, help, _ := train(t.Context(), "fit", "--help")
	if len(kinds) != len(polynet.BlockKinds()) {
		t.Errorf("the help has %d kinds of %d", len(kinds), len(polynet.BlockKinds()))
	}
	for _, kind := range polynet.BlockKinds() {
		model := filepath.Join(folder, string(kind))
		more := []string{"--arch", string(kind), "--stages", "8:1:3:1:2,10:1:3:1:1", "--epochs", "10"}
		status, _, errs := train(t.Context(), quick(data, model, more...)...)
		if status != program.StatusOK {
			t.Errorf("%s: status %d, %s", kind, status, errs)
			continue
		}
		status, out, _ := train(t.Context(), "eval", "--model", model, "--data", data, "--split", "all", "--json")
		var r struct{ Accuracy float64 }
		if err := json.Unmarshal([]byte(out), &r); status != program.StatusOK || err != nil || r.Accuracy < 80 {
			t.Errorf("%s: status %d, %s", kind, status, out)
		}
		_, info, _ := train(t.Context(), "info", model)
		if !strings.Contains(info, "polynomial") || !strings.Contains(info, string(kind)) {
			t.Errorf("info of %s:\n%s", kind, info)
		}
		if !strings.Contains(help, "\n    "+string(kind)+" ") {
			t.Errorf("no %s in the help", kind)
		}
	}
}

func checkLog(t *testing.T, path string, epochs int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) != epochs+1 || lines[0][0] != "epoch" || lines[epochs][0] != "6" {
		t.Errorf("log: %v, %v", lines, err)
	}
}

func TestInterruptedFitResumes(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	whole, parts := filepath.Join(folder, "whole"), filepath.Join(folder, "parts")
	if status, _, errs := train(t.Context(), quick(data, whole)...); status != program.StatusOK {
		t.Fatal(errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	status, _, errs := train(ctx, quick(data, parts)...)
	if status != program.StatusInterrupted || !strings.Contains(errs, "interrupted") {
		t.Fatalf("status %d, %q", status, errs)
	}
	if _, err := os.Stat(parts); err == nil {
		t.Error("an interrupted run left a model")
	}
	status, _, errs = train(t.Context(), quick(data, parts, "--resume")...)
	if status != program.StatusOK || !strings.Contains(errs, "starting anew") {
		t.Fatalf("status %d, %q", status, errs)
	}
	_, a, _ := train(t.Context(), "eval", "--model", whole, "--data", data, "--split", "all", "--json")
	_, b, _ := train(t.Context(), "eval", "--model", parts, "--data", data, "--split", "all", "--json")
	if a != b {
		t.Errorf("the resumed run's model differs:\n%s\n%s", a, b)
	}
}

func TestEmbeddedModel(t *testing.T) {
	status, out, errs := train(t.Context(), "info")
	if status != program.StatusOK || !strings.Contains(out, "_unknown_ _silence_") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

func TestErrors(t *testing.T) {
	data, folder := pitches(t, 4, "low", "high"), t.TempDir()
	single, empty := pitches(t, 4, "low"), t.TempDir()
	foreign := filepath.Join(folder, "foreign")
	if err := os.WriteFile(foreign, []byte("PK\x03\x04 and more"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "out")
	eval := func(args ...string) []string { return append([]string{"eval", "--data", data}, args...) }
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no command":        {nil, program.StatusUsage, "fit"},
		"no data":           {[]string{"fit", "--out", out}, program.StatusUsage, "--data"},
		"unknown flag":      {eval("--frobnicate"), program.StatusUsage, "frobnicate"},
		"bad stem":          {quick(data, out, "--stem", "8:3"), program.StatusUsage, "--stem"},
		"bad stage":         {quick(data, out, "--stages", "8:x:3:1:1"), program.StatusUsage, "\"x\""},
		"impossible stage":  {quick(data, out, "--stages", "8:1:3:3:1"), program.StatusUsage, "lookahead 3 of a kernel of 3"},
		"unknown blocks":    {quick(data, out, "--arch", "cubic"), program.StatusUsage, "pi-tanh"},
		"retired blocks":    {quick(data, out, "--arch", "rpoly"), program.StatusUsage, "retired"},
		"degree too high":   {quick(data, out, "--arch", "ncp", "--degree", "17"), program.StatusUsage, "degree 17"},
		"expansion of pi":   {quick(data, out, "--expansion", "3"), program.StatusUsage, "pi-relu blocks"},
		"degree of pi":      {quick(data, out, "--arch", "pi", "--degree", "3"), program.StatusUsage, "pi blocks"},
		"bad context":       {quick(data, out, "--context", "1"), program.StatusUsage, "--context"},
		"bad noise":         {eval("--context", "--noise", "500"), program.StatusUsage, "--noise"},
		"negative threads":  {quick(data, out, "--threads", "-1"), program.StatusUsage, "--threads"},
		"gamma of others":   {quick(data, out, "--loss", "ce", "--gamma", "2"), program.StatusUsage, "--gamma is"},
		"noise backwards":   {quick(data, out, "--snr", "9:2"), program.StatusUsage, "9:2"},
		"noise of one":      {quick(data, out, "--snr", "9"), program.StatusUsage, "not two numbers"},
		"absurd noise":      {quick(data, out, "--snr", "9:999"), program.StatusUsage, "signal-to-noise"},
		"noise share":       {quick(data, out, "--noise-share", "2"), program.StatusUsage, "noise probability"},
		"fluent share":      {quick(data, out, "--fluent", "2"), program.StatusUsage, "fluent"},
		"live without":      {quick(data, out, "--live", "--in-context", "0"), program.StatusUsage, "in context"},
		"mining":            {quick(data, out, "--mine=-1"), program.StatusUsage, "hard negatives"},
		"from other blocks": {quick(data, out, "--from", "base"), program.StatusUsage, "other"},
		"from nothing":      {quick(data, out, "--from", filepath.Join(folder, "none")), program.StatusModel, "--from"},
		"batch of one":      {quick(data, out, "--batch", "1"), program.StatusUsage, "batch"},
		"one class":         {quick(single, out), program.StatusFailed, "single class"},
		"no sound":          {quick(empty, out), program.StatusFailed, empty},
		"no such folder":    {quick(filepath.Join(folder, "none"), out), program.StatusFailed, "none"},
		"no such word":      {quick(data, out, "--words", "low,sideways"), program.StatusUsage, "sideways"},
		"nothing to record": {eval("--record"), program.StatusUsage, "--model"},
		"foreign model":     {eval("--model", foreign), program.StatusModel, foreign},
		"no model":          {[]string{"info", filepath.Join(folder, "none")}, program.StatusModel, "none"},
		"out is a folder":   {quick(data, folder), program.StatusFailed, "is a folder"},
		"no output folder":  {quick(data, filepath.Join(folder, "none", "m")), program.StatusFailed, "none"},
	} {
		checkFailure(t, name, c.args, c.status, c.says)
	}
}

// checkFailure runs a command line that must fail with the status and say why.
func checkFailure(t *testing.T, name string, args []string, status int, says string) {
	t.Helper()
	got, out, errs := train(t.Context(), args...)
	if got != status || !strings.Contains(errs, says) || out != "" {
		t.Errorf("%s: status %d instead of %d, stdout %q, stderr %q should say %q", name, got, status, out, errs, says)
	}
}

// TestDistillation fits a model to a teacher's probabilities too, and has a teacher of other labels refused.
func TestDistillation(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	teacher := filepath.Join(folder, "teacher.safetensors")
	if status, _, errs := train(t.Context(), quick(data, teacher)...); status != program.StatusOK {
		t.Fatal(errs)
	}
	student := filepath.Join(folder, "student.safetensors")
	more := []string{"--teacher", teacher, "--taught", "0.5", "--mixup", "0.2", "--schedule", "steps:3,5"}
	status, _, errs := train(t.Context(), quick(data, student, more...)...)
	if status != program.StatusOK {
		t.Fatalf("status %d: %s", status, errs)
	}
	if m, err := polynet.Load(student); err != nil || m.Provenance.Metrics["valid_accuracy"] < 60 {
		t.Errorf("%v, %v", m.Provenance, err)
	}
	other := filepath.Join(folder, "other")
	checkFailure(t, "a teacher of other labels", quick(data, other, "--teacher", "base"), program.StatusUsage, "labels")
	more = []string{
		"--from", teacher, "--live", "--mine", "1", "--snr", "0:20", "--noise-share", "0.8", "--fluent", "0.2", "--force",
	}
	if status, _, errs = train(t.Context(), quick(data, student, more...)...); status != program.StatusOK {
		t.Fatalf("status %d: %s", status, errs)
	}
	for _, schedule := range []string{"cosin", "steps:", "steps:5,3", "steps:9"} {
		checkFailure(t, schedule, quick(data, other, "--schedule", schedule), program.StatusUsage, "")
	}
}
