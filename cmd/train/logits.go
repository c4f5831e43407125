package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/cmd/internal/safe"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// measurer runs a model over clips, and keeps the logits that its calibration is made of.
type measurer struct {
	model  *polynet.Model
	plan   *inference.Plan // of the model without its calibration
	answer calibrate.Map
	batch  int
}

func newMeasurer(m *polynet.Model, dev device.Device, batch int) (*measurer, error) {
	plan, err := inference.Compile(calibrate.Raw(m), dev)
	if err != nil {
		return nil, modelError(err)
	}
	return &measurer{m, plan, calibrate.Answer(m), plan.BatchSize(batch)}, nil
}

func (m *measurer) close() { m.plan.Close() }

// loader returns a loader of clips, with so much other sound around them.
func (m *measurer) loader(
	items []datasets.Item, noise []datasets.Recording, threads int, context datasets.Context,
) (*datasets.Loader, error) {
	extractor, err := features.New(m.model.Features)
	if err != nil {
		return nil, modelError(err)
	}
	config := datasets.LoaderConfig{
		Extractor: extractor, Window: m.model.Window, Batch: m.batch, Threads: threads, CacheBytes: -1, Context: context,
	}
	if context != (datasets.Context{}) {
		config.CacheBytes = 0 // each clip is read again as a neighbour
	}
	return datasets.NewLoader(items, noise, config)
}

// run evaluates the model, calibrated as it is, on batches of clips. It also returns their logits before calibration.
func (m *measurer) run(batches iter.Seq2[*datasets.Batch, error]) (*training.Report, calibrate.Logits, error) {
	raw := calibrate.Logits{Classes: len(m.model.Labels)}
	var clips *inference.Clips
	defer func() {
		if clips != nil {
			clips.Close()
		}
	}()
	row := make([]float64, raw.Classes)
	report, err := training.Evaluate(batches, func(b *datasets.Batch) ([]float32, error) {
		if clips == nil {
			clips = m.plan.Clips(m.batch, b.Frames)
			clips.Pool(b.Lead, b.Window)
		}
		logits := clips.Run(b.X, b.B)
		raw.Add(logits, b.Labels)
		// The logarithms of probabilities are logits that a softmax turns into these.
		answers := make([]float32, len(logits))
		for i := 0; i < len(logits); i += raw.Classes {
			for c := range row {
				row[c] = float64(logits[i+c])
			}
			m.answer(row)
			for c, p := range row {
				if p == 0 {
					p = math.SmallestNonzeroFloat64
				}
				answers[i+c] = float32(math.Log(p))
			}
		}
		return answers, nil
	}, m.model.Labels, 1)
	if errors.Is(err, training.ErrDiverged) {
		err = modelError(err)
	}
	return report, raw, err
}

// windows returns the logits, before calibration, of each window of the sounds in folders, one after the other. What
// cannot be read is named on the console.
func (m *measurer) windows(ctx context.Context, folders []string, console io.Writer) (rows [][]float64, err error) {
	n, rate, classes := m.model.WindowSamples(), m.model.Features.Rate, len(m.model.Labels)
	clips := m.plan.Clips(1, m.model.Features.Frames(n))
	defer clips.Close()
	samples := make([]float32, n)
	for _, folder := range folders {
		for f, err := range audio.Files(folder) {
			if err != nil {
				return nil, err
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c, err := audio.ReadFile(f.Path, rate)
			if err != nil {
				safe.Fprintf(console, "train: skipped %v\n", err)
				continue
			}
			for start := 0; start+n <= len(c.Samples); start += n {
				copy(samples, c.Samples[start:])
				l := calibrate.Logits{Classes: classes}
				if l.Add(clips.RunSamples(samples, 1), []int{0}) == 0 {
					rows = append(rows, l.Values)
				}
			}
		}
	}
	return rows, nil
}
