package training

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// TestLocate compares the windows that examples move to with those found by a run of the network at each window.
func TestLocate(t *testing.T) {
	const batch, frames, lead, window, stride = 6, 60, 20, 16, 4
	labels := []string{"a", "b", detect.UnknownLabel, detect.SilenceLabel}
	onDevices(t, func(t *testing.T, d device.Trainer) {
		c := nettest.Tiny(polynet.Pi)
		c.Classes = len(labels)
		n := newTestNetwork(t, c, d, 1)
		perturb(n, nettest.Rand(2))
		l, err := newPositions(n, labels, 50) // a tolerance of 8 frames
		if err != nil {
			t.Fatal(err)
		}
		if l.tolerance != 8 {
			t.Fatalf("tolerance %d frames", l.tolerance)
		}
		b := &datasets.Batch{
			X: nettest.Normals(nettest.Rand(3), batch*frames*c.Inputs), B: batch, Frames: frames, Lead: lead, Window: window,
			Labels: []int{0, 1, 2, 2, 3, 0},
			Items:  []datasets.Item{{}, {}, {Other: true}, {Other: true, Negative: true}, {Silence: true}, {}},
		}
		p := NewPass(n, nil)
		var shifts []int
		x := p.Input(b.X, batch, frames)
		p.pool(lead, window)
		p.locate = func(p *Pass, x Activation, s int) []int {
			if s != stride {
				t.Fatalf("%d frames a row", s)
			}
			shifts = l.locate(b)(p, x, s)
			return shifts
		}
		got := rowsOf(d, n.Forward(p, x))

		last := (frames-n.program.Reach().After)/stride - window/stride // the last row at which a window begins
		at := func(row int) []float32 {
			x := p.Input(b.X, batch, frames)
			p.pool(row*stride, window)
			return rowsOf(d, n.Forward(p, x))
		}
		for i, item := range b.Items {
			low, high := lead/stride-2, lead/stride+2
			if item.Negative || item.Silence {
				low, high = 0, last
			}
			best, row := -1.0, 0
			for r := low; r <= min(high, last); r++ {
				p := make([]float64, len(labels))
				for k, v := range at(r)[i*len(labels) : (i+1)*len(labels)] {
					p[k] = float64(v)
				}
				polynet.Softmax(p, 1)
				v := p[b.Labels[i]]
				if b.Labels[i] >= 2 {
					v = max(p[0], p[1])
				}
				if v > best+1e-6 {
					best, row = v, r
				}
			}
			if shifts[i] != row-lead/stride {
				t.Errorf("example %d moves by %d rows, want %d", i, shifts[i], row-lead/stride)
			}
			for k, want := range at(row)[i*len(labels) : (i+1)*len(labels)] {
				if v := got[i*len(labels)+k]; math.Abs(float64(v-want)) > 1e-4 {
					t.Errorf("example %d: logit %g, want %g", i, v, want)
				}
			}
		}
	})
}

// TestMovedWindowsGradient checks the gradient through means over windows that moved, by finite differences.
func TestMovedWindowsGradient(t *testing.T) {
	const batch, rows, width = 3, 9, 4
	onDevices(t, func(t *testing.T, d device.Trainer) {
		n := drawn(headProgram(width, 5, 0), d, nettest.Rand(1))
		n.ops[0] = meanOp{&n.program.Steps[0], 2}
		values := nettest.Normals(nettest.Rand(2), batch*rows*width)
		weights := nettest.Normals(nettest.Rand(3), batch*5)
		p := newPass(d, 1, nil)
		p.Train = true
		run := func(values []float32) (loss float64, y Activation) {
			x := p.Input(values, batch, rows)
			p.pool(6, 6) // rows 3 to 5
			p.locate = func(*Pass, Activation, int) []int { return []int{-3, 0, 3} }
			y = n.forward(p, x)
			for i, v := range rowsOf(d, y.View) {
				loss += float64(v) * float64(weights[i])
			}
			return loss, y
		}
		_, y := run(values)
		dy := p.memory.plainLike(y)
		d.Upload(dy.Data, weights)
		gradient := rowsOf(d, n.backward(p, dy, true).View)
		var check differences
		check.check(t, "input", slices.Clone(values), gradient, func(v []float32) { copy(values, v) },
			func() float64 { loss, _ := run(values); return loss })
		check.end(t)
	})
}

