package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Errors of this package wrap one of these, or are those of datasets and polynet.
var (
	ErrConfig     = errors.New("invalid training configuration")
	ErrCheckpoint = errors.New("cannot resume")        // from a checkpoint that is damaged or of another run
	ErrDiverged   = errors.New("the network diverged") // its numbers are not finite
)

// OptimizerKind names an optimiser.
type OptimizerKind string

// The optimisers.
const (
	SGD   OptimizerKind = "sgd"   // Nesterov momentum
	AdamW OptimizerKind = "adamw" // decoupled weight decay
)

// Config is everything that decides what a training run computes: with the same data, seed and device kind, the same
// Config gives the same weights bit for bit. It is stored in the checkpoint, and resuming needs the same one. Default
// returns the usual one, and WithData sets the fields whose comments say "auto".
type Config struct {
	Net        polynet.Config  `json:"net"` // Inputs and Classes: auto; a Degree of 0, too
	Features   features.Config `json:"features"`
	Window     float64         `json:"window"`      // seconds of sound in one example; 0: auto
	ClampSigma float64         `json:"clamp_sigma"` // bound of normalised features, in deviations; 0: none

	Epochs       int           `json:"epochs"`              // auto where Steps are given
	Steps        int           `json:"steps,omitempty"`     // rounded up to whole epochs; 0: as Epochs say
	Repeat       int           `json:"repeat,omitempty"`    // times that an epoch shows each clip; 0: auto
	Patience     int           `json:"patience,omitempty"`  // epochs without a better one that end the run; 0: none do
	KeepLast     bool          `json:"keep_last,omitempty"` // instead of the epoch that is best on the validation clips
	Batch        int           `json:"batch"`               // clips in an optimiser step; 0: auto
	Optimizer    OptimizerKind `json:"optimizer"`
	Rate         float64       `json:"rate"`                    // peak learning rate; 0: auto
	Warmup       float64       `json:"warmup"`                  // epochs of linear warm-up; a cosine to zero follows
	LRMilestones []int         `json:"lr_milestones,omitempty"` // epochs that divide the rate by 10; nil: the cosine
	Decay        float64       `json:"decay"`                   // weight decay, of matrices only; negative: auto
	Momentum     float64       `json:"momentum"`                // SGD only
	Clip         float64       `json:"clip"`                    // bound of the gradient's Euclidean norm; 0: none
	Loss         LossKind      `json:"loss"`                    // what is minimised; "": LossLS
	Gamma        float64       `json:"gamma,omitempty"`         // of LossFocal and LossDual
	Smoothing    float64       `json:"smoothing"`               // of the labels, with LossLS; see Targets
	EMA          float64       `json:"ema"`                     // decay of the average of weights that is kept; 0: none
	Balance      float64       `json:"balance"`                 // of labels, 0 to 1; see datasets.LoaderConfig
	Seed         int64         `json:"seed"`
	Mixup        float64       `json:"mixup,omitempty"` // the parameter of mixup's beta distribution; 0: no mixup

	L1          float64 `json:"l1,omitempty"`          // times Σ|w| is added to the loss; see penalised
	Adversarial float64 `json:"adversarial,omitempty"` // trains on features that differ by so many deviations, the worst

	// Teachers are the digests of the teacher models, set by New, and DistillWeight is the share of their mean
	// probabilities in the targets (distillation).
	Teachers      []string `json:"teachers,omitempty"`
	DistillWeight float64  `json:"distill_weight,omitempty"`

	// From is the digest of the model that the run began with, set by New. FromRate is the learning rate of its layers
	// as a share of the new head's (0: the same), and FromNorms has its norms keep their statistics, scales and shifts.
	From      string  `json:"from,omitempty"`
	FromRate  float64 `json:"from_rate,omitempty"`
	FromNorms bool    `json:"from_norms,omitempty"`
	// Live has examples in context learnt at the window by which a detector of live sound decides, instead of at the
	// label's: for a word the one in which it is likeliest, 0.16 s before or after at most; for _unknown_ the one in which
	// a word is likeliest, wherever in the stretch where it holds no word.
	Live bool `json:"live,omitempty"`
	// Mine is every how many epochs the negatives are searched for places that are taken for words. Half of the negatives
	// then come from these. 0: never.
	Mine int `json:"mine,omitempty"`

	Context datasets.Context `json:"context"` // around the window of some batches; a negative After: auto
	Augment datasets.Augment `json:"augment"`
	Mask    features.Mask    `json:"mask"`
}

