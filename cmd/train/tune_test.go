package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// TestTune tunes the small model on a few words, with and without a recording that has cue points.
func TestTune(t *testing.T) {
	const rate = 16000
	dir := t.TempDir()
	write := func(path string, wav []byte) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, wav, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recording := make([]float32, 2*rate)
	var cues []audiotest.Cue
	for _, word := range []string{"left", "stop", "yes", "happy"} {
		clip, err := audio.ReadFile("../../examples/"+word+".wav", rate)
		if err != nil {
			t.Fatal(err)
		}
		write("words/"+word+"/a.wav", audiotest.WAV(audio.S16LE, rate, clip.Samples))
		cues = append(cues, audiotest.Cue{
			Label: word, Start: uint32(len(recording) + rate/4), Length: uint32(len(clip.Samples) - rate/2),
		})
		recording = slices.Concat(recording, clip.Samples, make([]float32, rate))
	}
	for _, name := range []string{"recordings/a.wav", "cued/a.wav"} {
		write(name, audiotest.WithCues(audiotest.WAV(audio.S16LE, rate, recording), cues...))
	}
	write("recordings/b.wav", audiotest.WAV(audio.S16LE, rate, recording))
	write("quiet/a.wav", audiotest.WAV(audio.S16LE, rate, slices.Repeat([]float32{0.001, 0, -0.001}, rate)))

	tuned, curve := filepath.Join(dir, "tuned.safetensors"), filepath.Join(dir, "curve.svg")
	tune := func(args ...string) []string {
		return append([]string{"tune", "--model", "small", "--data", filepath.Join(dir, "words"), "--split", "all",
			"--minutes", "0.1", "--without", filepath.Join(dir, "quiet")}, args...)
	}
	status, out, errs := train(t.Context(), tune("--out", tuned, "--det", curve)...)
	if status != program.StatusOK || !strings.Contains(out, "\n3 words ") || strings.Contains(out, "cue points") ||
		!strings.Contains(out, "  the model's own\n") || !strings.Contains(out, "  chosen\n") {
		t.Errorf("status %d, %s, %s", status, out, errs)
	}
	if m, err := polynet.Load(tuned); err != nil || m.Detection == nil {
		t.Errorf("the tuned model: %v", err)
	}
	if svg, err := os.ReadFile(curve); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Errorf("the curve: %v", err)
	}
	status, out, errs = train(t.Context(), tune("--measure", "--recordings", filepath.Join(dir, "recordings"))...)
	if status != program.StatusOK || !strings.Contains(out, "\n6 words ") ||
		!strings.Contains(out, "\n0 false alarms in recordings with cue points") || strings.Contains(out, "chosen") {
		t.Errorf("status %d, %s, %s", status, out, errs)
	}
	if !strings.Contains(errs, "b.wav: it has no cue points") {
		t.Errorf("a recording without cue points: %s", errs)
	}
	status, out, errs = train(t.Context(), tune("--measure", "--data", filepath.Join(dir, "cued"))...)
	if status != program.StatusOK || !strings.Contains(out, "\n3 words ") ||
		strings.Count(errs, "\n") != 2 || !strings.Contains(errs, "fewer than 20 words were said (3)") ||
		!strings.Contains(errs, "quiet/a.wav: very quiet, the loudest 100 ms are at -62 dBFS: ") ||
		!strings.Contains(out, "among the words in 0.2 minutes") { // over 0.5 if each were the whole recording
		t.Errorf("words of a recording with cue points: status %d, %s, %s", status, out, errs)
	}
	for _, word := range []string{"left", "stop", "yes"} {
		write("silent/"+word+"/a.wav", audiotest.WAV(audio.S16LE, rate, make([]float32, rate)))
	}
	untuned := filepath.Join(dir, "untuned.safetensors")
	status, out, errs = train(t.Context(), tune("--data", filepath.Join(dir, "silent"), "--out", untuned)...)
	if _, err := os.Stat(untuned); status != program.StatusFailed || !errors.Is(err, os.ErrNotExist) ||
		!strings.Contains(out, "\nno word was detected\n") || !strings.Contains(errs, "is not written") {
		t.Errorf("words that cannot be detected: status %d, %v, %s, %s", status, err, out, errs)
	}
	write("foreign/elsewhere/a.wav", audiotest.WAV(audio.S16LE, rate, make([]float32, rate)))
	checkFailure(t, "no word of the model", tune("--data", filepath.Join(dir, "foreign")), program.StatusFailed,
		"no clip of any of the model's words in "+filepath.Join(dir, "foreign"))
	checkFailure(t, "nothing measured to write", tune("--measure", "--out", tuned), program.StatusUsage, "--measure")
	checkFailure(t, "negative delay", tune("--delay", "-1"), program.StatusUsage, "--delay")
	checkFailure(t, "no backgrounds", tune("--without", filepath.Join(dir, "none")), program.StatusFailed, "none")
}
