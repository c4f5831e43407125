package training

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// tones writes a data set of two classes, falling and rising tones in noise, each by several speakers, and returns its folder.
func tones(t *testing.T, clips int) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for class, slope := range map[string]float64{"falling": -1, "rising": 1} {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range clips {
			name := filepath.Join(dir, class, string(rune('a'+i))+class+"_nohash_0.wav")
			writeTone(t, name, slope, rng)
		}
	}
	return dir
}

func writeTone(t *testing.T, name string, slope float64, rng *rand.Rand) {
	t.Helper()
	const rate = 8000
	samples := make([]float32, rate/2)
	phase, base := 0.0, 900+200*rng.Float64()
	for i := range samples {
		hz := base + 500*slope*(2*float64(i)/float64(len(samples))-1)
		phase += 2 * math.Pi * hz / rate
		samples[i] = float32(0.4*math.Sin(phase) + 0.05*rng.NormFloat64())
	}
	if err := os.WriteFile(name, audiotest.WAV(audio.S16LE, rate, samples), 0o644); err != nil {
		t.Fatal(err)
	}
}

// small is a run of a second or so.
func small() Config {
	return Config{
		Net: polynet.Config{
			Block: polynet.Pi, Stem: polynet.Stem{Width: 16, Kernel: 3, Ahead: 1, Stride: 2},
			Stages: []polynet.Stage{{Width: 16, Blocks: 1, Kernel: 5, Ahead: 2, Stride: 2}}, Dropout: 0.1,
		},
		Features: features.Config{
			Rate: 8000, FFT: 256, Window: 200, Hop: 80, Mels: 20, MinHz: 100, MaxHz: 4000, Floor: 1e-3, Scale: features.HTK,
		},
		Window: 0.5, Limit: 4, Epochs: 4, Batch: 8, Optimizer: SGD, Rate: 0.05, Warmup: 1, Decay: 1e-4, Momentum: 0.9, Clip: 2,
		Smoothing: 0.05, EMA: 0.9, Balance: 0.5, Seed: 3,
		Augment: datasets.Augment{Speed: 0.05, Shift: 0.05, Gain: [2]float64{-3, 3}},
		Mask:    features.Mask{TimeMasks: 1, MaxTime: 3},
	}
}

