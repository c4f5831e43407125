package training

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/polyphon/polyphon/datasets"
)

// mixupStream is what is added to an epoch's number for the generator of its mixup.
const mixupStream uint64 = 1 << 32

// contextSNR is the signal-to-noise ratio, in dB, of the noise in which clips in context are validated.
const contextSNR = 20

// trainEpoch trains on every training clip once.
func (t *Trainer) trainEpoch(ctx context.Context, epoch int) (Epoch, error) {
	pass := NewPass(t.net, t.random(uint64(epoch)))
	pass.Train = true
	defer pass.Close()
	rng := t.random(uint64(epoch) + mixupStream)
	p := Progress{Epoch: epoch, Epochs: t.cfg.Epochs, Total: t.train.Len()}
	started, losses, correct := time.Now(), 0.0, 0
	for b, err := range t.train.Epoch(ctx, epoch) {
		if err != nil {
			return Epoch{}, err
		}
		loss, n := t.trainStep(pass, b, rng)
		losses += loss * float64(b.B)
		correct += n
		p.Clips += b.B
		p.Loss, p.Accuracy = losses/float64(p.Clips), 100*float64(correct)/float64(p.Clips)
		if t.options.Observer.Step != nil {
			t.options.Observer.Step(p)
		}
	}
	if p.Clips == 0 {
		return Epoch{}, fmt.Errorf("%w: no training clip could be read", datasets.ErrNoData)
	}
	return Epoch{
		Epoch: epoch, Rate: t.rates.rate(t.step), Loss: p.Loss, TrainAccuracy: p.Accuracy, Clips: p.Clips,
		TrainTime: time.Since(started),
	}, nil
}

// trainStep makes one optimiser step and returns the batch's mean loss and the number of clips classified correctly.
// rng draws its mixup.
func (t *Trainer) trainStep(pass *Pass, b *datasets.Batch, rng *rand.Rand) (loss float64, correct int) {
	classes := t.cfg.Net.Classes
	targets := make([]float32, b.B*classes)
	Targets(targets, b.Labels, classes, t.cfg.Smoothing)
	if len(t.teachers) > 0 {
		t.teachers.mix(targets, b, float32(t.cfg.DistillWeight))
	}
	if t.cfg.Mixup > 0 {
		mixUp(b.X, targets, b.B, t.cfg.Mixup, rng)
	}

	t.net.ZeroGradient()
	x := pass.Input(b.X, b.B, b.Frames)
	pass.pool(b.Lead, b.Window)
	logits := t.net.Forward(pass, x)
	t.net.Backward(pass, pass.CrossEntropy(logits, targets))
	if t.cfg.Clip > 0 {
		t.net.ClipGradient(t.cfg.Clip)
	}
	t.step++
	t.opt.Step(t.rates.rate(t.step), t.step)
	if t.ema != nil {
		t.ema.update(t.step)
	}
	// Nothing before this waits for the device.
	values := make([]float32, b.B*classes)
	t.dev.Download(values, logits.Data.Slice(0, len(values)))
	for i, label := range b.Labels {
		if argmax(values[i*classes:(i+1)*classes]) == label {
			correct++
		}
	}
	return pass.Loss(), correct
}

// validate completes e with the evaluation of the weights that would be kept, and keeps them when they are the best so
// far: by accuracy, of clips alone and in context together, and by likelihood where that is equal.
func (t *Trainer) validate(ctx context.Context, e *Epoch) error {
	started := time.Now()
	m := t.model()
	if err := m.Validate(); err != nil { // the run has diverged
		return err
	}
	network := newEvaluator(t.kept(), t.norm)
	defer network.pass.Close()
	forward := func(b *datasets.Batch) ([]float32, error) { return network.logits(b.X, b), nil }
	r, err := Evaluate(t.valid.Ordered(ctx), forward, t.labels, 1)
	if err != nil {
		return err
	}
	e.ValidAccuracy, e.ValidNLL = r.Accuracy, r.NLL
	if t.cfg.Context.Share > 0 {
		if r, err = Evaluate(t.valid.InContext(ctx, contextSNR), forward, t.labels, 1); err != nil {
			return err
		}
		e.ContextAccuracy, e.ContextNLL = r.Accuracy, r.NLL
	}
	e.ValidTime = time.Since(started)
	b := &t.best
	accuracy, best := e.ValidAccuracy+e.ContextAccuracy, b.Accuracy+b.ContextAccuracy
	likelier := e.ValidNLL+e.ContextNLL < b.NLL+b.ContextNLL
	if e.Best = b.Epoch == 0 || accuracy > best || accuracy == best && likelier; !e.Best {
		return nil
	}
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		return err
	}
	*b = bestState{
		Epoch: e.Epoch, Accuracy: e.ValidAccuracy, NLL: e.ValidNLL,
		ContextAccuracy: e.ContextAccuracy, ContextNLL: e.ContextNLL, Model: file.Bytes(),
	}
	return nil
}

// argmax returns the index of the greatest value, the first of several.
func argmax(values []float32) int {
	top := 0
	for i, v := range values {
		if v > values[top] {
			top = i
		}
	}
	return top
}
