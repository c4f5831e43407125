package training

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// TestRecipeFollowsTheData has the recipe of kinds of data, and what it says of its choices.
func TestRecipeFollowsTheData(t *testing.T) {
	for _, c := range []struct {
		name  string
		facts Facts
		ok    func(c Config) bool
		says  []string // settings
	}{
		{"three words of ten clips", Facts{Clips: 24, Fewest: 8, Most: 8, Valid: 3, Seconds: 1}, func(c Config) bool {
			return c.Net.Block == polynet.PiReLU && c.Net.Stem.Width == 32 && c.Steps == 1200 && c.Mixup == 0.3 &&
				c.KeepLast &&
				c.Context.Share == 0.5 && c.Rate == 0.05 && c.Balance == 0.5
		}, []string{"arch", "lr", "steps", "mixup", "in-context", "keep"}},
		{"from a model", Facts{Clips: 24, Fewest: 8, Most: 8, Valid: 3, Seconds: 1, From: true}, func(c Config) bool {
			return c.Steps == 300 && c.FromRate == 1 && c.Rate == 0 && c.FromNorms && c.KeepLast
		}, []string{"from-norms", "steps", "mixup", "in-context", "keep"}},
		{"from a model of other labels", Facts{
			Clips: 24, Fewest: 8, Most: 8, Valid: 3, Seconds: 1, From: true, NewHead: true,
		}, func(c Config) bool {
			return c.Steps == 300 && c.FromRate == 0.1 && c.Rate == 0 && c.FromNorms && c.KeepLast
		}, []string{"from-rate", "from-norms", "steps", "mixup", "in-context", "keep"}},
		{"ten sounds of 5 s", Facts{Clips: 216, Fewest: 20, Most: 22, Valid: 24, Seconds: 5}, func(c Config) bool {
			return c.Steps == 4320 && c.Rate == 0 && c.Mixup == 0.3 && c.Context.Share == 0 && c.Net.Stem.Width == 32
		}, []string{"arch", "steps", "mixup", "in-context", "keep"}},
		{"300 to 10", Facts{Clips: 248, Fewest: 8, Most: 240, Valid: 31, Seconds: 1}, func(c Config) bool {
			return c.Balance == 1 && c.Steps == 4960
		}, []string{"arch", "lr", "steps", "mixup", "in-context", "balance", "keep"}},
		{"35 words", Facts{Clips: 80000, Fewest: 1500, Most: 3200, Valid: 10000, Seconds: 1}, func(c Config) bool {
			return c.Net.Block == polynet.PiReLU && c.Net.Stem.Width == 64 && c.Steps == 30000 && c.Mixup == 0 &&
				!c.KeepLast && c.Context.Share == 0.5 &&
				c.Patience == 20
		}, []string{"arch", "steps", "in-context", "patience"}},
		{"100 to validate on", Facts{Clips: 800, Fewest: 400, Most: 400, Valid: 100, Seconds: 1}, func(c Config) bool {
			return !c.KeepLast && c.Patience == 0 && c.Steps == 5000
		}, []string{"arch", "lr", "steps", "mixup", "in-context"}},
	} {
		cfg, choices := c.facts.Recipe()
		var settings []string
		for _, choice := range choices {
			settings = append(settings, choice.Setting)
			if choice.Value == "" || choice.Reason == "" {
				t.Errorf("%s: %+v", c.name, choice)
			}
		}
		if !c.ok(cfg) || !slices.Equal(settings, c.says) {
			t.Errorf("%s: %q, %+v", c.name, settings, cfg)
		}
	}
}