// Default returns the recipe for spoken words, with a network of a million parameters. What depends on the data (Batch,
// Rate, Window) or on other settings (Decay, Context.After) is left to WithData, which New calls.
func Default() Config {
	augment, mask := Augmentation(AugmentSpeech)
	return Config{
		Net: polynet.Config{
			Block: polynet.Pi, Stem: polynet.Stem{Width: 64, Kernel: 5, Ahead: 1, Stride: 1}, Dropout: 0.15,
			Stages: []polynet.Stage{
				{Width: 64, Blocks: 3, Kernel: 5, Ahead: 2, Stride: 2},
				{Width: 96, Blocks: 3, Kernel: 5, Ahead: 1, Stride: 2},
				{Width: 144, Blocks: 3, Kernel: 5, Ahead: 0, Stride: 2},
			},
		},
		Features: features.Default(), ClampSigma: 4,
		Epochs: 60, Optimizer: SGD, Warmup: 2, Decay: -1, Momentum: 0.9, Clip: 2, Loss: LossLS, Gamma: 3,
		Smoothing: 0.1, EMA: 0.998,
		Balance: 0.5, Seed: 1, DistillWeight: 0.7,
		Context: datasets.Context{Before: 1.5, After: -1, Share: 0.5, Fluent: 0.3}, Augment: augment, Mask: mask,
	}
}

const (
	DefaultDegree = 3 // of decompositions, which WithData chooses

	// A batch has as many clips as lets an epoch make so many optimiser steps, within bounds: with fewer, networks
	// hardly learn from small data sets.
	stepsPerEpoch = 20
	minBatch      = 8
	maxBatch      = 100
)

