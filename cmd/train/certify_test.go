package main

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// TestCertify certifies a model of tones: against next to nothing every clip, against changes as large as the sounds
// themselves none; and of those between, the more the less.
func TestCertify(t *testing.T) {
	data, folder := pitches(t, 10, "low", "high"), t.TempDir()
	model := filepath.Join(folder, "m.safetensors")
	if status, _, errs := train(t.Context(), quick(data, model, "--arch", "pi")...); status != program.StatusOK {
		t.Fatal(errs)
	}
	type result struct {
		Clips, Certified, Open, Attacked int
		CertifiedRight                   int `json:"certified_right"`
		Points                           int
		Widths                           map[string]tightness
		Results                          []struct{ File, Answer, Other, State string }
	}
	run := func(gain, noise string, more ...string) (r result) {
		args := []string{"certify", "--model", model, "--data", data, "--split", "all", "--gain", gain, "--noise", noise,
			"--clips", "6", "--points", "500", "--json"}
		status, out, errs := train(t.Context(), append(args, more...)...)
		if status != program.StatusOK {
			t.Fatal(errs)
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if r.Points != 500 || len(r.Widths) != 2 {
			t.Errorf("gain %s, noise %s: %d points, logits are %+v wide", gain, noise, r.Points, r.Widths)
		}
		for over, w := range r.Widths {
			if !(w.Intervals >= 3*w.Linear && w.Linear >= (1-1e-3)*w.Reached && w.Reached > 0) {
				t.Errorf("gain %s, noise %s: over %s, logits are %+v wide", gain, noise, over, w)
			}
		}
		if !(r.Widths["gain_and_noise"].Reached > r.Widths["noise"].Reached) {
			t.Errorf("gain %s, noise %s: logits are %+v wide", gain, noise, r.Widths)
		}
		if r.Clips != 6 || r.Certified+r.Open+r.Attacked != 6 || len(r.Results) != 6 || r.CertifiedRight > r.Certified {
			t.Errorf("gain %s, noise %s: %+v", gain, noise, r)
		}
		for _, one := range r.Results {
			if (one.State == "attacked") != (one.Other != "") || one.Other == one.Answer ||
				!strings.HasPrefix(one.File, data) {
				t.Errorf("%+v", one)
			}
		}
		return r
	}
	if r := run("0.01", "0.0001"); r.Certified != 6 || r.CertifiedRight < 5 {
		t.Errorf("hardly a change: %+v", r)
	}
	if r := run("1", "60", "--pieces", "2"); r.Attacked < 5 || r.Certified > 0 {
		t.Errorf("60 dB of noise: %+v", r)
	}
	small, large := run("0.5", "0.05"), run("0.5", "1")
	if small.Certified < large.Certified {
		t.Errorf("%d certified, and with more noise %d", small.Certified, large.Certified)
	}
	status, out, _ := train(t.Context(), "certify", "--model", model, "--data", data, "--clips", "1", "--noise", "0")
	if status != program.StatusOK || !strings.Contains(out, "1 clip of --split test, gain ±3 dB") ||
		!strings.Contains(out, "neither proved nor found") || !strings.Contains(out, "at 10000 random changes: none was") ||
		!strings.Contains(out, "over all gains and the noise, ") || !strings.Contains(out, "times tighter. Changes") {
		t.Errorf("printed %q", out)
	}
	for _, flags := range [][]string{{"--gain", "-1"}, {"--noise", "NaN"}, {"--pieces", "0"}, {"--clips", "-2"},
		{"--points", "-1"},
	} {
		args := append([]string{"certify", "--model", model, "--data", data}, flags...)
		status, _, errs := train(t.Context(), args...)
		if status != program.StatusUsage || !strings.Contains(errs, flags[0]) {
			t.Errorf("%v: status %d, %q", flags, status, errs)
		}
	}
}

// TestFitForProofs trains with an L1 penalty, which makes weights smaller, and on attacked batches.
func TestFitForProofs(t *testing.T) {
	data, folder := pitches(t, 10, "low", "high"), t.TempDir()
	size := func(name string, flags ...string) (sum float64) {
		model := filepath.Join(folder, name)
		if status, _, errs := train(t.Context(), quick(data, model, flags...)...); status != program.StatusOK {
			t.Fatal(errs)
		}
		m, err := polynet.Load(model)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range m.Net.Program().Weights {
			if w.Kind == polynet.Decayed {
				for _, v := range m.Weights[w.Name].Data().([]float32) {
					sum += math.Abs(float64(v))
				}
			}
		}
		return sum
	}
	plain, small, attacked := size("plain"), size("l1", "--l1", "0.02"), size("attacked", "--adversarial", "0.3")
	if small > 0.9*plain || attacked == plain {
		t.Errorf("the weights' sizes sum up to %g, with L1 to %g, attacked to %g", plain, small, attacked)
	}
	status, _, errs := train(t.Context(), quick(data, filepath.Join(folder, "no"), "--l1=-1")...)
	if status != program.StatusUsage || !strings.Contains(errs, "L1 penalty") {
		t.Errorf("status %d, %q", status, errs)
	}
}
