package training

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// spoiled is a device whose gradients have an infinite norm from some step on.
type spoiled struct {
	device.Trainer
	steps *int // left
}

func (d spoiled) ClipNorm(g, norm device.Buffer, limit float32) {
	if d.Trainer.ClipNorm(g, norm, limit); *d.steps <= 0 {
		d.Upload(norm, []float32{float32(math.Inf(1))})
	}
	*d.steps--
}

// fillParam sets all values of a network's parameter.
func fillParam(n *Network, name string, v float32) {
	for _, p := range n.params {
		if p.Name == name {
			n.dev.Upload(p.Value, slices.Repeat([]float32{v}, p.Value.Len()))
		}
	}
}

// TestDivergedRuns: numbers that are not finite end a run with an error that says where, and the best model so far.
func TestDivergedRuns(t *testing.T) {
	dir := tones(t, 16)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	head := func(c Config) string {
		c.Net.Inputs, c.Net.Classes = 20, 2
		weights := c.Net.Program().Weights
		return weights[len(weights)-2].Name
	}(small())
	clips := len(open(t, dir).Split(datasets.Valid))
	for _, c := range []struct {
		name  string
		at    Progress // when the numbers are spoiled: after this epoch's clips
		spoil func(run *Trainer)
		cfg   func(c *Config)
		want  string // %d is the number of validation clips
		best  int    // epoch; 0: none
	}{
		{name: "a weight", at: Progress{Epoch: 2, Clips: 8}, best: 1,
			spoil: func(run *Trainer) { fillParam(run.net, head, nan) },
			want:  "epoch 2 of 4, batch 2 of 3: the network diverged: the loss is NaN"},
		{name: "the first epoch", at: Progress{Epoch: 1, Clips: 16},
			spoil: func(run *Trainer) { fillParam(run.net, head, inf) },
			want:  "epoch 1 of 4, batch 3 of 3: the network diverged: the loss is NaN"},
		{name: "the average", at: Progress{Epoch: 3, Clips: 8}, best: 2,
			spoil: func(run *Trainer) { fillParam(run.ema.average, head, inf) },
			want:  "after epoch 3 of 4: the network diverged: the weight " + head + " has the value +Inf"},
		{name: "an output", at: Progress{Epoch: 2, Clips: 24}, best: 1,
			spoil: func(run *Trainer) { fillParam(run.ema.average, head, math.MaxFloat32) },
			want:  "after epoch 2 of 4: the network diverged: its outputs are not finite for"}, // some clips
		{name: "a rate too high", cfg: func(c *Config) { c.Rate, c.Warmup, c.Clip, c.EMA = 1e3, 0, 0, 0 },
			want: "after epoch 1 of 4: the network diverged: its outputs are not finite for %d of %d clips"},
		{name: "a gradient", best: 1,
			want: "epoch 2 of 4, batch 2 of 3: the network diverged: the gradient's norm is +Inf"},
	} {
		cfg := small()
		if c.cfg != nil {
			c.cfg(&cfg)
		}
		steps := math.MaxInt
		if c.name == "a gradient" {
			steps = 4
		}
		cpu, err := device.CPU(2)
		if err != nil {
			t.Fatal(err)
		}
		var run *Trainer
		run, err = newTrainer(t, cfg, dir, Options{Device: spoiled{cpu, &steps}, Observer: Observer{
			Step: func(p Progress) {
				if p.Epoch == c.at.Epoch && p.Clips == c.at.Clips {
					c.spoil(run)
				}
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := run.Run(t.Context())
		want := strings.ReplaceAll(c.want, "%d", itoa(clips))
		if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
		if c.best == 0 && m != nil {
			t.Errorf("%s: a model of epoch %d", c.name, m.Provenance.BestEpoch)
		}
		if c.best > 0 && (m == nil || m.Provenance.BestEpoch > c.best || m.Validate() != nil) {
			t.Errorf("%s: the model %v", c.name, m)
		}
		run.Close()
	}
}

func itoa(n int) string { return string(rune('0' + n)) }

// TestInvalidOutputs: outputs that are not finite are no class.
func TestInvalidOutputs(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{{nan, nan, nan}, {inf, 0, 0}, {0, -inf, 0}, {1, nan, 0}, {0, 1, inf}} {
		if got := argmax(logits); got != -1 {
			t.Errorf("%v: class %d", logits, got)
		}
		r := newReport([]string{"a", "b", "c"})
		r.count(0, logits, 1)
		r.count(0, []float32{5, 0, 0}, 1)
		r.count(2, []float32{0, 0, 3}, 1)
		r.finish()
		if r.Invalid != 1 || r.Clips != 3 || math.Abs(r.Accuracy-200.0/3) > 1e-9 || !(r.NLL < 0.2) ||
			r.Classes[0] != (Class{"a", 2, 1, 0.5}) || r.Confusion[0][0] != 1 {
			t.Errorf("%v: %+v", logits, r)
		}
	}
}

// counted is a device that counts the values of its memory in use.
type counted struct {
	device.Trainer
	values *int
}

func (d counted) Alloc(n int) device.Buffer { *d.values += n; return d.Trainer.Alloc(n) }
func (d counted) Free(b device.Buffer)      { *d.values -= b.Len(); d.Trainer.Free(b) }

// TestNewFreesWhatItTook, whatever the reason why there is no Trainer.
func TestNewFreesWhatItTook(t *testing.T) {
	dir, folder := tones(t, 12), t.TempDir()
	cpu, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	values := 0
	try := func(cfg Config, o Options) (*Trainer, error) {
		o.Device = counted{cpu, &values}
		return newTrainer(t, cfg, dir, o)
	}
	damaged, path := filepath.Join(folder, "damaged"), filepath.Join(folder, "checkpoint")
	if err := os.WriteFile(damaged, []byte("no checkpoint"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := small()
	cfg.Epochs = 2
	run, err := try(cfg, Options{Checkpoint: path})
	if err != nil {
		t.Fatal(err)
	}
	if values == 0 {
		t.Fatal("nothing was counted")
	}
	m, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run.Close()
	other := cfg
	other.Rate = 0.01
	adamw := cfg
	adamw.Optimizer, adamw.Rate = AdamW, 0.003
	foreign := *m
	foreign.Labels = []string{"a", "b"}
	for name, c := range map[string]struct {
		cfg Config
		o   Options
	}{
		"damaged":        {cfg, Options{Checkpoint: damaged, Resume: true}},
		"other settings": {other, Options{Checkpoint: path, Resume: true}},
		"other kind":     {adamw, Options{Checkpoint: path, Resume: true}},
		"teacher":        {cfg, Options{Teachers: []*polynet.Model{m, &foreign}}},
	} {
		values = 0 // a run packs weights into memory that is not counted
		if run, err := try(c.cfg, c.o); err == nil || run != nil || values != 0 {
			t.Errorf("%s: %v, %d values left", name, err, values)
		}
	}
}

// TestNoCheckpoint: without a path for it, a run writes nothing at all.
func TestNoCheckpoint(t *testing.T) {
	dir, here := tones(t, 12), t.TempDir()
	t.Chdir(here)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, milestones := range [][]int{nil, {}, {1}} {
		cfg := small()
		cfg.Epochs, cfg.LRMilestones = 2, milestones
		if _, err := trainer(t, cfg, dir).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := os.ReadDir(dir)
	if entries, _ := os.ReadDir(here); err != nil || len(entries) != 0 || len(after) != len(before) {
		t.Errorf("files %v and %v, %v", entries, after, err)
	}
}

// TestEmptyListsResume: an empty list is none, in a checkpoint and in a Config.
func TestEmptyListsResume(t *testing.T) {
	dir, folder := tones(t, 12), t.TempDir()
	for i, lists := range [][2][]int{{nil, {}}, {{}, nil}, {{}, {}}} {
		cfg := small()
		cfg.Epochs, cfg.LRMilestones = 1, lists[0]
		path := filepath.Join(folder, itoa(i))
		run, err := newTrainer(t, cfg, dir, Options{Checkpoint: path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		cfg.LRMilestones = lists[1]
		if run, err = newTrainer(t, cfg, dir, Options{Checkpoint: path, Resume: true}); err != nil {
			t.Errorf("%v after %v: %v", lists[1], lists[0], err)
		} else if len(run.History()) != 1 {
			t.Errorf("%v after %v: began anew", lists[1], lists[0])
		}
	}
}

// TestUnreadableLabels are found before the first epoch.
func TestUnreadableLabels(t *testing.T) {
	dir := tones(t, 12)
	set := open(t, dir)
	spoil := func(split datasets.Split, label string) {
		for _, it := range set.Split(split) {
			if label == "" || it.Word == label {
				if err := os.WriteFile(it.Path, []byte("no sound"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	spoil(datasets.Valid, "rising")
	run, err := newTrainer(t, small(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "none of the validation clips of rising can be read: it has no part in the choice of the best epoch"
	if notes := run.Notes(); len(notes) != 1 || notes[0] != want {
		t.Errorf("notes %q", notes)
	}
	if len(run.Skipped()) == 0 {
		t.Error("no clip is named")
	}
	spoil(datasets.Valid, "")
	check := func(want string) {
		t.Helper()
		_, err := newTrainer(t, small(), dir, Options{})
		if !errors.Is(err, datasets.ErrNoData) || !strings.HasPrefix(err.Error(), "no usable data: "+want+" "+dir) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	check("none of the validation clips can be read:")
	spoil(datasets.Train, "falling")
	check("none of the training clips of falling can be read:")
}
