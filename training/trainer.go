// Package training fits polynet networks to datasets: gradients of a polynet.Program, losses, optimisers, the loop over
// epochs, checkpoints, distillation and evaluation.
package training

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/polynet"
)

// Options says how a run is carried out. Only Teachers, and the kind of Device, change what it computes.
type Options struct {
	Device     device.Trainer // nil: the CPU
	Threads    int            // goroutines that read clips, and the threads of a nil Device; 0: one a core
	Checkpoint string         // file that each epoch writes the run's state to; "": none
	Resume     bool           // continue from the file Checkpoint, where it exists
	Observer   Observer
	// Teachers are models whose mean probabilities are mixed into the targets (Config.DistillWeight). They have the
	// labels of the data, and the features and window of the Config.
	Teachers []*polynet.Model
	// From is a model whose weights and statistics of features the run begins with instead of random ones. It has the
	// blocks and features of the Config; where it has other labels, the head begins anew. nil: none.
	From *polynet.Model
}

// Observer receives a run's progress. All fields are optional.
type Observer struct {
	// Work is called now and then during work on all clips that is no training, with how many of them are done.
	Work  func(w Work, done, total int)
	Step  func(Progress) // after each optimiser step
	Epoch func(Epoch)    // after each epoch, once its checkpoint is written
}

// Work is work on all clips of a data set or of a split.
type Work string

// The work before the first epoch, and after each.
const (
	Hashing    Work = "hashing files" // for the digest of the data
	Statistics Work = "reading the training clips"
	Reading    Work = "reading the validation clips"
	Validation Work = "validation"
)

func (o Observer) report(w Work, done, total int) {
	if o.Work != nil {
		o.Work(w, done, total)
	}
}

// of returns the datasets.Progress that reports to o.
func (w Work) of(o Observer) datasets.Progress {
	return func(done, total int) { o.report(w, done, total) }
}

// Progress says how far a running epoch is.
type Progress struct {
	Epoch, Epochs  int // from 1
	Clips, Total   int // of this epoch
	Loss, Accuracy float64
}

// Epoch is one epoch's results. Accuracies are in percent.
type Epoch struct {
	Epoch         int     // from 1
	Rate          float64 // learning rate of its last step
	Loss          float64 // mean training loss
	TrainAccuracy float64 // on the augmented training clips, while training on them
	ValidAccuracy float64 // of the weights that would be kept
	ValidNLL      float64 // ditto
	ValidClips    int     // evaluated
	// ContextAccuracy and ContextNLL are the same in the middle of other sounds, where the run trains with context.
	ContextAccuracy, ContextNLL float64
	Best                        bool          // the best so far on the validation split
	Clips                       int           // trained on
	Hard                        int           // hard places in the negatives that it trained on
	TrainTime                   time.Duration // wall time of the training steps
	ValidTime                   time.Duration // wall time of the evaluation
}

// cacheBytes bounds the memory that keeps decoded clips between epochs.
const cacheBytes = 2 << 30

// Trainer fits one network to one data set. It is used by one goroutine.
type Trainer struct {
	cfg     Config
	options Options
	labels  []string
	digest  string // of the data
	dev     device.Trainer
	train   *datasets.Loader
	valid   *datasets.Loader
	norm    features.Norm

	net       *Network
	opt       *Optimizer
	ema       *ema       // nil: no average is kept
	adversary *adversary // nil: batches are learnt as they are
	rates     schedule
	teachers  ensemble
	live      *positions       // nil: only windows are learnt
	hard      []datasets.Place // of the negatives, as mined last

	notes   []string
	step    int // optimiser steps done
	best    bestState
	history []Epoch
}

// Fit trains a network on a data set and returns the best model on its validation split. It is New and Trainer.Run.
func Fit(ctx context.Context, set *datasets.Set, cfg Config, o Options) (*polynet.Model, error) {
	t, err := New(ctx, set, cfg, o)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Run(ctx)
}

