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
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestCheck says what is in a folder and what fit would do, as text, JSON and a page.
func TestCheck(t *testing.T) {
	data, page := pitches(t, 12, "low", "<b>high", "日本"), filepath.Join(t.TempDir(), "page.html")
	writeFile(t, filepath.Join(data, "low", "broken.wav"), "no sound")
	status, out, errs := train(t.Context(), "check", "--data", data, "--html", page)
	if status != program.StatusOK {
		t.Fatal(errs)
	}
	for _, want := range []string{
		"label      training  validation  test  seconds\n", "split by a hash of the speaker",
		"window 0.3 s: the longest clip has 0.3 s",
		"unreadable: 1 file(s) cannot be read and are skipped: " + data, "too few: an accuracy on ",
		"closed set: no examples of other sounds", "--silence 0.1: ", "--from ", "--steps ", "--keep last: ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	samples := make([]float32, 16000*13)
	for i := range samples {
		samples[i] = float32(i%7) / 10
	}
	writeSamples(t, filepath.Join(data, "low", "long.wav"), samples)
	writeFile(t, filepath.Join(data, "low", "phone.m4a"), "no sound")
	_, out, _ = train(t.Context(), "check", "--data", data)
	for _, want := range []string{
		"note: 1 of 37 clips is longer than the window of 0.3 s, the longest " + filepath.Join(data, "low", "long.wav") +
			" with 13.0 s: it is used in parts",
		"window 0.3 s: the longest clip has 13 s (", "note: ignored 1 file(s) of sound formats that are not read",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	os.Remove(filepath.Join(data, "low", "long.wav"))
	text, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(text, []byte("&lt;b&gt;high")) || bytes.Contains(text, []byte("<b>high")) {
		t.Errorf("the page: %v\n%s", err, text)
	}
	status, out, _ = train(t.Context(), "check", "--data", data, "--json", "--words", "low,日本")
	var found struct {
		Labels []struct {
			Label              string
			Train, Valid, Test int
		}
		Rule     string
		Findings []struct{ Kind, Text string }
		Choices  []struct{ Setting, Value, Reason string }
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || status != program.StatusOK {
		t.Fatalf("%v: %s", err, out)
	}
	if len(found.Labels) != 3 || found.Labels[1].Label != "日本" || found.Labels[2].Label != "_unknown_" ||
		found.Rule == "" || len(found.Findings) == 0 || len(found.Choices) < 4 {
		t.Errorf("%+v", found)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such folder":      {[]string{"check", "--data", filepath.Join(data, "none")}, "none"},
		"no place for a page": {[]string{"check", "--data", data, "--html", filepath.Join(data, "none", "x")}, "none"},
		"no such fold":        {[]string{"check", "--data", folds(t), "--test-fold", "7"}, "there is no fold 7"},
	} {
		status, _, errs := train(t.Context(), c.args...)
		if status == program.StatusOK || !strings.Contains(errs, c.says) {
			t.Errorf("%s: status %d, %q", name, status, errs)
		}
	}
}

// folds writes a data set in three folds.
func folds(t *testing.T) string {
	dir, data := t.TempDir(), pitches(t, 18, "low", "high")
	for _, label := range []string{"low", "high"} {
		files, err := os.ReadDir(filepath.Join(data, label))
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range files {
			fold := filepath.Join(dir, fmt.Sprintf("fold%d", i%3+1), label)
			if err := os.MkdirAll(fold, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(data, label, f.Name()), filepath.Join(fold, f.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// TestCrossValidation measures on every clip once, and then learns all of them.
func TestCrossValidation(t *testing.T) {
	data, plain, folder := folds(t), pitches(t, 12, "low", "high"), t.TempDir()
	for i, c := range []struct {
		data  string
		flags []string
		folds int
		clips string
	}{
		{data, []string{"--folds"}, 3, "3 folds, 36 clips"}, {data, []string{"--folds=3"}, 3, "3 folds, 36 clips"},
		{plain, []string{"--folds", "2"}, 2, "2 folds, 24 clips"},
	} {
		model := filepath.Join(folder, fmt.Sprint(i))
		status, out, errs := train(t.Context(), quick(c.data, model, c.flags...)...)
		if status != program.StatusOK || strings.Count(out, "\nfold ")+1 != c.folds ||
			!strings.Contains(out, "cross-validation, "+c.clips+": accuracy ") {
			t.Fatalf("%v: status %d, %s%s", c.flags, status, out, errs)
		}
		m, err := polynet.Load(model)
		if err != nil || m.Provenance.Metrics["cross_accuracy"] < 60 || m.Provenance.Metrics["cross_clips"] == 0 {
			t.Errorf("%v: %v, %v", c.flags, m.Provenance.Metrics, err)
		}
		if left, _ := filepath.Glob(filepath.Join(folder, "*.fold*")); len(left) > 0 {
			t.Errorf("%q are left", left)
		}
	}
	model := filepath.Join(folder, "m")
	status, out, errs := train(t.Context(), quick(data, model, "--test-fold", "1")...)
	if status != program.StatusOK || !strings.Contains(errs, "fold 1 for the test") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	alone := folds(t)
	if err := os.Mkdir(filepath.Join(alone, "fold2", "rare"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeTone(t, filepath.Join(alone, "fold2", "rare", "a.wav"), 900, rand.New(rand.NewPCG(1, 2)))
	status, out, errs = train(t.Context(), quick(alone, model, "--folds", "--force")...)
	if status == program.StatusOK || strings.Contains(errs, "epoch 1") ||
		!strings.Contains(errs, "with fold 2 held out: no usable data: rare has no training clips") {
		t.Errorf("a class of one fold: status %d, %s%s", status, out, errs)
	}
	checkFailure(t, "no folds", quick(plain, model, "--folds", "--force"), program.StatusUsage, "--folds=5 makes five")
	checkFailure(t, "other folds", quick(data, model, "--folds=2", "--force"), program.StatusUsage, "has 3 folds")
	checkFailure(t, "one fold", quick(plain, model, "--folds=1", "--force"), program.StatusUsage, "at least 2")
}

// canceller is a console that interrupts a run once something is printed.
type canceller struct {
	bytes.Buffer
	at     string
	cancel context.CancelFunc
}

func (c *canceller) Write(text []byte) (int, error) {
	n, err := c.Buffer.Write(text)
	if strings.Contains(c.String(), c.at) {
		c.cancel()
	}
	return n, err
}

// TestInterruptedFitLeavesTheBestModel, and --resume goes on, beyond the end of the run too.
func TestInterruptedFitLeavesTheBestModel(t *testing.T) {
	data, model := pitches(t, 12, "low", "high"), filepath.Join(t.TempDir(), "m")
	ctx, cancel := context.WithCancel(t.Context())
	console := &canceller{at: "\nepoch 2 ", cancel: cancel}
	var out bytes.Buffer
	status := this.Run(ctx, quick(data, model, "--epochs", "400"),
		program.Streams{In: strings.NewReader(""), Out: &out, Err: console}, &commands{})
	m, err := polynet.Load(model)
	if status != program.StatusInterrupted || err != nil || m.Provenance.BestEpoch < 1 ||
		!strings.Contains(console.String(), "the best model so far, of epoch ") {
		t.Fatalf("status %d, %v, %s", status, err, console.String())
	}
	fewer := quick(data, model, "--epochs", "3", "--resume")
	checkFailure(t, "fewer epochs", fewer, program.StatusFailed, "Epochs was 400")
	status, _, errs := train(t.Context(), quick(data, model, "--epochs", "3", "--force")...)
	if status != program.StatusOK {
		t.Fatal(errs)
	}
	status, _, errs = train(t.Context(), quick(data, model, "--epochs", "5", "--resume")...)
	m, err = polynet.Load(model)
	if status != program.StatusOK || err != nil || m.Provenance.Epochs != 5 || strings.Contains(errs, "\nepoch 3 ") ||
		!strings.Contains(errs, "\nepoch 4 ") {
		t.Errorf("status %d, %v, %s", status, err, errs)
	}
}

// TestResumeExtends runs whose length was given in steps or in epochs, by more of either.
func TestResumeExtends(t *testing.T) {
	data := pitches(t, 8, "low", "high") // 12 training clips, which a run of --steps shows 13 times an epoch: in 20 steps
	for name, c := range map[string]struct {
		first, then []string
		epochs      int
	}{
		"steps by epochs":  {[]string{"--epochs", "0", "--steps", "20"}, []string{"--epochs", "3"}, 3},
		"epochs by steps":  {[]string{"--epochs", "1"}, []string{"--epochs", "0", "--steps", "6"}, 3},
		"epochs by epochs": {[]string{"--epochs", "1", "--warmup", "2"}, []string{"--epochs", "2", "--warmup", "2"}, 2},
		"steps by steps": {
			[]string{"--epochs", "0", "--steps", "20"}, []string{"--epochs", "0", "--steps", "25"}, 2,
		},
	} {
		model := filepath.Join(t.TempDir(), "m")
		for _, flags := range [][]string{c.first, append(c.then, "--resume")} {
			if status, _, errs := train(t.Context(), quick(data, model, flags...)...); status != program.StatusOK {
				t.Fatalf("%s: %s", name, errs)
			}
		}
		if m, err := polynet.Load(model); err != nil || m.Provenance.Epochs != c.epochs {
			t.Errorf("%s: %d epochs instead of %d, %v", name, m.Provenance.Epochs, c.epochs, err)
		}
	}
}

// TestFitBeginsWithBase where that suits the clips, as --from and --from none say otherwise.
func TestFitBeginsWithBase(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	rng := rand.New(rand.NewPCG(7, 8))
	for _, word := range []string{"left", "stop"} { // which base knows
		clip, err := audio.ReadFile("../../examples/"+word+".wav", 16000)
		if err != nil || os.Mkdir(filepath.Join(data, word), 0o755) != nil {
			t.Fatal(err)
		}
		for _, speaker := range "abcdefghij" {
			samples := slices.Clone(clip.Samples)
			for k := range samples {
				samples[k] += float32(0.005 * rng.NormFloat64())
			}
			writeSamples(t, filepath.Join(data, word, string(speaker)+".wav"), samples)
		}
	}
	block := models.Base().Net.Block
	for i, c := range []struct {
		flags  []string
		says   string
		silent string // about that
		block  polynet.BlockKind
	}{
		{nil, "--from base: base tells ", "--arch", block},
		{[]string{"--from", "none"}, "--arch pi-relu, small: ", "--from-", polynet.PiReLU},
		{[]string{"--from", "small"}, "--from-rate 0.1: the model's layers are kept", "--arch", polynet.PiReLU},
		{[]string{"--from", filepath.Join(folder, "1")}, "--from-norms keep: ", "--from-rate", polynet.PiReLU},
		{[]string{"--from", filepath.Join(folder, "1")}, "--mixup 0.3: ", "--arch", polynet.PiReLU},
		{[]string{"--from", filepath.Join(folder, "1")}, "--keep last: ", "--lr", polynet.PiReLU},
		{[]string{"--from", "small", "--from-norms", "new", "--from-rate", "0.3"}, "", "--from-", polynet.PiReLU},
		{[]string{"--arch", "linear"}, "", "--arch", polynet.Linear},
	} {
		model := filepath.Join(folder, fmt.Sprint(i))
		flags := append([]string{"fit", "--data", data, "--out", model, "--epochs", "1", "--threads", "2"}, c.flags...)
		status, _, errs := train(t.Context(), flags...)
		m, err := polynet.Load(model)
		if status != program.StatusOK || err != nil || m.Net.Block != c.block ||
			!strings.Contains(errs, c.says) || strings.Contains(errs, "\n"+c.silent) {
			t.Errorf("%q: status %d, %v, %s", c.flags, status, err, errs)
			continue
		}
		if !slices.Equal(m.Labels, []string{"left", "stop", "_silence_"}) {
			t.Errorf("%q: labels %q", c.flags, m.Labels)
		}
	}
}
