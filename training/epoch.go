package training

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// mixupStream is what is added to an epoch's number for the generator of its mixup.
const mixupStream uint64 = 1 << 32

// contextSNR is the signal-to-noise ratio, in dB, of the noise in which clips in context are validated.
const contextSNR = 20

// trainEpoch trains on every training clip once.
func (t *Trainer) trainEpoch(ctx context.Context, epoch int) (Epoch, error) {
	if err := t.mine(ctx, epoch); err != nil {
		return Epoch{}, err
	}
	pass := NewPass(t.net, t.random(uint64(epoch)))
	pass.Train, pass.frozen = true, t.options.From != nil && t.cfg.FromNorms
	defer pass.Close()
	rng := t.random(uint64(epoch) + mixupStream)
	p := Progress{Epoch: epoch, Epochs: t.cfg.Epochs, Total: t.train.Len()}
	started, losses, correct, batch := time.Now(), 0.0, 0, 0
	for b, err := range t.train.Epoch(ctx, epoch) {
		if err != nil {
			return Epoch{}, err
		}
		batch++
		loss, n, err := t.trainStep(pass, b, rng, t.cfg.loss(epoch))
		if err != nil {
			return Epoch{}, fmt.Errorf("epoch %d of %d, batch %d of %d: %w",
				epoch, t.cfg.Epochs, batch, t.train.Batches(), err)
		}
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
		Hard: len(t.hard), TrainTime: time.Since(started),
	}, nil
}

// trainStep makes one optimiser step and returns the batch's mean loss and the number of clips classified correctly.
// rng draws its mixup, l is the loss. A loss or a gradient that is not finite gives an error wrapping ErrDiverged; the
// weights are then of no use.
func (t *Trainer) trainStep(
	pass *Pass, b *datasets.Batch, rng *rand.Rand, l device.Loss,
) (loss float64, correct int, err error) {
	classes := t.cfg.Net.Classes
	targets := make([]float32, b.B*classes)
	Targets(targets, b.Labels, classes, t.cfg.smoothing())
	if len(t.teachers) > 0 {
		if err := t.teachers.mix(targets, b, float32(t.cfg.DistillWeight)); err != nil {
			return 0, 0, err
		}
	}
	if t.cfg.Mixup > 0 {
		mixUp(b.X, targets, b.B, t.cfg.Mixup, rng)
	}

	if t.adversary != nil {
		t.adversary.attack(b, targets, l)
	}
	t.net.ZeroGradient()
	x := pass.Input(b.X, b.B, b.Frames)
	pass.pool(b.Lead, b.Window)
	if t.live != nil && b.Frames > b.Window {
		pass.locate = t.live.locate(b)
	}
	logits := t.net.Forward(pass, x)
	t.net.Backward(pass, pass.LossGradient(logits, targets, l))
	if t.cfg.L1 > 0 {
		t.net.addL1(float32(t.cfg.L1))
	}
	clip := math.Inf(1) // which only computes the norm
	if t.cfg.Clip > 0 {
		clip = t.cfg.Clip
	}
	t.net.ClipGradient(clip)
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
	if loss = pass.Loss(); !finite(loss) {
		return 0, 0, fmt.Errorf("%w: the loss is %v", ErrDiverged, loss)
	}
	if norm := float64(download(t.dev, t.net.norm)[0]); !finite(norm) {
		return 0, 0, fmt.Errorf("%w: the gradient's norm is %v", ErrDiverged, norm)
	}
	return loss, correct, nil
}

func finite(v float64) bool { return v-v == 0 }

// checkWeights returns an error wrapping ErrDiverged where a weight is not finite.
func checkWeights(m *polynet.Model, params []*Param) error {
	for _, p := range params {
		for _, v := range floats(m.Weights, p.Name) {
			if !finite(float64(v)) {
				return fmt.Errorf("%w: the weight %s has the value %v", ErrDiverged, p.Name, v)
			}
		}
	}
	return nil
}

// validate completes e with the evaluation of the weights that would be kept, and keeps them when they are the best so
// far: by accuracy, of clips alone and in context together and with labels as even as in training, and by likelihood
// where that is equal. Weights or outputs that are not finite give an error wrapping ErrDiverged.
func (t *Trainer) validate(ctx context.Context, e *Epoch) error {
	started := time.Now()
	m := t.model()
	if err := checkWeights(m, t.net.params); err != nil {
		return err
	}
	network := newEvaluator(t.kept(), t.norm)
	defer network.pass.Close()
	r, err := t.evaluate(network, t.valid.Ordered(ctx))
	if err != nil {
		return err
	}
	e.ValidAccuracy, e.ValidNLL, e.ValidClips = r.Accuracy, r.NLL, r.Clips
	score := r.evened(t.cfg.Balance)
	if t.cfg.Context.Share > 0 {
		if r, err = t.evaluate(network, t.valid.InContext(ctx, contextSNR)); err != nil {
			return err
		}
		e.ContextAccuracy, e.ContextNLL = r.Accuracy, r.NLL
		score += r.evened(t.cfg.Balance)
	}
	e.ValidTime = time.Since(started)
	b := &t.best
	likelier := e.ValidNLL+e.ContextNLL < b.NLL+b.ContextNLL
	better := b.Epoch == 0 || score > b.Score || score == b.Score && likelier
	if e.Best = better || t.cfg.KeepLast; !e.Best {
		return nil
	}
	var file bytes.Buffer
	if err := m.Write(&file); err != nil {
		return err
	}
	*b = bestState{
		Epoch: e.Epoch, Score: score, Accuracy: e.ValidAccuracy, NLL: e.ValidNLL,
		ContextAccuracy: e.ContextAccuracy, ContextNLL: e.ContextNLL, Model: file.Bytes(),
	}
	return nil
}

// evaluate evaluates the network on the validation clips of the batches.
func (t *Trainer) evaluate(network *evaluator, batches iter.Seq2[*datasets.Batch, error]) (*Report, error) {
	done := 0
	r, err := Evaluate(batches, func(b *datasets.Batch) ([]float32, error) {
		done += b.B
		t.options.Observer.report(Validation, done, t.valid.Len())
		return network.logits(b.X, b), nil
	}, t.labels, 1)
	if err == nil && r.Invalid > 0 {
		return nil, fmt.Errorf("%w: its outputs are not finite for %d of %d validation clips",
			ErrDiverged, r.Invalid, r.Clips)
	}
	return r, err
}

// argmax returns the index of the greatest value, the first of several, or -1 where one is not finite.
func argmax(values []float32) int {
	top := 0
	for i, v := range values {
		if !finite(float64(v)) {
			return -1
		}
		if v > values[top] {
			top = i
		}
	}
	return top
}