func TestFactsOf(t *testing.T) {
	set := &datasets.Set{Labels: []string{"a", "b", "c", detect.SilenceLabel}}
	add := func(n, label int, split datasets.Split, silence bool) {
		for range n {
			set.Items = append(set.Items, datasets.Item{Label: label, Split: split, Silence: silence})
		}
	}
	add(30, 0, datasets.Train, false)
	add(4, 1, datasets.Train, false)
	add(7, 2, datasets.Train, false)
	add(2, 3, datasets.Train, true)
	add(5, 0, datasets.Valid, false)
	add(3, 3, datasets.Valid, true)
	add(9, 1, datasets.Test, false)
	for _, c := range []struct {
		from          *polynet.Model
		begins, other bool
	}{
		{nil, false, false}, {&polynet.Model{Labels: set.Labels}, true, false},
		{&polynet.Model{Labels: []string{"a", "c", "b", detect.SilenceLabel}}, true, true},
		{&polynet.Model{Labels: set.Labels[:3]}, true, true},
	} {
		if got, want := FactsOf(set, 2, c.from), (Facts{41, 4, 30, 5, 2, c.begins, c.other}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestStepsBecomeEpochs: an epoch has at least so many steps, whatever the clips.
func TestStepsBecomeEpochs(t *testing.T) {
	for _, c := range []struct{ clips, steps, batch, repeat, epochs int }{
		{24, 600, 0, 6, 34}, {216, 4320, 0, 1, 197}, {8800, 5280, 0, 1, 60}, {24, 100, 24, 20, 5}, {24, 1, 0, 6, 1},
	} {
		cfg := small()
		cfg.Steps, cfg.Epochs, cfg.Batch = c.steps, 0, c.batch
		cfg, err := cfg.WithData(&datasets.Set{Items: make([]datasets.Item, c.clips), Labels: []string{"a", "b"}})
		if err != nil || cfg.Repeat != c.repeat || cfg.Epochs != c.epochs {
			t.Errorf("%+v: shown %d times in %d epochs, %v", c, cfg.Repeat, cfg.Epochs, err)
		}
	}
	dir, cfg := tones(t, 10), small()
	cfg.Steps, cfg.Epochs, cfg.Batch = 25, 0, 4
	run := trainer(t, cfg, dir)
	defer run.Close()
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if run.step < 25 || run.step != len(run.history)*run.train.Batches() || run.train.Batches() < 15 {
		t.Errorf("%d steps in %d epochs of %d", run.step, len(run.history), run.train.Batches())
	}
}

// TestPatienceAndKeptEpochs: a run ends when nothing gets better, and keeps the last epoch where it is asked to.
func TestPatienceAndKeptEpochs(t *testing.T) {
	dir, cfg := tones(t, 10), small()
	for _, c := range []struct {
		patience, done, best int
		over                 bool
	}{{0, 99, 1, false}, {2, 3, 2, false}, {2, 4, 2, true}, {2, 0, 0, false}, {1, 5, 5, false}} {
		run := Trainer{cfg: Config{Patience: c.patience}, history: make([]Epoch, c.done), best: bestState{Epoch: c.best}}
		if run.exhausted() != c.over {
			t.Errorf("%+v", c)
		}
	}
	cfg.Epochs, cfg.Patience, cfg.KeepLast = 3, 1, true
	if m, err := Fit(t.Context(), open(t, dir), cfg, Options{}); err != nil || m.Provenance.BestEpoch != 3 {
		t.Errorf("epoch %d is kept, %v", m.Provenance.BestEpoch, err)
	}
}

// TestInterruptedRunGivesTheBestModel, but not before there is one.
func TestInterruptedRunGivesTheBestModel(t *testing.T) {
	dir, cfg := tones(t, 10), small()
	for epochs := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		run, err := newTrainer(t, cfg, dir, Options{Observer: Observer{Step: func(p Progress) {
			if p.Epoch > epochs {
				cancel()
			}
		}}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := run.Run(ctx)
		if !errors.Is(err, context.Canceled) || (m != nil) != (epochs > 0) || m != nil && m.Validate() != nil {
			t.Errorf("after %d epochs: %v, %v", epochs, m, err)
		}
		run.Close()
	}
}

// TestResumeExtends continues a run beyond its end, and refuses to make it shorter.
func TestResumeExtends(t *testing.T) {
	dir, path, cfg := tones(t, 10), filepath.Join(t.TempDir(), "c"), small()
	for _, c := range []struct {
		epochs, done int // before
		refused      string
	}{{2, 0, ""}, {4, 2, ""}, {4, 4, ""}, {3, 4, "Epochs was 4 and is now 3"}} {
		cfg.Epochs = c.epochs
		run, err := newTrainer(t, cfg, dir, Options{Checkpoint: path, Resume: true})
		if c.refused != "" {
			if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%d epochs: %v", c.epochs, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		done := len(run.History())
		m, err := run.Run(t.Context())
		if err != nil || done != c.done || m.Provenance.Epochs != c.epochs || len(run.History()) != c.epochs {
			t.Errorf("%d epochs: %d done before, %d after, %v", c.epochs, done, len(run.History()), err)
		}
		run.Close()
	}
}

// TestFromAModel: old layers move less than the head, and their norms not at all where they are kept.
func TestFromAModel(t *testing.T) {
	dir, cfg := tones(t, 10), small()
	cfg.Epochs, cfg.EMA, cfg.Decay = 1, 0, 0
	from, err := Fit(t.Context(), open(t, dir), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	moved := func(rate float64, norms bool) (body, norm float64) {
		c := cfg
		c.FromRate, c.FromNorms, c.KeepLast = rate, norms, true
		m, err := Fit(t.Context(), open(t, dir), c, Options{From: from})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range m.Net.Program().Weights {
			a, b := m.Weights[w.Name].Data().([]float32), from.Weights[w.Name].Data().([]float32)
			sum := 0.0
			for i := range a {
				sum += float64((a[i] - b[i]) * (a[i] - b[i]))
			}
			switch {
			case strings.Contains(w.Name, "running") || strings.Contains(w.Name, "norm"):
				norm += sum
			case w.Kind == polynet.Decayed && !strings.HasPrefix(w.Name, "head"):
				body += sum
			}
		}
		return body, norm
	}
	fast, newNorms := moved(0, false)
	slow, _ := moved(0.01, false)
	_, kept := moved(0.1, true)
	if !(slow < fast/100) || slow == 0 || newNorms == 0 || kept != 0 {
		t.Errorf("layers moved by %g and %g, norms by %g and %g", fast, slow, newNorms, kept)
	}
}

// TestSeparation tells how far apart embeddings are.
func TestSeparation(t *testing.T) {
	apart := [][]float64{{1, 0}, {1.1, 0}, {0, 2}, {0, 2.1}, {-1, -1}, {-1, -1.2}}
	mixed := [][]float64{{1, 0}, {-1, 0}, {0, 1}, {0, -1}}
	for _, c := range []struct {
		embeddings [][]float64
		labels     []int
		want       float64
	}{
		{apart, []int{0, 0, 1, 1, 2, 2}, 1},
		{mixed, []int{0, 0, 1, 1}, 0},
		{[][]float64{{1, 0}, {1, 0.1}, {-1, 0}}, []int{0, 0, 2}, 1}, // a label of one clip, and one without
	} {
		if got := separation(c.embeddings, c.labels, 3); got != c.want {
			t.Errorf("%v of labels %v: %v, want %v", c.embeddings, c.labels, got, c.want)
		}
	}
	dir, cfg := tones(t, 12), small()
	cfg.Epochs = 8
	m, err := Fit(t.Context(), open(t, dir), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if share, err := Separation(t.Context(), open(t, dir), m, 0.5, Options{}); err != nil || share < 0.9 {
		t.Errorf("its own model tells %v of the tones apart, %v", share, err)
	}
}
