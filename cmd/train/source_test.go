package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/polynet"
)

// TestSources: a model and what is distilled from it, tuned or exported, name the recordings and their licences.
func TestSources(t *testing.T) {
	data, folder := pitches(t, 12, "low", "high"), t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	fit := func(out string, more ...string) {
		t.Helper()
		if status, _, errs := train(t.Context(), quick(data, path(out), append(more, "--epochs", "1")...)...); status != 0 {
			t.Fatal(errs)
		}
	}
	fit("teacher", "--source", "speech_commands: CC BY 4.0, Google, 2018", "--source", " tones :CC0")
	fit("late")
	fit("late", "--resume", "--source", "tones: CC0") // of a run that is done
	fit("student", "--source", "ESC-10: CC BY 3.0, K. J. Piczak: Harvard Dataverse", "--source", "tones: CC0",
		"--teacher", path("teacher"))
	speech := polynet.Source{Name: "speech_commands", Licence: "CC BY 4.0", Attribution: "Google, 2018"}
	tones := polynet.Source{Name: "tones", Licence: "CC0"}
	esc := polynet.Source{Name: "ESC-10", Licence: "CC BY 3.0", Attribution: "K. J. Piczak: Harvard Dataverse"}
	for name, want := range map[string][]polynet.Source{
		"teacher": {speech, tones}, "student": {esc, tones, speech}, "late": {tones},
	} {
		m, err := polynet.Load(path(name))
		if err != nil || !slices.Equal(m.Provenance.Sources, want) {
			t.Errorf("%s: %v, %v, want %v", name, m.Provenance.Sources, err, want)
		}
	}
	_, out, _ := train(t.Context(), "info", path("student"))
	for _, want := range []string{
		"ESC-10: CC BY 3.0, K. J. Piczak: Harvard Dataverse", "tones: CC0", "speech_commands: CC BY 4.0, Google, 2018",
	} {
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			name, rest, _ := strings.Cut(line, " ")
			return name == "source" && strings.TrimSpace(rest) == want
		}) {
			t.Errorf("info: no %q in\n%s", want, out)
		}
	}
	if status, _, errs := train(t.Context(), "export", "--onnx", path("onnx"), path("teacher")); status != 0 {
		t.Fatal(errs)
	}
	file, err := os.ReadFile(path("onnx"))
	if err != nil {
		t.Fatal(err)
	}
	exported, err := onnx.Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var back polynet.Model
	if err := back.SetMetadata(exported.Metadata()); err != nil ||
		!slices.Equal(back.Provenance.Sources, []polynet.Source{speech, tones}) {
		t.Errorf("ONNX: %v, %v", back.Provenance.Sources, err)
	}
	for _, bad := range []string{"", "speech", "speech:", ": CC0", "a: , Google", "a\nb: CC0"} {
		checkFailure(t, bad, quick(data, path("new"), "--source", bad), program.StatusUsage, "--source")
	}
}
