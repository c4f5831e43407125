package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// config turns the flags into a training configuration.
func (c *fitCmd) config() (training.Config, error) {
	net, err := c.Network.config()
	if err != nil {
		return training.Config{}, err
	}
	augment, mask := training.Augmentation(training.AugmentKind(c.Sound.Augment))
	cfg := training.Config{
		Net: net, Features: features.Default(), Window: c.Sound.Window, Limit: c.Sound.Limit,
		Epochs: c.Training.Epochs, Batch: c.Training.Batch, Optimizer: training.OptimizerKind(c.Training.Optimizer),
		Rate: c.Training.LR, Mixup: c.Training.Mixup, Warmup: min(c.Training.Warmup, float64(c.Training.Epochs)), Decay: c.Training.Decay,
		Momentum: 0.9, Clip: c.Training.Clip, Smoothing: c.Training.Smoothing, EMA: c.Training.EMA, Balance: c.Training.Balance, Seed: c.Training.Seed,
		Augment: augment, Mask: mask,
	}
	if cfg.Drops, err = c.Training.drops(); err != nil {
		return training.Config{}, err
	}
	if len(c.Training.Teacher) > 0 {
		cfg.Taught = c.Training.Taught
	}
	if c.Sound.Features == "square32" {
		cfg.Features = features.Square32()
	}
	if cfg.Context, err = c.Sound.context(net.Lookahead(cfg.Features)); err != nil {
		return training.Config{}, err
	}
	if net.WholeClip() {
		cfg.Context.Share = 0 // it has no answer for live sound
	}
	if cfg.Decay < 0 {
		cfg.Decay = training.DefaultDecay(cfg.Optimizer)
	}
	return cfg, nil
}

// drops returns the epochs of --schedule steps:EPOCH,...; none for the cosine.
func (f trainingFlags) drops() (epochs []int, err error) {
	if f.Schedule == "cosine" {
		return nil, nil
	}
	list, found := strings.CutPrefix(f.Schedule, "steps:")
	for text := range strings.SplitSeq(list, ",") {
		epoch, err := strconv.Atoi(text)
		if err != nil || !found {
			return nil, fmt.Errorf("--schedule: %q is neither cosine nor steps: with epochs, separated by commas", f.Schedule)
		}
		epochs = append(epochs, epoch)
	}
	return epochs, nil
}

// teachers opens the models of --teacher.
func (f trainingFlags) teachers() (list []*polynet.Model, err error) {
	for _, name := range f.Teacher {
		m, err := models.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--teacher: %w", err)
		}
		list = append(list, m)
	}
	return list, nil
}

// complete sets what depends on the data.
func (*fitCmd) complete(cfg *training.Config, set *datasets.Set) (err error) {
	if cfg.Batch == 0 {
		cfg.Batch = training.DefaultBatch(set)
	}
	if cfg.Rate == 0 {
		cfg.Rate = training.DefaultRate(cfg.Optimizer, cfg.Batch)
	}
	if cfg.Window == 0 {
		cfg.Window, err = set.LongestClip()
	}
	return err
}

// context returns the seconds that --context gives, or those of lookahead where there is none.
func (f soundFlags) context(lookahead time.Duration) (datasets.Context, error) {
	c := datasets.Context{Before: 1.5, After: lookahead.Seconds(), Share: f.InContext}
	if f.Context == "" || c.Share == 0 {
		return c, nil
	}
	before, after, found := strings.Cut(f.Context, ":")
	var errs [2]error
	c.Before, errs[0] = strconv.ParseFloat(before, 64)
	c.After, errs[1] = strconv.ParseFloat(after, 64)
	if !found || errors.Join(errs[:]...) != nil {
		return c, fmt.Errorf("--context: %q is not two numbers of seconds with a colon between", f.Context)
	}
	return c, nil
}

func (f networkFlags) config() (polynet.Config, error) {
	stem, err := numbers("--stem", f.Stem, 4)
	if err != nil {
		return polynet.Config{}, err
	}
	c := polynet.Config{
		Block: polynet.BlockKind(f.Arch), Dropout: f.Dropout,
		Stem: polynet.Stem{Width: stem[0], Kernel: stem[1], Ahead: stem[2], Stride: stem[3]},
	}
	if c.Degree = f.Degree; c.Degree == 0 && c.Block.Decomposition() {
		c.Degree = defaultDegree
	}
	for _, text := range f.Stages {
		n, err := numbers("--stages", text, 5)
		if err != nil {
			return polynet.Config{}, err
		}
		c.Stages = append(c.Stages, polynet.Stage{Width: n[0], Blocks: n[1], Kernel: n[2], Ahead: n[3], Stride: n[4]})
	}
	return c, nil
}

// numbers splits a flag's value at colons.
func numbers(flag, text string, count int) ([]int, error) {
	parts := strings.Split(text, ":")
	if len(parts) != count {
		return nil, fmt.Errorf("%s: %q has %d numbers between colons instead of %d", flag, text, len(parts), count)
	}
	values := make([]int, count)
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %q is not a whole number", flag, text, part)
		}
		values[i] = n
	}
	return values, nil
}
