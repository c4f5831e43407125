package training

import (
	"bytes"
	"fmt"
	"time"

	"github.com/polyphon/polyphon/polynet"
)

// checkpoint returns the state behind the latest epoch.
func (t *Trainer) checkpoint() *checkpoint {
	c := &checkpoint{
		Version: checkpointVersion, Config: t.cfg, Labels: t.set.Labels, Data: t.digest,
		Step: t.step, Weights: t.net.State(), Moments: t.opt.State(), Best: t.best, History: t.history,
	}
	if t.ema != nil {
		c.Average = t.ema.State()
	}
	return c
}

// restore is checkpoint's reverse.
func (t *Trainer) restore(c *checkpoint) error {
	if err := t.net.SetState(c.Weights); err != nil {
		return err
	}
	if err := t.opt.SetState(c.Moments); err != nil {
		return err
	}
	if t.ema != nil {
		if err := t.ema.SetState(c.Average); err != nil {
			return err
		}
	}
	t.step, t.best, t.history = c.Step, c.Best, c.History
	return nil
}

// model returns the model of the present weights: the average, where there is one.
func (t *Trainer) model() *polynet.Model {
	weights := t.net.Weights
	if t.ema != nil {
		weights = t.ema.Weights
	}
	return &polynet.Model{
		Features: t.cfg.Features, Norm: t.norm, Window: t.cfg.Window, Net: t.cfg.Net,
		Labels: t.set.Labels, Temperature: 1, Weights: weights(),
	}
}

// bestModel returns the best epoch's model with what training knows of its provenance.
func (t *Trainer) bestModel() (*polynet.Model, error) {
	m, err := polynet.Read(bytes.NewReader(t.best.Model))
	if err != nil {
		return nil, fmt.Errorf("%w: the best model in the checkpoint: %v", ErrCheckpoint, err)
	}
	m.Provenance = polynet.Provenance{
		Data: t.digest, Seed: t.cfg.Seed, Epochs: t.cfg.Epochs, BestEpoch: t.best.Epoch,
		Created: time.Now().UTC().Format(time.RFC3339), Parameters: t.cfg.Net.Parameters(),
	}
	record(m, "valid_accuracy", t.best.Accuracy)
	record(m, "valid_nll", t.best.NLL)
	if t.cfg.Context.Share > 0 {
		record(m, "valid_context_accuracy", t.best.ContextAccuracy)
		record(m, "valid_context_nll", t.best.ContextNLL)
	}
	return m, nil
}
