package main

import (
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

// TestCalibrate trains on words that are tones so near one another that a network is often wrong, and checks that the
// probabilities agree with that afterwards, that sets hold the label, and that other sounds are unknown.
func TestCalibrate(t *testing.T) {
	data, noise, out := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "m.safetensors")
	rng := rand.New(rand.NewPCG(5, 6))
	for i, word := range []string{"low", "middle", "high"} {
		for _, split := range []string{"train", "valid", "test"} {
			dir := filepath.Join(data, split, word)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for k := range 60 {
				hertz := 800 * math.Pow(2, (float64(i)+1.2*rng.NormFloat64())/2)
				writeTone(t, filepath.Join(dir, string(rune('a'+k/26))+string(rune('a'+k%26))+".wav"), hertz, rng)
			}
		}
	}
	hiss := make([]float32, 160000)
	for i := range hiss {
		hiss[i] = float32(0.2 * rng.NormFloat64())
	}
	if err := os.WriteFile(filepath.Join(noise, "hiss.wav"), audiotest.WAV(audio.S16LE, 16000, hiss), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		status, printed, errs := train(t.Context(), args...)
		if status != program.StatusOK {
			t.Fatalf("%v: status %d, %s", args, status, errs)
		}
		return printed
	}
	run(append(quick(data, out), "--no-calibrate", "--silence", "0", "--loss", "ce", "--epochs", "12")...)
	if m, err := polynet.Load(out); err != nil || m.Temperature != 1 || m.Calibration != nil {
		t.Fatalf("--no-calibrate: temperature %g, calibration %+v, error %v", m.Temperature, m.Calibration, err)
	}
	calibrated := filepath.Join(t.TempDir(), "c.safetensors")
	printed := run("calibrate", "--model", out, "--data", data, "--out", calibrated, "--unknown", noise, "--silence", "0")
	for _, want := range []string{"vector", "isotonic", "AUROC", "windows of unknown sounds against 180 clips"} {
		if !strings.Contains(printed, want) {
			t.Errorf("calibrate prints no %q:\n%s", want, printed)
		}
	}
	evaluate := func(model string) (r struct {
		Accuracy, ECE, NLL float64
		Coverage           float64
		SetSize            float64 `json:"set_size"`
		Intervals          map[string][2]float64
		Uncalibrated       struct{ Accuracy, NLL, ECE float64 }
	}) {
		t.Helper()
		text := run("eval", "--model", model, "--data", data, "--json", "--silence", "0")
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, after := evaluate(out), evaluate(calibrated)
	if math.Abs(before.NLL-before.Uncalibrated.NLL) > 1e-6 || math.Abs(before.NLL-after.Uncalibrated.NLL) > 1e-6 {
		t.Errorf("before calibration the NLL is %g, %g and %g",
			before.NLL, before.Uncalibrated.NLL, after.Uncalibrated.NLL)
	}
	if after.NLL > before.NLL+0.05 || after.Coverage < 85 || after.SetSize < 1 || after.SetSize > 3 {
		t.Errorf("calibrated: %+v; before: %+v", after, before)
	}
	if in := after.Intervals["ece"]; !(in[0] < in[1] && in[0] < after.ECE+5 && in[1] > after.ECE-5) {
		t.Errorf("an ECE of %g in %v", after.ECE, in)
	}
	info := run("info", calibrated)
	for _, part := range []string{"sets by the", "unknown sounds by the", "to tell drift"} {
		if !strings.Contains(info, part) {
			t.Errorf("info does not say %q:\n%s", part, info)
		}
	}
}

func TestCalibrateErrors(t *testing.T) {
	data := pitches(t, 2, "stop", "yes")
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"the test's clips": {[]string{"--split", "test"}, program.StatusUsage, "must be one of"},
		"lost":             {[]string{"--lost", "101"}, program.StatusUsage, "no percentage"},
		"odds of no label": {[]string{"--odds", "maybe=2"}, program.StatusUsage, "no label \"maybe\""},
		"no odds":          {[]string{"--odds", "stop=0"}, program.StatusUsage, "no factor"},
		"no such folder":   {[]string{"--out", "/none/m"}, program.StatusFailed, "no such file"},
		"nothing unknown":  {[]string{"--split", "train", "--unknown", t.TempDir()}, program.StatusFailed, "unknown sounds"},
	} {
		args := append([]string{"calibrate", "--model", "small", "--data", data, "--out", filepath.Join(t.TempDir(), "m")},
			c.args...)
		checkFailure(t, name, args, c.status, c.says)
	}
	status, _, errs := train(t.Context(), "calibrate", "--model", "small", "--data", data, "--split", "train",
		"--out", filepath.Join(t.TempDir(), "m"))
	if status != program.StatusOK || !strings.Contains(errs, " clips are too few to know what such clips are like") {
		t.Errorf("few clips: status %d, %q", status, errs)
	}
}

// TestDecodeWith checks that every command that reads recordings has the flag, which names a program that is missing.
func TestDecodeWith(t *testing.T) {
	t.Setenv("PATH", "")
	for command, more := range map[string]string{
		"fit": "--out=m", "eval": "--split=all", "calibrate": "--out=m", "report": "--out=r", "tune": "--without=noise",
	} {
		args := []string{command, "--data", t.TempDir(), more, "--decode-with", "ffmpeg"}
		checkFailure(t, command, args, program.StatusUsage, "--decode-with ffmpeg: ffmpeg is not installed")
	}
}