func trainer(t *testing.T, cfg Config, dir string) *Trainer {
	t.Helper()
	run, err := newTrainer(t, cfg, dir)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func newTrainer(t *testing.T, cfg Config, dir string, teachers ...*polynet.Model) (*Trainer, error) {
	t.Helper()
	set, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	return New(t.Context(), cfg, set, dev, 2, teachers...)
}

func TestRunLearns(t *testing.T) {
	cfg := small()
	cfg.Epochs = 8
	dir := tones(t, 24)
	var epochs []Epoch
	steps := 0
	m, err := trainer(t, cfg, dir).Run(t.Context(), filepath.Join(t.TempDir(), "c"), Observer{
		Step:  func(Progress) { steps++ },
		Epoch: func(e Epoch) { epochs = append(epochs, e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Provenance.Metrics["valid_accuracy"]; got < 99 {
		t.Errorf("validation accuracy %g %%; rising and falling tones are easy", got)
	}
	if len(epochs) != cfg.Epochs || steps < cfg.Epochs {
		t.Errorf("the observer heard of %d epochs and %d steps", len(epochs), steps)
	}
	if first, last := epochs[0].Loss, epochs[len(epochs)-1].Loss; last > first/2 {
		t.Errorf("loss fell from %g to %g only", first, last)
	}
	if m.Provenance.Data == "" || m.Provenance.BestEpoch == 0 || m.Window != 0.5 {
		t.Errorf("provenance %+v, window %g", m.Provenance, m.Window)
	}
}

// TestRunLearnsInContext learns to hear a tone between others.
func TestRunLearnsInContext(t *testing.T) {
	cfg := small()
	cfg.Epochs, cfg.Context = 12, datasets.Context{Before: 0.3, After: 0.2, Share: 0.5}
	m, err := trainer(t, cfg, tones(t, 24)).Run(t.Context(), filepath.Join(t.TempDir(), "c"), Observer{})
	if err != nil {
		t.Fatal(err)
	}
	alone, inContext := m.Provenance.Metrics["valid_accuracy"], m.Provenance.Metrics["valid_context_accuracy"]
	if alone < 90 || inContext < 75 { // between neighbours that contradict each other, half would be chance
		t.Errorf("validation accuracy %g %% alone and %g %% in context", alone, inContext)
	}
}

// TestResume interrupts a run in the middle of every epoch; what comes out must be what an uninterrupted run gives.
func TestResume(t *testing.T) {
	for _, kind := range []OptimizerKind{SGD, AdamW} {
		t.Run(string(kind), func(t *testing.T) {
			cfg := small()
			cfg.Context = datasets.Context{Before: 0.3, After: 0.1, Share: 0.5}
			if cfg.Optimizer = kind; kind == AdamW {
				cfg.Rate, cfg.EMA, cfg.Mixup = 0.003, 0, 0.4
			}
			dir, folder := tones(t, 16), t.TempDir()
			whole, err := trainer(t, cfg, dir).Run(t.Context(), filepath.Join(folder, "whole"), Observer{})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "parts")
			for {
				run := trainer(t, cfg, dir)
				if _, err := run.Resume(path); err != nil {
					t.Fatal(err)
				}
				done := len(run.History())
				ctx, cancel := context.WithCancel(t.Context())
				m, err := run.Run(ctx, path, Observer{Step: func(p Progress) {
					if p.Epoch > done+1 { // one epoch and a bit at a time
						cancel()
					}
				}})
				cancel()
				if err == nil {
					compare(t, m, whole)
					return
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
		})
	}
}

func compare(t *testing.T, got, want *polynet.Model) {
	t.Helper()
	got.Provenance.Created = want.Provenance.Created
	var a, b bytes.Buffer
	if err := errors.Join(got.Write(&a), want.Write(&b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the resumed run gave another model than the uninterrupted one")
	}
}

func TestResumeRefuses(t *testing.T) {
	dir, path := tones(t, 12), filepath.Join(t.TempDir(), "c")
	cfg := small()
	cfg.Epochs = 1
	if _, err := trainer(t, cfg, dir).Run(t.Context(), path, Observer{}); err != nil {
		t.Fatal(err)
	}
	refused := func(name, reason string, run *Trainer, path string) {
		t.Helper()
		if _, err := run.Resume(path); !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want a refusal that says %q", name, err, reason)
		}
	}
	other := cfg
	other.Rate = 0.07
	refused("other learning rate", "Rate was 0.05 and is now 0.07", trainer(t, other, dir), path)

	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, file[:len(file)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	refused("truncated", "not a checkpoint", trainer(t, cfg, dir), short)

	writeTone(t, filepath.Join(dir, "rising", "brising_nohash_0.wav"), 1, rand.New(rand.NewPCG(9, 9)))
	refused("other data", "data changed", trainer(t, cfg, dir), path)

	found, err := trainer(t, cfg, dir).Resume(filepath.Join(t.TempDir(), "none"))
	if found || err != nil {
		t.Errorf("no checkpoint: %v, %v", found, err)
	}
}

func TestUnreadableClipsAreSkipped(t *testing.T) {
	dir := tones(t, 12)
	broken := filepath.Join(dir, "rising", "zz_nohash_0.wav")
	if err := os.WriteFile(broken, []byte("RIFF, or so it says"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := small()
	cfg.Epochs = 1
	run := trainer(t, cfg, dir)
	if _, err := run.Run(t.Context(), filepath.Join(t.TempDir(), "c"), Observer{}); err != nil {
		t.Fatal(err)
	}
	skipped := run.Skipped()
	if len(skipped) != 1 || skipped[0].Path != broken {
		t.Errorf("skipped %v, want %s", skipped, broken)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"window": func(c *Config) { c.Window = 0 }, "epochs": func(c *Config) { c.Epochs = 0 },
		"batch": func(c *Config) { c.Batch = 1 }, "rate": func(c *Config) { c.Rate = math.NaN() },
		"warm-up": func(c *Config) { c.Warmup = 5 }, "optimizer": func(c *Config) { c.Optimizer = "lion" },
		"smoothing": func(c *Config) { c.Smoothing = 1 },
		"context":   func(c *Config) { c.Context.Before = -1 },
	} {
		c := small()
		change(&c)
		if err := c.Validate(); !errors.Is(err, ErrConfig) && !errors.Is(err, datasets.ErrOptions) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := small().Validate(); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	tally := newTally(3)
	tally.add(0, []float32{2, 0, 0}, 1)
	tally.add(0, []float32{0, 2, 0}, 1)
	tally.add(1, []float32{0, 2, 0}, 1)
	tally.add(1, []float32{0, 4, 0}, 2)
	r := tally.report([]string{"a", "b", "c"})
	log := func(p float64) float64 { return -math.Log(p) }
	top := math.Exp(2) / (math.Exp(2) + 2)
	miss := 1 / (math.Exp(2) + 2)
	if want := (3*log(top) + log(miss)) / 4; math.Abs(r.NLL-want) > 1e-12 {
		t.Errorf("NLL %g, want %g", r.NLL, want)
	}
	if r.Accuracy != 75 || r.Clips != 4 {
		t.Errorf("%g %% of %d", r.Accuracy, r.Clips)
	}
	want := []Class{{"a", 2, 1, 0.5}, {"b", 2, 2.0 / 3, 1}, {"c", 0, 0, 0}}
	for i, c := range r.Classes {
		if c.Label != want[i].Label || c.Clips != want[i].Clips || math.Abs(c.Precision-want[i].Precision) > 1e-12 || c.Recall != want[i].Recall {
			t.Errorf("got %+v, want %+v", c, want[i])
		}
	}
	if r.Confusion[0][1] != 1 || r.Confusion[1][1] != 2 {
		t.Errorf("confusion %v", r.Confusion)
	}
}

// TestDivergedFiguresAreLeftOut: a model file has no room for figures that are no numbers, and is worth more than they are.
func TestDivergedFiguresAreLeftOut(t *testing.T) {
	m := &polynet.Model{}
	Record(m, "test", &Report{Accuracy: 50, NLL: 1, Clips: 4})
	Record(m, "test", &Report{Accuracy: 60, NLL: math.NaN(), Clips: 5})
	if want := map[string]float64{"test_accuracy": 60, "test_clips": 5}; !maps.Equal(m.Provenance.Metrics, want) {
		t.Errorf("recorded %v, want %v", m.Provenance.Metrics, want)
	}
}

// TestDefaultBatch: a small data set gets small batches, since a handful of steps an epoch teach nothing.
func TestDefaultBatch(t *testing.T) {
	for clips, want := range map[int]int{3: 8, 100: 8, 400: 20, 5000: 100} {
		set := &datasets.Set{Items: make([]datasets.Item, clips)}
		if got := DefaultBatch(set); got != want {
			t.Errorf("%d clips: batches of %d, want %d", clips, got, want)
		}
	}
	if a, b := DefaultRate(SGD, 100), DefaultRate(SGD, 10); a != 10*b || DefaultRate(AdamW, 100) != DefaultRate(AdamW, 10) {
		t.Errorf("rates %g and %g", a, b)
	}
}
