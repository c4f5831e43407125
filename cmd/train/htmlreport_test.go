package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
)

// TestReport trains a model and writes reports of it: with the learning curves of its checkpoint, of a log, and
// without any.
func TestReport(t *testing.T) {
	data, folder := pitches(t, 16, "low", "mid", "high"), t.TempDir()
	model, log := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "log.csv")
	if status, _, errs := train(t.Context(), quick(data, model, "--log", log)...); status != program.StatusOK {
		t.Fatal(errs)
	}
	broken := filepath.Join(data, "low", "broken.wav")
	if err := os.WriteFile(broken, []byte("not a WAV file"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "report")
	report := func(more ...string) string {
		t.Helper()
		args := append([]string{
			"report", "--model", model, "--data", data, "--split", "all", "--silence", "0", "--out", out,
		}, more...)
		status, printed, errs := train(t.Context(), args...)
		if status != program.StatusOK || !strings.Contains(printed, "index.html: 0.") || !strings.Contains(errs, broken) {
			t.Fatalf("%v: status %d, %q, %q", more, status, printed, errs)
		}
		page, err := os.ReadFile(filepath.Join(out, "index.html"))
		if err != nil {
			t.Fatal(err)
		}
		return string(page)
	}
	page := report("--worst", "3")
	for _, want := range []string{
		"Report on " + model, "Epochs of " + model + ".checkpoint.", "1 more clips could not be read",
		"of 48 clips are classified wrongly", "<th scope=\"row\">ECE, %</th>", ".wav</p>", "<dd>all</dd>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if shown := strings.Count(page, `<article id="error-`); shown > 3 {
		t.Errorf("%d errors with --worst 3", shown)
	}
	fromCheckpoint, err := os.ReadFile(filepath.Join(out, "learning.csv"))
	if err != nil || strings.Count(string(fromCheckpoint), "\n") != 7 {
		t.Errorf("learning.csv %q, error %v", fromCheckpoint, err)
	}
	if page := report("--log", log); !strings.Contains(page, "Epochs of "+log) {
		t.Error("the page does not say that its epochs are those of the log")
	}
	fromLog, err := os.ReadFile(filepath.Join(out, "learning.csv"))
	if err != nil || string(fromLog) != string(fromCheckpoint) {
		t.Errorf("by the log: %q, error %v", fromLog, err)
	}
	for damage, says := range map[string]string{"": "there is no ", "damage": "m.safetensors.checkpoint"} {
		if os.Remove(model + ".checkpoint"); damage != "" {
			if err := os.WriteFile(model+".checkpoint", []byte(damage), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if page := report(); !strings.Contains(page, "There are no epochs to show: ") || !strings.Contains(page, says) {
			t.Errorf("checkpoint %q: the page does not say why there are no learning curves", damage)
		}
		if _, err := os.Stat(filepath.Join(out, "learning.csv")); err == nil {
			t.Error("the files of the earlier report are still there")
		}
	}
}

func TestReportErrors(t *testing.T) {
	data, full, home := pitches(t, 2, "stop", "yes"), t.TempDir(), t.TempDir()
	log := filepath.Join(home, "log.csv")
	columns := strings.Join(logColumns[:minLogColumns], ",")
	for name, text := range map[string]string{
		filepath.Join(full, "thesis.txt"): "", log: columns + "\n1,x,0,0,0,0,0,0,true,0,0,0\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"too many errors": {[]string{"--worst", "201"}, program.StatusUsage, "--worst must be 0 to 200"},
		"other things":    {[]string{"--out", full}, program.StatusFailed, "thesis.txt; --force deletes them"},
		"no parent":       {[]string{"--out", "/none/report"}, program.StatusFailed, "no such file"},
		"no log":          {[]string{"--log", filepath.Join(full, "thesis.txt")}, program.StatusFailed, "no log of train"},
		"line of a log":   {[]string{"--log", log}, program.StatusFailed, "line 2 is no line of an epoch"},
		"empty split":     {[]string{"--split", "test", "--data", t.TempDir()}, program.StatusFailed, "no usable data"},
	} {
		args := append([]string{"report", "--model", "small", "--data", data, "--out", filepath.Join(home, "report")},
			c.args...)
		checkFailure(t, name, args, c.status, c.says)
	}
	if _, err := os.Stat(filepath.Join(full, "thesis.txt")); err != nil {
		t.Error(err)
	}
}
