package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// finetuneFlags are those of the pass that trains on.
type finetuneFlags struct {
	Finetune int      `help:"Train on for N epochs with the recipe of fit." placeholder:"N"`
	LR       float64  `name:"lr" help:"${finetuneRateHelp}" default:"0"`
	Augment  string   `help:"${augmentHelp}" enum:"speech,light,papers,none" default:"speech"`
	Seed     int64    `help:"Seed of everything random." default:"1"`
	Teacher  []string `help:"${teacherHelp}" placeholder:"MODEL"`
}

// finetuning is the pass of --finetune.
type finetuning struct {
	finetuneFlags
	work *compression
}

// Name returns "finetune".
func (finetuning) Name() string { return "finetune" }

// finetuneRate is the learning rate's share of that with which fit begins, and finetuneWarmup that of the epochs over
// which it rises at most. Higher rates undo more in the first of few epochs than the others make good.
const finetuneRate, finetuneWarmup = 0.05, 0.2

// Apply trains m on, and calibrates what comes of it. What the model states besides its weights stays.
func (f finetuning) Apply(ctx context.Context, m *polynet.Model, d compress.Data) (
	*polynet.Model, compress.Report, error,
) {
	c, cfg := f.work, recipe
	cfg.Net, cfg.Features, cfg.Window, cfg.ClampSigma = m.Net, m.Features, m.Window, float64(m.Norm.Limit)
	cfg.Epochs, cfg.Seed, cfg.Rate = f.Finetune, f.Seed, f.LR
	cfg.Warmup = min(cfg.Warmup, finetuneWarmup*float64(f.Finetune))
	cfg.Augment, cfg.Mask = training.Augmentation(training.AugmentKind(f.Augment))
	cfg, err := cfg.WithData(c.set)
	if err != nil {
		return nil, compress.Report{}, err
	}
	if f.LR == 0 {
		cfg.Rate *= finetuneRate
	}
	teachers, err := openTeachers(f.Teacher)
	if err != nil {
		return nil, compress.Report{}, err
	}
	shown := &runProgress{out: c.console}
	t, err := training.New(ctx, c.set, cfg, training.Options{
		Device: d.Device, Threads: c.Threads, From: m, Teachers: teachers,
		Observer: training.Observer{Work: shown.work, Step: shown.step, Epoch: shown.epoch},
	})
	if err != nil {
		return nil, compress.Report{}, err
	}
	defer t.Close()
	shown.begin(io.Discard, nil)
	trained, err := t.Run(ctx)
	shown.bar.Clear()
	if err != nil {
		return nil, compress.Report{}, err
	}
	best := trained.Provenance.BestEpoch
	trained.Provenance, trained.Detection = m.Provenance, m.Detection
	trained.Provenance.Sources = inherited(m.Provenance.Sources, teachers)
	trained, err = calibrateFitted(ctx, trained, c.set, d.Device, c.Threads, c.console)
	done := fmt.Sprintf("%d epochs, the best %d, learning rate %.3g, seed %d", f.Finetune, best, cfg.Rate, f.Seed)
	if len(teachers) > 0 {
		done += ", taught by " + strings.Join(f.Teacher, ", ")
	}
	return trained, compress.Report{Done: done}, err
}
