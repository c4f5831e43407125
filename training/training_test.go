package training

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// tones writes a data set of two classes, falling and rising tones in noise, each by several speakers, and returns its
// folder.
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
			Rate: 8000, FFT: 256, Window: 200, Hop: 80, Mels: 20,
			MinHz: 100, MaxHz: 4000, Floor: 1e-3, Scale: features.HTK,
		},
		Window: 0.5, ClampSigma: 4, Epochs: 4, Batch: 8, Optimizer: SGD, Rate: 0.05, Warmup: 1, Decay: 1e-4,
		Momentum: 0.9, Clip: 2, Loss: LossLS, Smoothing: 0.05, EMA: 0.9, Balance: 0.5, Seed: 3,
		Augment: datasets.Augment{Speed: 0.05, Shift: 0.05, Gain: [2]float64{-3, 3}},
		Mask:    features.Mask{TimeMasks: 1, MaxTime: 3},
	}
}

func trainer(t *testing.T, cfg Config, dir string) *Trainer {
	t.Helper()
	run, err := newTrainer(t, cfg, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func newTrainer(t *testing.T, cfg Config, dir string, o Options) (*Trainer, error) {
	t.Helper()
	o.Threads = 2
	return New(t.Context(), open(t, dir), cfg, o)
}

func open(t *testing.T, dir string) *datasets.Set {
	t.Helper()
	set, err := datasets.Open(dir, datasets.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRunLearns(t *testing.T) {
	cfg := small()
	cfg.Epochs = 8
	dir := tones(t, 24)
	var epochs []Epoch
	steps := 0
	m, err := Fit(t.Context(), open(t, dir), cfg, Options{Observer: Observer{
		Step:  func(Progress) { steps++ },
		Epoch: func(e Epoch) { epochs = append(epochs, e) },
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Provenance.Metrics["valid_accuracy"]; got < 99 {
		t.Errorf("validation accuracy %g %%; rising and falling tones are easy", got)
	}
	if len(epochs) != cfg.Epochs || steps < cfg.Epochs {
		t.Errorf("the observer received %d epochs and %d steps", len(epochs), steps)
	}
	if first, last := epochs[0].Loss, epochs[len(epochs)-1].Loss; last > first/2 {
		t.Errorf("loss fell from %g to %g only", first, last)
	}
	if m.Provenance.Data == "" || m.Provenance.BestEpoch == 0 || m.Window != 0.5 {
		t.Errorf("provenance %+v, window %g", m.Provenance, m.Window)
	}
}

// TestRunLearnsInContext learns to classify a tone between others.
func TestRunLearnsInContext(t *testing.T) {
	cfg := small()
	cfg.Epochs, cfg.Context = 12, datasets.Context{Before: 0.3, After: 0.2, Share: 0.5}
	m, err := trainer(t, cfg, tones(t, 24)).Run(t.Context())
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
			whole, err := trainer(t, cfg, dir).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, "parts")
			for done := 0; ; {
				// One epoch and a bit at a time.
				ctx, cancel := context.WithCancel(t.Context())
				run, err := newTrainer(t, cfg, dir, Options{Checkpoint: path, Resume: true, Observer: Observer{
					Step: func(p Progress) {
						if p.Epoch > done+1 {
							cancel()
						}
					},
				}})
				if err != nil {
					t.Fatal(err)
				}
				done = len(run.History())
				m, err := run.Run(ctx)
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
	cfg.LRMilestones = []int{} // as good as none
	resume := func(cfg Config, path string) (*Trainer, error) {
		return newTrainer(t, cfg, dir, Options{Checkpoint: path, Resume: true})
	}
	run, err := newTrainer(t, cfg, dir, Options{Checkpoint: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if run, err = resume(cfg, path); err != nil || len(run.History()) != 1 {
		t.Fatalf("resuming from the run's own checkpoint: %v", err)
	}
	refused := func(name, reason string, cfg Config, path string) {
		t.Helper()
		if _, err := resume(cfg, path); !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want a refusal that says %q", name, err, reason)
		}
	}
	other := cfg
	other.Rate = 0.07
	refused("other learning rate", "Rate was 0.05 and is now 0.07", other, path)

	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, file[:len(file)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	refused("truncated", "its checksum is wrong", cfg, short)

	// What version 2 had, as far as its fields had other names.
	old := filepath.Join(t.TempDir(), "old")
	f, err := os.Create(old)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = gob.NewEncoder(f).Encode(struct {
		Version int
		Config  struct {
			Limit, Taught float64
			Drops         []int
		}
		Labels []string
	}{Version: 2, Labels: []string{"falling", "rising"}})
	if err != nil {
		t.Fatal(err)
	}
	refused("an older version", "has version 2, this program writes 6", cfg, old)

	writeTone(t, filepath.Join(dir, "rising", "brising_nohash_0.wav"), 1, rand.New(rand.NewPCG(9, 9)))
	refused("other data", "data changed", cfg, path)

	run, err = resume(cfg, filepath.Join(t.TempDir(), "none"))
	if err != nil || len(run.History()) > 0 {
		t.Errorf("no checkpoint: %v", err)
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
	defer run.Close()
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	skipped := run.Skipped()
	if len(skipped) != 1 || !strings.HasPrefix(skipped[0].Error(), broken+": ") {
		t.Errorf("skipped %v, want %s", skipped, broken)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"window": func(c *Config) { c.Window = 0 }, "epochs": func(c *Config) { c.Epochs = 0 },
		"batch": func(c *Config) { c.Batch = 1 }, "rate": func(c *Config) { c.Rate = math.NaN() },
		"warm-up": func(c *Config) { c.Warmup = 5 }, "optimizer": func(c *Config) { c.Optimizer = "lion" },
		"smoothing": func(c *Config) { c.Smoothing = 1 }, "distillation": func(c *Config) { c.DistillWeight = 2 },
		"cannot fall": func(c *Config) { c.LRMilestones = []int{2, 2} },
		"context":     func(c *Config) { c.Context.Before = -1 },
		"speed":       func(c *Config) { c.Augment.Speed = 2 },
		"mask":        func(c *Config) { c.Mask.MaxTime = -1 },
	} {
		c := small()
		change(&c)
		err := c.Validate()
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := small()
	bad.Epochs, bad.Rate, bad.EMA, bad.Clip = 2e6, -1, 1, -1
	err := bad.Validate()
	for _, want := range []string{
		"epochs 2000000: it must be 1 to 1000000", "rate -1: it must be above 0 and at most 1000",
		"decay 1: it must be at least 0 and below 1", "clip -1: it must be at least 0\n"} {
		if !strings.Contains(err.Error()+"\n", want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if err := small().Validate(); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	r := newReport([]string{"a", "b", "c"})
	r.count(0, []float32{2, 0, 0}, 1)
	r.count(0, []float32{0, 2, 0}, 1)
	r.count(1, []float32{0, 2, 0}, 1)
	r.count(1, []float32{0, 4, 0}, 2)
	r.finish()
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
		if w := want[i]; c.Label != w.Label || c.Clips != w.Clips || math.Abs(c.Precision-w.Precision) > 1e-12 ||
			c.Recall != w.Recall {
			t.Errorf("got %+v, want %+v", c, want[i])
		}
	}
	if r.Confusion[0][1] != 1 || r.Confusion[1][1] != 2 {
		t.Errorf("confusion %v", r.Confusion)
	}
}

// TestDivergedFiguresAreLeftOut: a model file has no room for figures that are no numbers, and is worth more than they
// are.
func TestDivergedFiguresAreLeftOut(t *testing.T) {
	m := &polynet.Model{}
	Record(m, "test", &Report{Accuracy: 50, NLL: 1, Clips: 4})
	Record(m, "test", &Report{Accuracy: 60, NLL: math.NaN(), Clips: 5})
	if want := map[string]float64{"test_accuracy": 60, "test_clips": 5}; !maps.Equal(m.Provenance.Metrics, want) {
		t.Errorf("recorded %v, want %v", m.Provenance.Metrics, want)
	}
}

// TestEvaluate passes on errors, and gives each batch to the model once.
func TestEvaluate(t *testing.T) {
	broken := errors.New("broken")
	two := &datasets.Batch{Labels: []int{1, 0}, B: 2}
	batches := func(err error) iter.Seq2[*datasets.Batch, error] {
		return func(yield func(*datasets.Batch, error) bool) {
			for range 2 {
				if !yield(two, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
	labels := []string{"a", "b"}
	forward := func(*datasets.Batch) ([]float32, error) { return []float32{0, 1, 0, 1}, nil }
	r, err := Evaluate(batches(nil), forward, labels, 1)
	if err != nil || r.Clips != 4 || r.Accuracy != 50 || r.Confusion[0][1] != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Evaluate(batches(broken), forward, labels, 1); err != broken {
		t.Errorf("an error of the batches: %v", err)
	}
	failing := func(*datasets.Batch) ([]float32, error) { return nil, broken }
	if _, err := Evaluate(batches(nil), failing, labels, 1); err != broken {
		t.Errorf("an error of the model: %v", err)
	}
	none := func(func(*datasets.Batch, error) bool) {}
	if _, err := Evaluate(none, forward, labels, 1); !errors.Is(err, datasets.ErrNoData) {
		t.Errorf("no clips: %v", err)
	}
}

// TestEvaluatorComputesTheEquations compares with the plain interpreter, for batches of several sizes in one evaluator
// and the mean over a window.
func TestEvaluatorComputesTheEquations(t *testing.T) {
	onDevices(t, func(t *testing.T, d device.Trainer) {
		for _, kind := range polynet.BlockKinds() {
			for i, c := range nettest.Configs(kind) {
				c.Dropout = 0.3
				m := nettest.RandomModel(c, nettest.Rand(uint64(i)))
				m.Norm.Limit = 2
				n := newNetwork(c.Program(), d, false)
				if err := n.SetWeights(m.Weights); err != nil {
					t.Fatal(err)
				}
				e, rng := newEvaluator(n, m.Norm), nettest.Rand(5)
				for _, b := range []datasets.Batch{
					{B: 3, Frames: 29}, {B: 1, Frames: 13}, {B: 2, Frames: 29, Lead: 8, Window: 12},
				} {
					rows := make([]float32, b.B*b.Frames*c.Inputs)
					for i := range rows {
						rows[i] = float32(-6 + 3*rng.NormFloat64())
					}
					before := slices.Clone(rows)
					got := e.logits(rows, &b)
					if !slices.Equal(rows, before) {
						t.Fatal("the rows of the batch changed")
					}
					var want []float32
					for g := range b.B {
						clip := nettest.RowLogits(m, rows[g*len(rows)/b.B:(g+1)*len(rows)/b.B])
						first, last := 0, len(clip)-1
						if b.Window > 0 {
							stride := c.Program().Reach().Stride
							first, last = device.CeilDiv(b.Lead, stride), device.CeilDiv(b.Lead+b.Window, stride)-1
						}
						for _, v := range clip.Mean(first, last) {
							want = append(want, float32(v))
						}
					}
					nettest.Near(t, fmt.Sprintf("%s net %d, %d clips", kind, i, b.B), got, want, 1e-4)
				}
			}
		}
	})
}

// TestDefaultCompletes: what depends on the data and on other settings, and that completing twice changes nothing. A
// small data set gets small batches, since a handful of steps an epoch train nothing.
func TestDefaultCompletes(t *testing.T) {
	for clips, batch := range map[int]int{3: 8, 100: 8, 400: 20, 5000: 100} {
		set := &datasets.Set{Items: make([]datasets.Item, clips), Labels: []string{"a", "b", "c"}}
		sgd := Default()
		sgd.Window, sgd.Epochs = 1, 1
		adamw := sgd
		adamw.Optimizer, adamw.Net.Block = AdamW, polynet.NCP
		a, errA := sgd.WithData(set)
		b, errB := adamw.WithData(set)
		if err := errors.Join(errA, errB, a.Validate(), b.Validate()); err != nil {
			t.Fatal(err)
		}
		if a.Batch != batch || a.Net.Inputs != 40 || a.Net.Classes != 3 || a.Net.Degree != 0 || b.Net.Degree != 3 {
			t.Errorf("%d clips: batches of %d, want %d; networks %+v and %+v", clips, a.Batch, batch, a.Net, b.Net)
		}
		if math.Abs(a.Rate-0.002*float64(batch)) > 1e-12 || b.Rate != 0.003 || a.Decay != 5e-4 || b.Decay != 0.05 {
			t.Errorf("rates %g and %g, weight decay %g and %g", a.Rate, b.Rate, a.Decay, b.Decay)
		}
		if a.Warmup != 1 || a.Context.After != 0.45 {
			t.Errorf("warm-up %g, context %+v", a.Warmup, a.Context)
		}
		if again, err := a.WithData(set); err != nil || !reflect.DeepEqual(a, again) {
			t.Errorf("completed again: %+v, want %+v (%v)", again, a, err)
		}
	}
	cfg := Default()
	cfg.Decay, cfg.Context.After, cfg.Net.Block = 0, 0, "attention"
	if _, err := cfg.WithData(&datasets.Set{}); !errors.Is(err, polynet.ErrConfig) || !errors.Is(err, ErrConfig) {
		t.Errorf("an impossible network: %v", err)
	}
	cfg.Net.Block, cfg.Window, cfg.Features.Hop = polynet.Pi, 1, 0
	if _, err := cfg.WithData(&datasets.Set{Labels: []string{"a"}}); !errors.Is(err, features.ErrConfig) ||
		!errors.Is(err, ErrConfig) {
		t.Errorf("impossible features: %v", err)
	}
	cfg.Features = features.Default()
	c, err := cfg.WithData(&datasets.Set{Labels: []string{"a"}})
	if err != nil || c.Decay != 0 || c.Context.After != 0 {
		t.Errorf("what is set to 0 becomes %g and %g (%v)", c.Decay, c.Context.After, err)
	}
}

// TestWindowOfTheData: the window fits the clips.
func TestWindowOfTheData(t *testing.T) {
	cfg := small()
	cfg.Window = 0
	if c, err := cfg.WithData(open(t, tones(t, 8))); err != nil || c.Window != 0.5 {
		t.Errorf("a window of %g s (%v), the clips have 0.5 s", c.Window, err)
	}
}

// A checkpoint that cannot be written, or none to continue from, is an error before the training.
func TestCheckpointErrors(t *testing.T) {
	dir := tones(t, 4)
	if _, err := newTrainer(t, small(), dir, Options{Resume: true}); !errors.Is(err, ErrConfig) {
		t.Errorf("resume without a checkpoint: %v", err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "checkpoint")} {
		if _, err := newTrainer(t, small(), dir, Options{Checkpoint: path}); err == nil ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
