package training

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// TestDistillation has two teacher models contradict the labels of the data: with a weight of 1 the network learns what
// they answer.
func TestDistillation(t *testing.T) {
	cfg, dir := small(), tones(t, 24)
	cfg.Epochs = 8
	cfg.Context = datasets.Context{Before: 0.1, After: 0.1, Share: 0.3}
	var teachers []*polynet.Model
	for cfg.Seed = range int64(2) {
		m, err := trainer(t, cfg, dir).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		teachers = append(teachers, m)
	}
	for _, names := range [][2]string{{"falling", "x"}, {"rising", "falling"}, {"x", "rising"}} {
		if err := os.Rename(filepath.Join(dir, names[0]), filepath.Join(dir, names[1])); err != nil {
			t.Fatal(err)
		}
	}
	cfg.DistillWeight = 1
	run, err := newTrainer(t, cfg, dir, Options{Teachers: teachers})
	if err != nil {
		t.Fatal(err)
	}
	defer run.Close()
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := run.History()[cfg.Epochs-1].ValidAccuracy; got > 20 { // of six clips, one may be taken for the other class
		t.Errorf("%g %% agree with the labels, not with the teacher models", got)
	}
}

func TestTeachersMustFit(t *testing.T) {
	cfg, dir := small(), tones(t, 12)
	cfg.Epochs = 1
	m, err := trainer(t, cfg, dir).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Window = 0.4
	if _, err := newTrainer(t, other, dir, Options{Teachers: []*polynet.Model{m}}); !errors.Is(err, ErrConfig) {
		t.Errorf("a teacher model of other windows: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "rising"), filepath.Join(dir, "climbing")); err != nil {
		t.Fatal(err)
	}
	if _, err := newTrainer(t, cfg, dir, Options{Teachers: []*polynet.Model{m}}); !errors.Is(err, ErrConfig) {
		t.Errorf("a teacher model of other labels: %v", err)
	}
}

// TestCloseFreesMemory: what a run with an average and a teacher model took of the device is free after Close.
func TestCloseFreesMemory(t *testing.T) {
	cfg, dir := small(), tones(t, 12)
	cfg.Epochs = 1
	m, err := trainer(t, cfg, dir).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	counting := &countingDevice{Trainer: cpu}
	cfg.DistillWeight = 0.5
	run, err := newTrainer(t, cfg, dir, Options{Device: counting, Teachers: []*polynet.Model{m}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if run.Close(); counting.allocs == 0 || counting.held != 0 {
		t.Errorf("%d values of %d allocations are not given back", counting.held, counting.allocs)
	}
}

// TestMixUp mixes clips that show their targets.
func TestMixUp(t *testing.T) {
	const clips, classes = 16, 4
	rng := rand.New(rand.NewPCG(1, 2))
	targets := make([]float32, clips*classes)
	for i := range clips {
		targets[i*classes+rng.IntN(classes)] = 1
	}
	x := slices.Clone(targets)
	mixUp(x, targets, clips, 0.5, rng)
	if !slices.Equal(x, targets) {
		t.Error("clips and targets are mixed differently")
	}
	mixed := 0
	for i := range clips {
		row := targets[i*classes : (i+1)*classes]
		sum := float32(0)
		for _, v := range row {
			sum += v
		}
		if sum < 0.999 || sum > 1.001 {
			t.Errorf("targets %v are no distribution", row)
		}
		if top := slices.Max(row); top < 0.999 {
			mixed++
		}
	}
	if mixed == 0 {
		t.Error("nothing is mixed")
	}
}
