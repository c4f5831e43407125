package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/alecthomas/kong"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// foldsFlag is --folds, with a number or without.
type foldsFlag struct {
	given bool
	dealt int // folds to make; 0: the folder has folds
}

// IsBool has kong take the flag without a value.
func (*foldsFlag) IsBool() bool { return true }

// Decode takes --folds, --folds=N and --folds N.
func (f *foldsFlag) Decode(ctx *kong.DecodeContext) error {
	f.given = true
	token := ctx.Scan.Peek()
	n, err := strconv.Atoi(fmt.Sprint(token.Value))
	switch {
	case err == nil && n >= 2:
		ctx.Scan.Pop()
		f.dealt = n
	case err == nil || token.Type == kong.FlagValueToken:
		return fmt.Errorf("%v: the number of folds is at least 2", token.Value)
	}
	return nil
}

// crossValidate trains on all folds but one, for each of them, and measures the models on the clips that they were not
// trained on.
func (r *fitRun) crossValidate(ctx context.Context) (found crossed, err error) {
	made, err := r.plan(ctx, 0)
	if err != nil {
		return found, err
	}
	folds, dealt := made.set.Folds, r.Folds.dealt
	switch {
	case len(folds) == 0:
		return found, usageError("--folds: %s has no folders fold1, fold2 ...; --folds=5 makes five folds of it", r.Data)
	case dealt > 0 && dealt != len(folds):
		return found, usageError("--folds=%d: %s has %d folds", dealt, r.Data, len(folds))
	}
	if err := made.print(r.s.Err); err != nil {
		return found, err
	}
	r.notes = io.Discard
	for _, fold := range folds { // before hours of training
		if _, err := r.openData(fold, false); err != nil {
			return found, fmt.Errorf("with fold %d held out: %w; put clips of each class into two folds or more", fold, err)
		}
	}
	for _, fold := range folds {
		safe.Fprintf(r.s.Err, "train: fold %d is held out\n", fold)
		if made, err = r.plan(ctx, fold); err != nil {
			return found, err
		}
		m, err := r.train(ctx, made, r.foldCheckpoint(fold), io.Discard, nil)
		if err != nil {
			return found, err
		}
		report, err := r.measureTest(ctx, m, made.set)
		if err != nil {
			return found, err
		}
		found.accuracies = append(found.accuracies, report.Accuracy)
		found.balanced = append(found.balanced, report.Balanced())
		found.clips += report.Clips
		safe.Fprintf(reportTo(r.s, r.Out), "fold %d: %s %% of %d clips\n", fold, percent(report.Accuracy, report.Clips),
			report.Clips)
	}
	safe.Fprintf(reportTo(r.s, r.Out), "%s\n", found)
	for _, fold := range folds {
		if checkpoint := r.foldCheckpoint(fold); checkpoint != "" {
			os.Remove(checkpoint)
		}
	}
	return found, nil
}

// foldCheckpoint returns the path of a fold's checkpoint.
func (c *fitCmd) foldCheckpoint(fold int) string {
	if c.checkpoint() == "" {
		return ""
	}
	return fmt.Sprintf("%s.fold%d.checkpoint", c.Out, fold)
}

// measureTest measures a model on the test clips.
func (r *fitRun) measureTest(ctx context.Context, model *polynet.Model, set *datasets.Set) (*training.Report, error) {
	m, err := newMeasurer(model, r.dev.Trainer, calibrationBatch)
	if err != nil {
		return nil, err
	}
	defer m.close()
	items := set.Split(datasets.Test)
	loader, err := m.loader(items, set.Noise, r.Training.Threads, datasets.Context{})
	if err != nil {
		return nil, err
	}
	report, _, err := m.run(counted(r.s.Err, "test clips", len(items), loader.Ordered(ctx)))
	return report, err
}

// crossed is the result of cross-validation, in percent.
type crossed struct {
	accuracies, balanced []float64 // by fold
	clips                int
}

// String returns mean and spread.
func (c crossed) String() string {
	mean, deviation := meanAndDeviation(c.accuracies)
	balanced, _ := meanAndDeviation(c.balanced)
	return fmt.Sprintf("cross-validation, %d folds, %d clips: accuracy %.1f %%, standard deviation of the folds %.1f "+
		"(%.1f to %.1f); mean recall of the labels %.1f %%", len(c.accuracies), c.clips, mean, deviation,
		slices.Min(c.accuracies), slices.Max(c.accuracies), balanced)
}

// record notes the result in a model.
func (c crossed) record(m *polynet.Model) {
	if len(c.accuracies) > 0 {
		mean, deviation := meanAndDeviation(c.accuracies)
		metrics := m.Provenance.Metrics
		metrics["cross_accuracy"], metrics["cross_deviation"], metrics["cross_clips"] = mean, deviation, float64(c.clips)
	}
}

// meanAndDeviation returns the mean of values and their standard deviation, that of the population they are drawn from.
func meanAndDeviation(values []float64) (mean, deviation float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		deviation += (v - mean) * (v - mean) / float64(max(len(values)-1, 1))
	}
	return mean, math.Sqrt(deviation)
}
