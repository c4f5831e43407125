package training

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Epoch is one epoch's figures. Accuracies are in percent.
type Epoch struct {
	Epoch         int     // from 1
	Rate          float64 // learning rate of its last step
	Loss          float64 // mean training loss
	TrainAccuracy float64 // on the augmented training clips, while they were learnt
	ValidAccuracy float64 // of the weights that would be kept
	ValidNLL      float64 // ditto
	// ContextAccuracy and ContextNLL are the same in the middle of other sounds, where the run trains with context.
	ContextAccuracy, ContextNLL float64
	Best                        bool          // the best so far on the validation split
	Clips                       int           // learnt from
	TrainTime                   time.Duration // wall time of the training steps
	ValidTime                   time.Duration // wall time of the evaluation
}

// Progress says where a running epoch stands.
type Progress struct {
	Epoch, Epochs  int // from 1
	Clips, Total   int // of this epoch
	Loss, Accuracy float64
}

// Observer hears of a run's progress. Both fields are optional.
type Observer struct {
	Step  func(Progress) // after each optimiser step
	Epoch func(Epoch)    // after each epoch, once its checkpoint is written
}

// cacheBytes bounds the memory that keeps decoded clips between epochs.
const cacheBytes = 2 << 30

// Trainer fits one network to one data set. It is used by one goroutine.
type Trainer struct {
	cfg    Config
	set    *datasets.Set
	digest string
	dev    device.Trainer
	train  *datasets.Loader
	valid  *datasets.Loader
	norm   features.Norm
	taught *teacher // nil: nobody teaches

	net     *polynet.Network
	opt     polynet.Optimizer
	ema     *polynet.EMA
	rates   polynet.Schedule
	step    int // optimiser steps done
	best    bestState
	history []Epoch
}

// New prepares a run: it opens the splits, takes the training set's statistics and draws the initial weights.
// Unreadable clips are skipped (see Skipped). threads is the number of goroutines that read clips, 0 one a core. The answers
// of teachers, which must know the set's labels and hear the same features, are learnt as far as cfg.Taught says.
// Close the Trainer when done.
func New(ctx context.Context, cfg Config, set *datasets.Set, dev device.Trainer, threads int, teachers ...*polynet.Model) (*Trainer, error) {
	cfg.Net.Inputs, cfg.Net.Classes = cfg.Features.Mels, len(set.Labels)
	if err := errors.Join(cfg.Validate(), cfg.Net.Validate()); err != nil {
		return nil, err
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	digest, err := set.Digest()
	if err != nil {
		return nil, err
	}
	if cfg.Teachers, err = checkTeachers(teachers, cfg, set.Labels); err != nil {
		return nil, err
	}
	t := &Trainer{cfg: cfg, set: set, digest: digest, dev: dev}
	if err := t.openLoaders(ctx, threads); err != nil {
		return nil, err
	}
	if t.net, err = polynet.NewNetwork(cfg.Net, dev, t.random(0)); err != nil {
		return nil, err
	}
	if t.taught, err = newTeacher(teachers, dev, cfg.Batch); err != nil {
		return nil, err
	}
	t.prepareSteps()
	return t, nil
}

// Close gives back what the teachers took of the device.
func (t *Trainer) Close() { t.taught.close() }

func (t *Trainer) openLoaders(ctx context.Context, threads int) error {
	extractor, err := features.New(t.cfg.Features)
	if err != nil {
		return err
	}
	base := datasets.LoaderConfig{
		Extractor: extractor, Window: t.cfg.Window, Context: t.cfg.Context, Batch: t.cfg.Batch,
		Threads: threads, CacheBytes: cacheBytes,
	}
	if t.valid, err = datasets.NewLoader(t.set.Split(datasets.Valid), t.set.Noise, base); err != nil {
		return err
	}
	base.Norm, base.Augment, base.Mask = &t.norm, t.cfg.Augment, t.cfg.Mask
	base.Raw = len(t.cfg.Teachers) > 0
	base.Balance, base.Seed = t.cfg.Balance, t.cfg.Seed
	if t.train, err = datasets.NewLoader(t.set.Split(datasets.Train), t.set.Noise, base); err != nil {
		return err
	}
	if t.norm, err = t.train.Stats(ctx); err != nil {
		return err
	}
	t.norm.Limit = float32(t.cfg.Limit)
	return nil
}

func (t *Trainer) prepareSteps() {
	c := t.cfg
	switch c.Optimizer {
	case SGD:
		t.opt = polynet.NewSGD(t.net, c.Momentum, c.Decay)
	case AdamW:
		t.opt = polynet.NewAdamW(t.net, 0.9, 0.999, 1e-8, c.Decay)
	}
	if c.EMA > 0 {
		t.ema = polynet.NewEMA(t.net, c.EMA)
	}
	perEpoch := t.train.Batches()
	t.rates = polynet.Schedule{
		Peak: c.Rate, Warmup: int(c.Warmup * float64(perEpoch)), Total: c.Epochs * perEpoch,
	}
	for _, epoch := range c.Drops {
		t.rates.Drops = append(t.rates.Drops, epoch*perEpoch)
	}
}

// random returns the generator of one epoch (0: the initial weights). A resumed run draws the same numbers
// as one that was never interrupted.
func (t *Trainer) random(epoch uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(t.cfg.Seed), epoch))
}

// mixing is what is added to an epoch's number for the generator of its mixtures.
const mixing uint64 = 1 << 32

// Resume continues from the checkpoint at path: the run then gives what it would have given without the interruption.
// It returns false where there is no such file, and an error wrapping ErrCheckpoint when the file is of another run.
func (t *Trainer) Resume(path string) (bool, error) {
	c, err := loadCheckpoint(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := c.matches(t.cfg, t.set.Labels, t.digest); err != nil {
		return false, err
	}
	if err := t.restore(c); err != nil {
		return false, fmt.Errorf("%w: %s: %v", ErrCheckpoint, path, err)
	}
	return true, nil
}

// Run trains until all epochs are done, writing a checkpoint to path after each, and returns the best model on the
// validation split. When ctx ends it returns ctx's error; the checkpoint of the last whole epoch stays.
func (t *Trainer) Run(ctx context.Context, path string, o Observer) (*polynet.Model, error) {
	for epoch := len(t.history) + 1; epoch <= t.cfg.Epochs; epoch++ {
		e, err := t.runEpoch(ctx, epoch, o)
		if err != nil {
			return nil, err
		}
		t.history = append(t.history, e)
		if err := t.checkpoint().save(path); err != nil {
			return nil, fmt.Errorf("writing the checkpoint: %w", err)
		}
		if o.Epoch != nil {
			o.Epoch(e)
		}
	}
	return t.bestModel()
}

// Skipped returns the clips that could not be read.
func (t *Trainer) Skipped() []datasets.Skip {
	return append(t.train.Skipped(), t.valid.Skipped()...)
}

// History returns the epochs done, a resumed run's included.
func (t *Trainer) History() []Epoch { return t.history }
