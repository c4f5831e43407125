package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/polynet"
)

// TestCompress makes smaller models of one that was trained on tones, trains one of them on, and uses the others.
func TestCompress(t *testing.T) {
	data, folder := pitches(t, 16, "low", "mid", "high"), t.TempDir()
	model := filepath.Join(folder, "m.safetensors")
	if status, _, errs := train(t.Context(), quick(data, model)...); status != program.StatusOK {
		t.Fatalf("fit: status %d, %s", status, errs)
	}
	given, err := polynet.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	clusters := filepath.Join(folder, "clusters")
	for name, c := range map[string]struct {
		flags []string
		last  string // pass
		share float64
	}{
		"similarity": {[]string{"--similar", "--macs", "0.6", "--clusters", clusters}, "similar", 0.6},
		"tuned":      {[]string{"--similar", "--macs", "0.7", "--finetune", "2", "--augment", "light"}, "finetune", 0.7},
		"random":     {[]string{"--similar", "--macs", "0.5", "--by", "random", "--fold", "none"}, "similar", 0.5},
		"floor":      {[]string{"--similar", "--floor", "100", "--data-free"}, "similar", 0.9},
		"exact":      {[]string{"--exact", "--points", "200"}, "exact", 1},
		"around": {[]string{
			"--exact", "--around", filepath.Join(data, "low", "alow.wav"), "--radius", "0.1", "--points", "50",
		}, "exact", 1},
		"longer": {[]string{"--finetune", "1", "--augment", "none"}, "finetune", 1},
		"taught": {[]string{"--similar", "--macs", "0.7", "--finetune", "1", "--teacher", model}, "finetune", 0.7},
		"int8":   {[]string{"--int8"}, "int8", 1},
		"conntra": {[]string{
			"--ternary", "--refine", "conntra", "--budget", "1s", "--checkpoint", filepath.Join(folder, "search"),
		}, "conntra", 1},
		"straight through": {[]string{"--ternary", "--refine", "ste", "--finetune", "1"}, "finetune", 1},
	} {
		out := filepath.Join(folder, name)
		args := append([]string{"compress", "--model", model, "--data", data, "--out", out, "--lanes", "2", "--json"},
			c.flags...)
		status, printed, errs := train(t.Context(), args...)
		var stages []struct {
			Name   string
			MACs   int64
			Clip   float64 `json:"clip_seconds"`
			Second float64 `json:"second_seconds"`
		}
		if err := json.Unmarshal([]byte(printed), &stages); status != program.StatusOK || err != nil {
			t.Errorf("%s: status %d, %v, %s", name, status, err, errs)
			continue
		}
		first, last := stages[0], stages[len(stages)-1]
		share := float64(last.MACs) / float64(first.MACs)
		if first.Name != "given" || last.Name != c.last || share > c.share || share < c.share-0.2 && name != "floor" ||
			!(last.Clip > 0 && last.Second > 0) {
			t.Errorf("%s: %s", name, printed)
		}
		m, err := polynet.Load(out)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.Provenance; got.Command != given.Provenance.Command || len(got.Compressed) != len(stages) ||
			got.Parameters != m.Net.Program().Parameters() {
			t.Errorf("%s: provenance %+v", name, got)
		}
		if status, _, errs := train(t.Context(), "eval", "--model", out, "--data", data, "--split", "valid"); status != 0 {
			t.Errorf("%s: eval: status %d, %s", name, status, errs)
		}
		_, info, _ := train(t.Context(), "info", out)
		if !strings.Contains(info, c.last+": ") || strings.Contains(info, "inner widths") != (m.Net.Inner != nil) {
			t.Errorf("%s: info\n%s", name, info)
		}
	}
	if _, err := os.Stat(filepath.Join(clusters, "stem.conv.svg")); err != nil {
		t.Error(err)
	}
}

