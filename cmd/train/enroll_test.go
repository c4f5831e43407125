package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestEnroll adds words to a detector and removes them, and uses it as any other model is used.
func TestEnroll(t *testing.T) {
	data, folder := t.TempDir(), t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	for w, word := range []string{"low", "high", "other"} {
		if err := os.MkdirAll(filepath.Join(data, word), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, speaker := range "abcdefghij" {
			writeTone(t, filepath.Join(data, word, string(speaker)+".wav"), 300*math.Pow(3, float64(w)), rng)
		}
	}
	mine := filepath.Join(folder, "mine.safetensors")
	clips := func(word, names string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(data, word, string(name)+".wav"))
		}
		return paths
	}
	run := func(says string, args ...string) {
		t.Helper()
		status, out, errs := train(t.Context(), args...)
		if status != program.StatusOK || !strings.Contains(out+errs, says) {
			t.Fatalf("%v: status %d, %q and %q do not say %q", args, status, out, errs, says)
		}
	}
	enroll := func(word, names string, more ...string) []string {
		return slices.Concat([]string{"enroll", "--word", word}, more, clips(word, names))
	}
	run("mine.safetensors: 1 word\n", enroll("low", "abcde", "--model", "small", "--out", mine, "--source", "my: CC0")...)
	run("mine.safetensors: 2 words\n", enroll("high", "abcde", "--model", mine)...)
	m, err := polynet.Load(mine)
	if err != nil || strings.Join(m.Labels, " ") != "low high _unknown_" || m.Provenance.Sources[0].Name == "" {
		t.Fatalf("%v, %v", m, err)
	}
	sources := map[string]int{}
	for _, s := range slices.Concat(m.Provenance.Sources, models.Small().Provenance.Sources) {
		sources[s.Name]++
	}
	if n := len(m.Provenance.Sources); len(sources) != n || sources["my"] != 1 || sources["Speech Commands"] == 0 {
		t.Errorf("sources %v", m.Provenance.Sources)
	}
	status, out, errs := train(t.Context(), "eval", "--model", mine, "--data", data, "--split", "all", "--json")
	var r struct{ Accuracy float64 }
	if err := json.Unmarshal([]byte(out), &r); status != program.StatusOK || err != nil || r.Accuracy < 65 {
		t.Errorf("eval: status %d, %s, %s", status, out, errs)
	}
	run("low high _unknown_", "info", mine)
	run("", "export", "--onnx", filepath.Join(folder, "mine.onnx"), mine)
	run("", "import", "--onnx", filepath.Join(folder, "mine.onnx"), "--out", filepath.Join(folder, "back.safetensors"))
	back := filepath.Join(folder, "back.safetensors")
	run("back.safetensors: 1 word\n", "enroll", "--model", back, "--remove", "low")
	few := filepath.Join(folder, "few.safetensors")
	run("with 5 or more", enroll("low", "ab", "--model", "small", "--out", few)...)

	run("few.safetensors: 1 word\n", enroll("high", "abcde", "--model", few, "--remove", "low")...)  // the only one
	run("few.safetensors: 1 word\n", enroll("high", "bcdef", "--model", few, "--remove", "high")...) // made anew
	if m, err = polynet.Load(few); err != nil || strings.Join(m.Labels, " ") != "high _unknown_" {
		t.Errorf("%v, %v", m, err)
	}
	run("few.safetensors: 1 word\n", enroll("low", "abcde", "--model", "small", "--out", few, "--force")...)
	run("mine.safetensors: 2 words\n", enroll("high", "abcdef", "--model", mine, "--remove", "high", "--out", mine)...)
	with := func(word string, more ...string) []string {
		return slices.Concat([]string{"--model", mine, "--word", word}, more, clips("low", "abcde"))
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"nothing to do":       {[]string{"--model", mine}, program.StatusUsage, "--word or --remove"},
		"no clips":            {[]string{"--model", mine, "--word", "x"}, program.StatusUsage, "needs clips"},
		"no word":             {append([]string{"--model", mine}, clips("low", "a")...), program.StatusUsage, "--word"},
		"the same word":       {with("low"), program.StatusFailed, "already"},
		"no output":           {with("x", "--model", "base"), program.StatusUsage, "--out"},
		"unknown":             {with("_unknown_"), program.StatusFailed, "no word"},
		"not there to remove": {[]string{"--model", mine, "--remove", "mid"}, program.StatusUsage, "no word \"mid\""},
		"the only word":       {[]string{"--model", back, "--remove", "high"}, program.StatusUsage, "no word would be left"},
		"of a trained model":  {[]string{"--out", few, "--force", "--remove", "yes"}, program.StatusUsage, "trained"},
		"a file with words":   {with("x", "--model", "small", "--out", few), program.StatusUsage, "--model " + few + " adds"},
		"a file of clips":     {with("x", "--out", clips("low", "a")[0]), program.StatusUsage, "--force replaces it"},
		"a label too long": {
			with(strings.Repeat("é", 129)), program.StatusUsage, "é\"… has 258 bytes, at most 256 are possible; rename",
		},
		"no such clip":       {with("x", filepath.Join(data, "none.wav")), program.StatusFailed, "none.wav"},
		"no share":           {with("x", "--taken", "0"), program.StatusUsage, "--taken"},
		"no folder of sound": {with("x", "--negatives", "none"), program.StatusFailed, "none"},
		"no text":            {with("a\nb"), program.StatusUsage, "control"},
	} {
		checkFailure(t, name, append([]string{"enroll"}, c.args...), c.status, c.says)
	}
}