// New prepares a run: it completes cfg (Config.WithData), opens the splits, takes the training set's statistics and
// draws the initial weights, or continues from the checkpoint. Unreadable clips are skipped (see Skipped). Settings
// that cannot be run give an error wrapping ErrConfig, a checkpoint of another run one wrapping ErrCheckpoint. Close
// the Trainer when done.
func New(ctx context.Context, set *datasets.Set, cfg Config, o Options) (*Trainer, error) {
	cfg, err := cfg.WithData(set)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o.Resume && o.Checkpoint == "" {
		return nil, fmt.Errorf("%w: there is no checkpoint to resume from", ErrConfig)
	}
	if o.Checkpoint != "" {
		if err := atomicfile.Check(o.Checkpoint); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	t := &Trainer{cfg: cfg, options: o, labels: set.Labels, dev: o.Device}
	if err := t.prepare(ctx, set); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// prepare does New's work that needs the data or memory of the device.
func (t *Trainer) prepare(ctx context.Context, set *datasets.Set) (err error) {
	o := t.options
	if t.dev == nil {
		if t.dev, err = device.CPU(o.Threads); err != nil {
			return err
		}
	}
	if t.cfg.Teachers, err = checkTeachers(o.Teachers, t.cfg, set.Labels); err != nil {
		return err
	}
	if t.cfg.From, err = checkFrom(o.From, t.cfg); err != nil {
		return err
	}
	if t.digest, err = set.Digest(ctx, Hashing.of(o.Observer)); err != nil {
		return err
	}
	if err := t.openLoaders(ctx, set); err != nil {
		return err
	}
	if err := t.prepareSteps(); err != nil {
		return err
	}
	if err := t.model().Validate(); err != nil { // now, and not after the first epoch
		return invalid(err)
	}
	if o.Resume {
		return t.resume(o.Checkpoint)
	}
	return nil
}

// Close gives the run's memory back to the device.
func (t *Trainer) Close() {
	if t.adversary != nil {
		t.adversary.pass.Close()
	}
	if t.net != nil {
		t.net.close()
	}
	if t.opt != nil {
		t.opt.close()
	}
	if t.ema != nil {
		t.ema.average.close()
	}
	t.teachers.close()
}

func (t *Trainer) openLoaders(ctx context.Context, set *datasets.Set) error {
	extractor, err := features.New(t.cfg.Features)
	if err != nil {
		return err
	}
	base := datasets.LoaderConfig{
		Extractor: extractor, Window: t.cfg.Window, Context: t.cfg.Context, Batch: t.cfg.Batch,
		Threads: cmp.Or(t.options.Threads, runtime.GOMAXPROCS(0)), CacheBytes: cacheBytes,
	}
	if t.valid, err = datasets.NewLoader(set.Split(datasets.Valid), set.Noise, base); err != nil {
		return err
	}
	base.Norm, base.Augment, base.Mask = &t.norm, t.cfg.Augment, t.cfg.Mask
	base.Raw = len(t.options.Teachers) > 0
	base.Balance, base.Seed, base.Repeat = t.cfg.Balance, t.cfg.Seed, t.cfg.Repeat
	if t.train, err = datasets.NewLoader(set.Split(datasets.Train), set.Noise, base); err != nil {
		return err
	}
	if t.norm, err = t.train.Stats(ctx, Statistics.of(t.options.Observer)); err != nil {
		return err
	}
	if t.options.From != nil {
		t.norm = t.options.From.Norm
	}
	t.norm.Limit = float32(t.cfg.ClampSigma)
	if err := t.valid.Check(ctx, Reading.of(t.options.Observer)); err != nil {
		return err
	}
	return t.checkReadable(set)
}

// checkReadable returns an error wrapping datasets.ErrNoData where nothing of a label, or nothing to validate on, can
// be read. Labels that only lack validation clips are noted.
func (t *Trainer) checkReadable(set *datasets.Set) error {
	train, valid := t.train.Unreadable(), t.valid.Unreadable()
	labels := map[int]bool{}
	for _, it := range set.Split(datasets.Valid) {
		labels[it.Label] = true
	}
	for i, label := range t.labels {
		if reason := train[i]; reason != nil {
			return fmt.Errorf("%w: none of the training clips of %s can be read: %w", datasets.ErrNoData, label, reason)
		}
		if reason := valid[i]; reason != nil && len(valid) == len(labels) {
			return fmt.Errorf("%w: none of the validation clips can be read: %w", datasets.ErrNoData, reason)
		} else if reason != nil {
			t.notes = append(t.notes, fmt.Sprintf(
				"none of the validation clips of %s can be read: it has no part in the choice of the best epoch",
				label))
		}
	}
	return nil
}

// prepareSteps makes what optimiser steps need: the network, the optimiser, the schedule, the average and the teachers.
func (t *Trainer) prepareSteps() (err error) {
	c := t.cfg
	if t.net, err = NewNetwork(c.Net, t.dev, t.random(0)); err != nil {
		return err
	}
	if from := t.options.From; from != nil {
		if err := t.net.begin(from, slices.EqualFunc(from.Labels, t.labels, datasets.SameLabel)); err != nil {
			return err
		}
	}
	if c.Live {
		if t.live, err = newPositions(t.net, t.labels, c.Features.FramesPerSecond()); err != nil {
			return err
		}
	}
	switch c.Optimizer {
	case SGD:
		t.opt = NewSGD(t.net, c.Momentum, c.Decay)
	case AdamW:
		t.opt = NewAdamW(t.net, 0.9, 0.999, 1e-8, c.Decay)
	}
	if t.options.From != nil {
		t.opt.body = cmp.Or(c.FromRate, 1)
	}
	if c.EMA > 0 {
		t.ema = newEMA(t.net, c.EMA)
	}
	if c.Adversarial > 0 {
		t.adversary = newAdversary(t.net, c.Adversarial, c.ClampSigma)
	}
	if t.teachers, err = newEnsemble(t.options.Teachers, t.dev); err != nil {
		return err
	}
	perEpoch := t.train.Batches()
	t.rates = schedule{peak: c.Rate, warmup: int(c.Warmup * float64(perEpoch)), total: c.Epochs * perEpoch}
	for _, epoch := range c.LRMilestones {
		t.rates.milestones = append(t.rates.milestones, epoch*perEpoch)
	}
	return nil
}

// random returns the generator of one epoch (0: the initial weights). A resumed run draws the same numbers as one that
// was never interrupted.
func (t *Trainer) random(epoch uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(t.cfg.Seed), epoch))
}