// TestCompressShallow approximates a small network that was trained on tones, and uses the result.
func TestCompressShallow(t *testing.T) {
	data, folder := pitches(t, 16, "low", "mid", "high"), t.TempDir()
	model, out := filepath.Join(folder, "m.safetensors"), filepath.Join(folder, "shallow")
	args := []string{"fit", "--data", data, "--out", model, "--arch", "relu", "--stem", "4:5:2:4", "--stages", "3:1:1:0:1",
		"--epochs", "6", "--batch", "8", "--augment", "light", "--ema", "0.8", "--lr", "0.05", "--warmup", "1"}
	if status, _, errs := train(t.Context(), args...); status != program.StatusOK {
		t.Fatalf("fit: status %d, %s", status, errs)
	}
	status, printed, errs := train(t.Context(), "compress", "--model", model, "--data", data, "--out", out, "--shallow",
		"--windows", "500", "--json")
	var stages []struct {
		Name, Done string
		Accuracy   float64 `json:"valid_accuracy"`
		Difference float64 `json:"max_logit_difference"`
	}
	if err := json.Unmarshal([]byte(printed), &stages); status != program.StatusOK || err != nil || len(stages) != 2 {
		t.Fatalf("status %d, %v, %s", status, err, errs)
	}
	given, shallow := stages[0], stages[1]
	if shallow.Name != "shallow" || shallow.Difference > 1e-3 || shallow.Accuracy != given.Accuracy ||
		!strings.Contains(shallow.Done, "patterns of 10 units a row, all that are possible: two hidden layers of") {
		t.Errorf("%s", printed)
	}
	if status, _, errs := train(t.Context(), "eval", "--model", out, "--data", data, "--split", "valid"); status != 0 {
		t.Errorf("eval: status %d, %s", status, errs)
	}
	status, _, errs = train(t.Context(), "compress", "--model", model, "--data", data, "--out", out+"2", "--shallow",
		"--most", "3")
	if status != program.StatusFailed || !strings.Contains(errs, "more than 3 patterns") {
		t.Errorf("--most 3: status %d, %s", status, errs)
	}
}

// TestCompressUsage refuses what makes no sense before anything is read.
func TestCompressUsage(t *testing.T) {
	for says, flags := range map[string]string{
		"nothing to do":              "",
		"one of --macs and --floor":  "--similar",
		"are about --similar":        "--macs 0.5 --finetune 1",
		"--macs 1.5 is not above 0":  "--similar --macs 1.5",
		"--floor -1 is not in 0…100": "--similar --floor=-1",
		"--lanes 0 is not in":        "--similar --macs 0.5 --lanes 0",
		"must not be negative":       "--finetune=-1",
		"--around is about --exact":  "--finetune 1 --around none",
		"--teacher is about --fine":  "--similar --macs 0.5 --teacher base",
		"--radius -1 is not in":      "--exact --radius=-1",
		"--depth and --points must":  "--exact --depth=-1",
		"--steepness 0 is not in":    "--shallow --steepness 0",
		"--most must be positive":    "--shallow --most 0",
		"--milp -3 is not in":        "--exact --milp=-3",
		"must be positive":           "--similar --macs 0.5 --calibration 0",
		"must be one of":             "--similar --macs 0.5 --by luck",
		"exclude one another":        "--int8 --ternary",
		"--group must be positive":   "--ternary --group 0",
		"about --refine conntra":     "--ternary --checkpoint x",
		"--resume needs":             "--ternary --refine conntra --resume",
	} {
		args := append([]string{"compress", "--model", "none", "--data", "none", "--out", "none"}, strings.Fields(flags)...)
		if status, _, errs := train(t.Context(), args...); status != program.StatusUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: status %d, %s", flags, status, errs)
		}
	}
}

// TestFitNarrow trains networks with narrow weights from scratch, and goes on from one of them.
func TestFitNarrow(t *testing.T) {
	data, folder := pitches(t, 16, "low", "mid", "high"), t.TempDir()
	for _, weights := range []polynet.Precision{polynet.Ternary, polynet.Int8} {
		model := filepath.Join(folder, weights.String())
		args := append(quick(data, model), "--weights", weights.String())
		if status, _, errs := train(t.Context(), args...); status != program.StatusOK {
			t.Fatalf("fit: status %d, %s", status, errs)
		}
		m, err := polynet.Load(model)
		if err != nil {
			t.Fatal(err)
		}
		if m.Net.Precision() != weights {
			t.Errorf("weights of %s, want %s", m.Net.Precision(), weights)
		}
		if _, info, _ := train(t.Context(), "info", model); !strings.Contains(info, " of "+weights.String()+", ") {
			t.Errorf("info\n%s", info)
		}
		if a := m.Provenance.Metrics["valid_accuracy"]; a < 60 {
			t.Errorf("%s: %.1f %% of three tones", weights, a)
		}
	}
	first := filepath.Join(folder, "ternary")
	args := []string{"compress", "--model", first, "--data", data, "--out", filepath.Join(folder, "next"), "--similar",
		"--macs", "0.5"}
	if status, _, errs := train(t.Context(), args...); status == program.StatusOK ||
		!strings.Contains(errs, "the weights are ternary; this comes before they are made narrow") {
		t.Errorf("similar channels of narrow weights: status %d, %s", status, errs)
	}
}