// WithData returns c completed for a data set: the network's inputs and classes, the degree of decompositions
// (DefaultDegree), the batch (a twentieth of the training clips, 8 to 100), the learning rate (for SGD 0.002 a clip of
// the batch (Goyal et al., 2017), for AdamW 0.003), weight decay (0.0005 and 0.05), the window
// (datasets.Lengths.Window) and the context after it (the network's lookahead). Warmup becomes at most Epochs.
func (c Config) WithData(set *datasets.Set) (Config, error) {
	c.Net.Inputs, c.Net.Classes = c.Features.Mels, len(set.Labels)
	if c.Net.Degree == 0 && c.Net.Block.Decomposition() {
		c.Net.Degree = DefaultDegree
	}
	err := invalid(c.Net.Validate(), c.Features.Validate())
	if err != nil {
		return c, err
	}
	if c.Context.After < 0 {
		c.Context.After = c.Net.Lookahead(c.Features).Seconds()
	}
	clips := len(set.Split(datasets.Train))
	c.Batch = cmp.Or(c.Batch, max(minBatch, min(clips/stepsPerEpoch, maxBatch)))
	if c.Steps > 0 {
		c.Repeat = cmp.Or(c.Repeat, max(1, stepsPerEpoch*c.Batch/max(clips, 1)))
		c.Epochs = ceilDiv(c.Steps, ceilDiv(clips*c.Repeat, c.Batch))
	}
	c.Repeat = cmp.Or(c.Repeat, 1)
	rate, decay := 0.2*float64(c.Batch)/maxBatch, 5e-4
	if c.Optimizer == AdamW {
		rate, decay = 0.003, 0.05
	}
	c.Rate = cmp.Or(c.Rate, rate)
	if c.Decay < 0 {
		c.Decay = decay
	}
	c.Warmup = min(c.Warmup, float64(c.Epochs))
	if c.Loss = cmp.Or(c.Loss, LossLS); !c.Loss.UsesGamma() {
		c.Gamma = 0
	}
	// Lists are compared with those of checkpoints, in which an empty one is nil.
	c.LRMilestones = append([]int(nil), c.LRMilestones...)
	c.Net.Stages = slices.Clone(c.Net.Stages)
	if c.Window == 0 {
		lengths, err := set.Lengths(context.Background(), nil)
		if err != nil {
			return c, err
		}
		c.Window = lengths.Window()
	}
	return c, nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// Validate returns an error wrapping ErrConfig that names the setting when c cannot be run. c comes from WithData.
func (c Config) Validate() error {
	positive, below1 := float64(math.SmallestNonzeroFloat32), math.Nextafter(1, 0)
	within := func(name string, v, low, high float64) error {
		if v >= low && v <= high {
			return nil
		}
		number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		allowed := number(low) + " to " + number(high)
		switch {
		case low == positive:
			allowed = "above 0 and at most " + number(high)
		case high == below1:
			allowed = "at least 0 and below 1"
		case high == math.MaxFloat32:
			allowed = "at least 0"
		}
		return fmt.Errorf("%w: %s %s: it must be %s", ErrConfig, name, number(v), allowed)
	}
	if c.Optimizer != SGD && c.Optimizer != AdamW {
		return fmt.Errorf("%w: unknown optimizer %q", ErrConfig, c.Optimizer)
	}
	if !slices.Contains(LossKinds, c.Loss) {
		return fmt.Errorf("%w: unknown loss %q", ErrConfig, c.Loss)
	}
	if c.Live && c.Context.Share == 0 {
		return fmt.Errorf("%w: live sound is learnt from clips in context, of which there are none", ErrConfig)
	}
	for i, epoch := range c.LRMilestones {
		if epoch < 1 || epoch >= c.Epochs || i > 0 && epoch <= c.LRMilestones[i-1] {
			return fmt.Errorf("%w: the rate cannot fall after the epochs %v of %d", ErrConfig, c.LRMilestones, c.Epochs)
		}
	}
	return errors.Join(
		within("window", c.Window, 0.05, 60),
		within("bound of features", c.ClampSigma, 0, 1e3),
		within("epochs", float64(c.Epochs), 1, 1e6),
		within("steps", float64(c.Steps), 0, 1e9),
		within("times that an epoch shows each clip", float64(c.Repeat), 0, 1e6),
		within("patience", float64(c.Patience), 0, 1e6),
		within("learning rate of the layers of the model to begin with", c.FromRate, 0, 1),
		within("epochs from one search for hard negatives to the next", float64(c.Mine), 0, 1e6),
		within("batch", float64(c.Batch), 2, 1<<16),
		within("learning rate", c.Rate, positive, 1e3),
		within("warm-up", c.Warmup, 0, float64(c.Epochs)),
		within("weight decay", c.Decay, 0, 10),
		within("momentum", c.Momentum, 0, below1),
		within("gradient clip", c.Clip, 0, math.MaxFloat32),
		within("gamma", c.Gamma, 0, 100),
		within("label smoothing", c.Smoothing, 0, below1),
		within("balance", c.Balance, 0, 1),
		within("EMA decay", c.EMA, 0, below1),
		within("mixup", c.Mixup, 0, 100),
		within("L1 penalty", c.L1, 0, 10),
		within("bound of adversarial changes", c.Adversarial, 0, 10),
		within("weight of distillation", c.DistillWeight, 0, 1),
		within("mask", float64(min(c.Mask.TimeMasks, c.Mask.MaxTime, c.Mask.FreqMasks, c.Mask.MaxFreq)),
			0, math.MaxFloat32),
		invalid(c.Augment.Validate(), c.Context.Validate()),
	)
}

// invalid joins errors of other packages in one that wraps ErrConfig, too, or returns nil.
func invalid(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// AugmentKind names a recipe of augmentation.
type AugmentKind string

// The recipes.
const (
	AugmentSpeech AugmentKind = "speech" // spoken words: speed, place, noise, level, rooms, microphones, masks
	AugmentLight  AugmentKind = "light"  // other sounds: place, level and masks
	AugmentPapers AugmentKind = "papers" // as R-PolyNets' authors vary spoken words: speed, place, level and noise
	AugmentNone   AugmentKind = "none"
)

// Augmentation returns a recipe's settings. The values of AugmentSpeech were found on the validation clips of Speech
// Commands.
func Augmentation(kind AugmentKind) (datasets.Augment, features.Mask) {
	switch kind {
	case AugmentSpeech:
		return datasets.Augment{
			MadeUp: 0.1, Speed: 0.15, Shift: 0.12,
			Noise: 0.6, SNR: [2]float64{3, 30}, Synthetic: 0.2, Gain: [2]float64{-20, 10},
			Channel: features.Acoustics{
				Room: 0.2, RoomSeconds: [2]float64{0.1, 0.6}, RoomLevel: [2]float64{0.02, 0.25},
				Filter: 0.4, Tilt: 6, Bumps: 3,
				Band: 0.1, BandLow: [2]float64{100, 400}, BandHigh: [2]float64{3000, 7000},
			},
		}, features.Mask{TimeMasks: 2, MaxTime: 10, FreqMasks: 2, MaxFreq: 5}
	case AugmentPapers:
		return datasets.Augment{
			Speed: 0.2, Shift: 0.25, Noise: 0.5, SNR: [2]float64{7, 30}, Gain: [2]float64{-3.1, 0.8},
		}, features.Mask{}
	case AugmentLight:
		return datasets.Augment{Shift: 0.1, Gain: [2]float64{-6, 6}},
			features.Mask{TimeMasks: 1, MaxTime: 12, FreqMasks: 1, MaxFreq: 6}
	}
	return datasets.Augment{}, features.Mask{}
}