// TestEnrollOnAnotherNetwork needs other sound, of which nothing is embedded.
func TestEnrollOnAnotherNetwork(t *testing.T) {
	data, folder := pitches(t, 12, "low", "mid", "high"), t.TempDir()
	model, mine := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "mine.safetensors")
	if status, _, errs := train(t.Context(), quick(data, model)...); status != program.StatusOK {
		t.Fatal(errs)
	}
	other := pitches(t, 8, "lower", "new")
	args := []string{"enroll", "--model", model, "--out", mine, "--word", "new", filepath.Join(other, "new")}
	checkFailure(t, "no other sound", args, program.StatusUsage, "--negatives")
	status, out, errs := train(t.Context(), append(args, "--negatives", data)...)
	if status != program.StatusOK || !strings.Contains(out, "of 32 clips of other words") ||
		strings.Count(errs, "it has the sound of") != 4 {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// TestWake makes a wake word with and without running sound.
func TestWake(t *testing.T) {
	data, folder := pitches(t, 10, "low", "high"), t.TempDir()
	sound := filepath.Join(folder, "sound")
	if err := os.Mkdir(sound, 0o755); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	samples := make([]float32, 16000*20)
	for i := range samples {
		samples[i] = float32(0.05 * rng.NormFloat64())
	}
	writeSamples(t, filepath.Join(sound, "noise.wav"), samples)
	out := filepath.Join(folder, "wake.safetensors")
	wake := func(more ...string) []string {
		return append([]string{
			"wake", "--from", "small", "--word", "low", "--positives", filepath.Join(data, "low"), "--out", out,
		}, more...)
	}
	status, printed, errs := train(t.Context(), wake("--negatives", sound+","+filepath.Join(data, "high"))...)
	if status != program.StatusOK || !strings.Contains(printed, "in 0.3 minutes of sound without it: 0 events") ||
		!strings.Contains(printed, "of 10 clips missed") || !strings.Contains(errs, "tell little") {
		t.Errorf("status %d, %q, %q", status, printed, errs)
	}
	if m, err := polynet.Load(out); err != nil || m.Detection == nil || strings.Join(m.Labels, " ") != "low _unknown_" {
		t.Errorf("%v, %v", m, err)
	}
	status, _, errs = train(t.Context(), wake("--force")...)
	if status != program.StatusOK || !strings.Contains(errs, "are not counted") {
		t.Errorf("no running sound: status %d, %q", status, errs)
	}
	// Positives among the negatives are left out there, and short clips are named like the folder that is given.
	one := filepath.Join(data, "low", "alow.wav")
	status, printed, errs = train(t.Context(), "wake", "--from", "small", "--word", "x", "--positives", one, "--out", out,
		"--force", "--negatives", filepath.Join(data, "low"))
	if status != program.StatusOK || !strings.Contains(errs, "train: skipped "+one+": it has the sound of "+one) ||
		strings.Contains(printed, ": . ") || !strings.Contains(printed, " low ") {
		t.Errorf("positives among the negatives: status %d, %q, %q", status, printed, errs)
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no sound in a folder": {
			wake("--force", "--negatives", t.TempDir()), program.StatusFailed,
			"--negatives: cannot enroll: there are no sound files in",
		},
		"is there":           {wake(), program.StatusUsage, "--force"},
		"fewer than none":    {wake("--force", "--false-alarms=-1"), program.StatusUsage, "--false-alarms"},
		"no such folder":     {wake("--force", "--negatives", filepath.Join(folder, "none")), program.StatusFailed, "none"},
		"no clips":           {wake("--force", "--positives", t.TempDir()), program.StatusFailed, "no sound files"},
		"not a word":         {wake("--force", "--word", "_silence_"), program.StatusFailed, "no word"},
		"no such model":      {wake("--force", "--from", filepath.Join(folder, "none")), program.StatusModel, "none"},
		"an output's folder": {wake("--out", filepath.Join(folder, "none", "m")), program.StatusFailed, "none"},
	} {
		checkFailure(t, name, c.args, c.status, c.says)
	}
}