// Run trains until all epochs are done, writing the checkpoint after each, and returns the best model on the validation
// split. It ends before that with Config.Patience. When ctx ends it returns ctx's error; the checkpoint of the last
// whole epoch stays. Where a loss, a gradient, a weight or an output on the validation clips is not finite, the run
// ends with an error wrapping ErrDiverged that says where. With either error it returns the best model of the epochs
// before, or nil where there is none.
func (t *Trainer) Run(ctx context.Context) (*polynet.Model, error) {
	for epoch := len(t.history) + 1; epoch <= t.cfg.Epochs && !t.exhausted(); epoch++ {
		e, err := t.trainEpoch(ctx, epoch)
		if err == nil {
			if err = t.validate(ctx, &e); errors.Is(err, ErrDiverged) {
				err = fmt.Errorf("after epoch %d of %d: %w", epoch, t.cfg.Epochs, err)
			}
		}
		if err != nil && (errors.Is(err, ErrDiverged) || ctx.Err() != nil) && t.best.Epoch > 0 {
			m, bad := t.bestModel()
			return m, errors.Join(err, bad)
		}
		if err != nil {
			return nil, err
		}
		t.history = append(t.history, e)
		if t.options.Checkpoint != "" {
			if err := t.checkpoint().save(t.options.Checkpoint); err != nil {
				return nil, fmt.Errorf("writing the checkpoint: %w", err)
			}
		}
		if t.options.Observer.Epoch != nil {
			t.options.Observer.Epoch(e)
		}
	}
	return t.bestModel()
}

// exhausted reports whether the patience is over.
func (t *Trainer) exhausted() bool {
	return t.cfg.Patience > 0 && len(t.history)-t.best.Epoch >= t.cfg.Patience
}

// Skipped returns the clips that could not be read.
func (t *Trainer) Skipped() []error { return append(t.train.Skipped(), t.valid.Skipped()...) }

// Warnings returns what was wrong with the files that have been read.
func (t *Trainer) Warnings() datasets.Warnings {
	warnings := t.train.Warnings()
	maps.Copy(warnings, t.valid.Warnings())
	return warnings
}

// Notes returns what a user should know before the run, one sentence each.
func (t *Trainer) Notes() []string { return t.notes }

// History returns the epochs done, those before a resumed run's checkpoint included.
func (t *Trainer) History() []Epoch { return t.history }

// kept returns the network whose weights would be kept: the average, where there is one.
func (t *Trainer) kept() *Network {
	if t.ema != nil {
		return t.ema.average
	}
	return t.net
}

// model returns the model of the present weights.
func (t *Trainer) model() *polynet.Model {
	return &polynet.Model{
		Features: t.cfg.Features, Norm: t.norm, Window: t.cfg.Window, Net: t.cfg.Net,
		Labels: t.labels, Temperature: 1, Weights: t.kept().Weights(),
	}
}

// bestModel returns the best epoch's model with its provenance, as far as it follows from the run.
func (t *Trainer) bestModel() (*polynet.Model, error) {
	m, err := polynet.Read(bytes.NewReader(t.best.Model))
	if err != nil {
		return nil, fmt.Errorf("%w: the best model in the checkpoint: %v", ErrCheckpoint, err)
	}
	m.Provenance = polynet.Provenance{
		Data: t.digest, Seed: t.cfg.Seed, Epochs: t.cfg.Epochs, BestEpoch: t.best.Epoch,
		Created: time.Now().UTC().Format(time.RFC3339), Parameters: t.net.program.Parameters(),
	}
	record(m, "valid_accuracy", t.best.Accuracy)
	record(m, "valid_nll", t.best.NLL)
	for _, e := range t.history {
		if e.Epoch == t.best.Epoch && e.ValidClips > 0 { // checkpoints of earlier programs do not say
			record(m, "valid_clips", float64(e.ValidClips))
		}
	}
	if t.cfg.Context.Share > 0 {
		record(m, "valid_context_accuracy", t.best.ContextAccuracy)
		record(m, "valid_context_nll", t.best.ContextNLL)
	}
	return m, nil
}
