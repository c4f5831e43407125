package training

import (
	"cmp"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/atomicfile"
)

// checkpointVersion changes with the fields of checkpoint.
const checkpointVersion = 3

// maxCheckpoint bounds how much of a checkpoint file is read.
const maxCheckpoint = 4 << 30

// checkpoint is the whole state of a run between two epochs. Random numbers need no state: each epoch draws from
// its own generator.
type checkpoint struct {
	Version int
	Config  Config
	Labels  []string
	Data    string // digest of the training data
	Step    int    // optimiser steps done
	Weights state
	Average state       // of the EMA, where there is one
	Moments [][]float32 // of the optimiser
	Best    bestState
	History []Epoch // one for each epoch done
}

// bestState is the best epoch on the validation split.
type bestState struct {
	Epoch         int     // from 1; 0: none yet
	Accuracy, NLL float64 // of the clips alone
	// The same in context, where the run trains with it; the best epoch is the one with the best sum.
	ContextAccuracy, ContextNLL float64
	Model                       []byte // as in its file
}

// save writes c to path, whole or not at all.
func (c *checkpoint) save(path string) error {
	return atomicfile.Write(path, func(w io.Writer) error { return gob.NewEncoder(w).Encode(c) })
}

// checkpoint returns the state after the latest epoch.
func (t *Trainer) checkpoint() *checkpoint {
	c := &checkpoint{
		Version: checkpointVersion, Config: t.cfg, Labels: t.labels, Data: t.digest,
		Step: t.step, Weights: t.net.state(), Moments: t.opt.state(), Best: t.best, History: t.history,
	}
	if t.ema != nil {
		c.Average = t.ema.average.state()
	}
	return c
}

// resume continues from the checkpoint at path: the run then gives what it would have given without the interruption.
// Where there is no such file, it does nothing. A file of another run gives an error wrapping ErrCheckpoint.
func (t *Trainer) resume(path string) error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	defer f.Close()
	var c checkpoint
	if err := gob.NewDecoder(io.LimitReader(f, maxCheckpoint)).Decode(&c); err != nil {
		return fmt.Errorf("%w: %s is not a checkpoint: %v", ErrCheckpoint, path, err)
	}
	if c.Version != checkpointVersion {
		return fmt.Errorf("%w: %s has version %d, this program writes %d",
			ErrCheckpoint, path, c.Version, checkpointVersion)
	}
	c.Config.Loss = cmp.Or(c.Config.Loss, LossLS) // there was no other once
	if err := c.matches(t.cfg, t.labels, t.digest); err != nil {
		return err
	}
	err = errors.Join(t.net.setState(c.Weights), t.opt.setState(c.Moments))
	if t.ema != nil {
		err = errors.Join(err, t.ema.average.setState(c.Average))
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %v", ErrCheckpoint, path, err)
	}
	t.step, t.best, t.history = c.Step, c.Best, c.History
	return nil
}

// matches returns an error when c was not made by a run of the same configuration on the same data.
func (c *checkpoint) matches(cfg Config, labels []string, data string) error {
	a, b := reflect.ValueOf(c.Config), reflect.ValueOf(cfg)
	for i := range a.NumField() {
		if was, is := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(was, is) {
			return fmt.Errorf("%w: the checkpoint was made with other settings: %s was %v and is now %v",
				ErrCheckpoint, a.Type().Field(i).Name, was, is)
		}
	}
	if !slices.EqualFunc(c.Labels, labels, datasets.SameLabel) {
		return fmt.Errorf("%w: the checkpoint was made for the labels %v, the data has %v",
			ErrCheckpoint, c.Labels, labels)
	}
	if c.Data != data {
		return fmt.Errorf("%w: the training data changed since the checkpoint was made", ErrCheckpoint)
	}
	return nil
}
