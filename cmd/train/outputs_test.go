package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// TestFitReplacesNothingUnasked runs fit over each of the files that an earlier run can have left.
func TestFitReplacesNothingUnasked(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	whole := filepath.Join(folder, "whole")
	if status, _, errs := train(t.Context(), quick(data, whole)...); status != program.StatusOK {
		t.Fatal(errs)
	}
	model, _ := os.ReadFile(whole)
	checkpoint, _ := os.ReadFile(whole + ".checkpoint")
	for _, c := range []struct {
		name              string
		model, checkpoint bool
		flags             string
		status            int
		says              string
	}{
		{"nothing", false, false, "", program.StatusOK, ""},
		{"a model", true, false, "", program.StatusUsage, "a model exists, and has no checkpoint"},
		{"a checkpoint", false, true, "", program.StatusUsage, "a checkpoint.checkpoint is there from an earlier"},
		{"both", true, true, "", program.StatusUsage, "both.checkpoint is there from an earlier"},
		{"resume nothing", false, false, "--resume", program.StatusOK, "starting anew"},
		{"resume without checkpoint", true, false, "--resume", program.StatusUsage, "--force replaces it"},
		{"resume", false, true, "--resume", program.StatusOK, ""},
		{"resume what is done", true, true, "--resume", program.StatusOK, ""},
		{"force", true, true, "--force", program.StatusOK, ""},
		{"force over a model", true, false, "--force", program.StatusOK, ""},
		{"force and resume", true, false, "--force --resume", program.StatusOK, "starting anew"},
	} {
		path := filepath.Join(folder, c.name)
		if c.model {
			os.WriteFile(path, model, 0o644)
		}
		if c.checkpoint {
			os.WriteFile(path+".checkpoint", checkpoint, 0o644)
		}
		status, _, errs := train(t.Context(), quick(data, path, strings.Fields(c.flags)...)...)
		if status != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("%s: status %d, want %d, %q should say %q", c.name, status, c.status, errs, c.says)
		}
		if status == program.StatusOK {
			if _, err := polynet.Load(path); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		after, err := os.ReadFile(path)
		if c.model != (err == nil) || c.model && string(after) != string(model) {
			t.Errorf("%s: the model has changed: %v", c.name, err)
		}
	}
}

// TestOutputsThatCannotBeWritten has each command fail before it works, and say why.
func TestOutputsThatCannotBeWritten(t *testing.T) {
	data, folder := pitches(t, 4, "low", "high"), t.TempDir()
	file := filepath.Join(folder, "file")
	os.WriteFile(file, nil, 0o644)
	os.MkdirAll(filepath.Join(folder, "m.checkpoint"), 0o755)
	for _, bad := range []struct{ path, says string }{
		{folder, "it is a folder, not a file"},
		{filepath.Join(folder, "none", "out"), "no such file or directory"},
		{filepath.Join(file, "out"), "not a directory"},
	} {
		for name, args := range map[string][]string{
			"fit":    quick(data, bad.path),
			"tune":   {"tune", "--data", filepath.Join(folder, "none"), "--without", data, "--out", bad.path},
			"det":    {"tune", "--data", filepath.Join(folder, "none"), "--without", data, "--det", bad.path},
			"export": {"export", "--onnx", bad.path, filepath.Join(folder, "none")},
			"import": {"import", "--safetensors", filepath.Join(folder, "none"), "--out", bad.path},
		} {
			checkFailure(t, name+" "+bad.path, args, program.StatusFailed, "cannot write "+bad.path+": "+bad.says)
		}
	}
	checkFailure(t, "checkpoint", quick(data, filepath.Join(folder, "m")), program.StatusFailed,
		"checkpoint: cannot write "+filepath.Join(folder, "m.checkpoint"))
	checkFailure(t, "resume into a device", quick(data, os.DevNull, "--resume"), program.StatusUsage, "no regular file")
}
