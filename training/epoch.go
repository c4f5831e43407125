package training

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
)

// runEpoch learns from every training clip once, then evaluates on the validation split.
func (t *Trainer) runEpoch(ctx context.Context, epoch int, o Observer) (Epoch, error) {
	pass := polynet.NewPass(t.net, t.random(uint64(epoch)))
	pass.Train = true
	defer pass.Close()
	mixtures := t.random(uint64(epoch) + mixing)
	sum := runningSum{progress: Progress{Epoch: epoch, Epochs: t.cfg.Epochs, Total: t.train.Len()}}
	started := time.Now()
	for b, err := range t.train.Epoch(ctx, epoch) {
		if err != nil {
			return Epoch{}, err
		}
		sum.add(t.learn(pass, b, mixtures))
		if o.Step != nil {
			o.Step(sum.progress)
		}
	}
	if sum.progress.Clips == 0 {
		return Epoch{}, fmt.Errorf("%w: no training clip could be read", datasets.ErrNoData)
	}
	return t.validate(ctx, Epoch{
		Epoch: epoch, Rate: t.rates.Rate(t.step), Loss: sum.progress.Loss, TrainAccuracy: sum.progress.Accuracy,
		Clips: sum.progress.Clips, TrainTime: time.Since(started),
	})
}

// learn makes one optimiser step and returns the batch's mean loss, its right answers and its clips.
func (t *Trainer) learn(pass *polynet.Pass, b *datasets.Batch, mixtures *rand.Rand) (loss float64, right, clips int) {
	classes := t.cfg.Net.Classes
	targets := make([]float32, b.B*classes)
	polynet.Targets(targets, b.Labels, classes, t.cfg.Smoothing)
	if t.taught != nil {
		t.taught.add(targets, b, float32(t.cfg.Taught))
	}
	if t.cfg.Mixup > 0 {
		mixUp(b.X, targets, b.B, t.cfg.Mixup, mixtures)
	}

	t.net.ZeroGradient()
	x := pass.Input(b.X, b.B, b.Frames)
	pass.Pool(b.Lead, b.Window)
	logits := t.net.Forward(pass, x)
	gradient := pass.CrossEntropy(logits, targets)
	t.net.Backward(pass, gradient)
	if t.cfg.Clip > 0 {
		t.net.ClipGradient(t.cfg.Clip)
	}
	t.step++
	t.opt.Step(t.rates.Rate(t.step), t.step)
	if t.ema != nil {
		t.ema.Update(t.step)
	}
	// Nothing before this waits for the device.
	answers := make([]float32, b.B*classes)
	t.dev.Download(answers, logits.Data.Slice(0, len(answers)))
	for i, label := range b.Labels {
		if best(answers[i*classes:(i+1)*classes]) == label {
			right++
		}
	}
	return pass.Loss(), right, b.B
}

// validate evaluates the weights that would be kept, and keeps them when they are the best so far: by accuracy, alone and in
// context together, and by likelihood where that is equal.
func (t *Trainer) validate(ctx context.Context, e Epoch) (Epoch, error) {
	started := time.Now()
	m := t.model()
	plan, err := m.Compile(t.dev)
	if err != nil {
		return e, err
	}
	defer plan.Close()
	r, err := Evaluate(ctx, plan, t.valid, m.Labels, m.Temperature)
	if err != nil {
		return e, err
	}
	e.ValidAccuracy, e.ValidNLL = r.Accuracy, r.NLL
	if t.cfg.Context.Share > 0 {
		if r, err = EvaluateInContext(ctx, plan, t.valid, ContextSNR, m.Labels, m.Temperature); err != nil {
			return e, err
		}
		e.ContextAccuracy, e.ContextNLL = r.Accuracy, r.NLL
	}
	e.ValidTime = time.Since(started)
	b := &t.best
	accuracy, was := e.ValidAccuracy+e.ContextAccuracy, b.Accuracy+b.ContextAccuracy
	likelier := e.ValidNLL+e.ContextNLL < b.NLL+b.ContextNLL
	e.Best = b.Epoch == 0 || accuracy > was || accuracy == was && likelier
	if !e.Best {
		return e, nil
	}
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		return e, err
	}
	*b = bestState{
		Epoch: e.Epoch, Accuracy: e.ValidAccuracy, NLL: e.ValidNLL,
		ContextAccuracy: e.ContextAccuracy, ContextNLL: e.ContextNLL, Model: file.Bytes(),
	}
	return e, nil
}

// runningSum averages over the steps of an epoch.
type runningSum struct {
	progress Progress
	loss     float64
	right    int
}

func (s *runningSum) add(loss float64, right, clips int) {
	s.loss += loss * float64(clips)
	s.right += right
	s.progress.Clips += clips
	s.progress.Loss = s.loss / float64(s.progress.Clips)
	s.progress.Accuracy = 100 * float64(s.right) / float64(s.progress.Clips)
}

// best returns the index of the greatest value.
func best(values []float32) int {
	top := 0
	for i, v := range values {
		if v > values[top] {
			top = i
		}
	}
	return top
}