// speech makes a folder of tones and one of recordings without their words: noise, and in some a tone that rises.
func speech(t *testing.T) (words, negatives string) {
	t.Helper()
	words, negatives = tones(t, 16), t.TempDir()
	const rate = 8000
	rng := rand.New(rand.NewPCG(3, 4))
	for voice := range 12 {
		sound := make([]float32, 4*rate)
		phase := 0.0
		for i := range sound {
			sound[i] = float32(0.05 * rng.NormFloat64())
			if at := i % (2 * rate); voice%2 == 0 && at < rate/2 {
				phase += 2 * math.Pi * (600 + 800*float64(at)/(rate/2)) / rate
				sound[i] += float32(0.4 * math.Sin(phase))
			}
		}
		split := []string{"train", "train", "train", "valid"}[voice%4]
		if err := os.MkdirAll(filepath.Join(negatives, split), 0o755); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(negatives, split, fmt.Sprintf("%d-1.wav", voice))
		if err := os.WriteFile(name, audiotest.WAV(audio.S16LE, rate, sound), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return words, negatives
}

// live is a run of live sound with hard negatives.
func live() Config {
	cfg := small()
	cfg.Context = datasets.Context{Before: 0.4, After: -1, Share: 0.7, Fluent: 0.5}
	cfg.Live, cfg.Mine = true, 2
	return cfg
}

// TestLiveRunResumes trains on live sound with hard negatives, in one run and in parts: the results are the same.
func TestLiveRunResumes(t *testing.T) {
	words, negatives := speech(t)
	cfg := live()
	open := func(o Options) *Trainer {
		t.Helper()
		set, err := datasets.Open(words, datasets.Options{Negatives: []string{negatives}, NegativeShare: 1})
		if err != nil {
			t.Fatal(err)
		}
		o.Threads = 2
		run, err := New(t.Context(), set, cfg, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(run.Close)
		return run
	}
	run := open(Options{})
	whole, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var hard []int
	for _, e := range run.History() {
		hard = append(hard, e.Hard)
	}
	if len(hard) != 4 || hard[0] != 0 || hard[1] != 0 || hard[2] == 0 {
		t.Errorf("hard places by epoch: %v", hard)
	}
	path := filepath.Join(t.TempDir(), "checkpoint")
	for stop := 2; stop <= 4; stop++ { // in the middle of the epochs 2, 3 and 4
		ctx, cancel := context.WithCancel(t.Context())
		part := open(Options{Checkpoint: path, Resume: true, Observer: Observer{Step: func(p Progress) {
			if p.Epoch == stop {
				cancel()
			}
		}}})
		if _, err := part.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	m, err := open(Options{Checkpoint: path, Resume: true}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compare(t, m, whole)
}

// TestLiveNeedsContext: without context there is nothing to look for windows in.
func TestLiveNeedsContext(t *testing.T) {
	cfg := live()
	cfg.Context = datasets.Context{}
	if _, err := newTrainer(t, cfg, tones(t, 12), Options{}); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v", err)
	}
}

// TestFrom begins with a model's weights: of the same labels with all of them, of others with all but the head's.
func TestFrom(t *testing.T) {
	cfg, dir := small(), tones(t, 24)
	cfg.Epochs = 8
	from, err := trainer(t, cfg, dir).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cfg.Epochs = 1
	begin := func(cfg Config, m *polynet.Model) (*polynet.Model, error) {
		run, err := newTrainer(t, cfg, dir, Options{From: m})
		if err != nil {
			return nil, err
		}
		defer run.Close()
		return run.model(), nil
	}
	same, err := begin(cfg, from)
	if err != nil {
		t.Fatal(err)
	}
	if same.Norm.Mean[0] != from.Norm.Mean[0] {
		t.Error("the features are normalised otherwise")
	}
	equal := func(a, b *polynet.Model, name string) bool {
		return slices.Equal(a.Weights[name].Data().([]float32), b.Weights[name].Data().([]float32))
	}
	for name := range from.Weights {
		if !equal(same, from, name) {
			t.Errorf("%s is not the model's", name)
		}
	}
	renamed := *from
	renamed.Labels = []string{"one", "two"}
	other, err := begin(cfg, &renamed)
	if err != nil {
		t.Fatal(err)
	}
	for name := range from.Weights {
		if head := name == "head.weight" || name == "head.bias"; equal(other, from, name) == head {
			t.Errorf("other labels: %s is the model's: %v", name, !head)
		}
	}
	wide := cfg
	wide.Net.Stages = []polynet.Stage{{Width: 24, Blocks: 1, Kernel: 5, Ahead: 2, Stride: 2}}
	if _, err := begin(wide, from); !errors.Is(err, ErrConfig) {
		t.Errorf("wider blocks: %v", err)
	}
	mels := cfg
	mels.Features.Mels = 24
	if _, err := begin(mels, from); !errors.Is(err, ErrConfig) {
		t.Errorf("other features: %v", err)
	}
}
