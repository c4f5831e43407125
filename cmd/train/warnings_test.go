package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
)

// TestFaultyFilesAreNamed: files that are cut short are used, and named in one line by each command that reads them.
func TestFaultyFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, word := range []string{"left", "stop", "yes"} {
		for _, name := range []string{"a.wav", "b.wav", "c.wav"} {
			wav := audiotest.WAV(audio.S16LE, 16000, slices.Repeat([]float32{0.1, 0, -0.1, 0}, 4000))
			if word != "yes" && name == "b.wav" {
				wav = wav[:len(wav)-1000]
			}
			if err := os.MkdirAll(filepath.Join("words", word), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join("words", word, name), wav, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := "train: warning: " + filepath.Join(dir, "words", "left", "b.wav") +
		": data chunk says 32000 bytes, file ends after 31000, at 0.97 s (2 files in all are like this)\n"
	for _, args := range [][]string{
		{"eval", "--model", "small", "--data", "words", "--split", "all"},
		{"tune", "--model", "small", "--data", "words", "--split", "all", "--minutes", "0.1", "--measure",
			"--without", filepath.Join("words", "yes")},
		{"fit", "--data", "words", "--out", "m.safetensors", "--epochs", "1", "--stem", "4:3:0:4",
			"--stages", "4:1:3:0:1", "--in-context", "0"},
	} {
		status, _, errs := train(t.Context(), args...)
		if status != program.StatusOK || strings.Count(errs, want) != 1 {
			t.Errorf("%s: status %d, %s\nwant one line\n%s", args[0], status, errs, want)
		}
	}
}
