package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// measurer runs a model over clips, and keeps the logits that its calibration is made of.
type measurer struct {
	model  *polynet.Model
	plan   *inference.Plan // of the model without its calibration
	answer calibrate.Map
	batch  int
	items  []datasets.Item // of the latest run, one for each of its logits

	// embeddings, where it is not nil, receives those of the clips whose logits run returns, and of windows.
	embeddings *calibrate.Embeddings
}

func newMeasurer(m *polynet.Model, dev device.Device, batch int) (*measurer, error) {
	plan, err := inference.Compile(calibrate.Raw(m), dev)
	if err != nil {
		return nil, modelError(err)
	}
	return &measurer{model: m, plan: plan, answer: calibrate.Answer(m), batch: plan.BatchSize(batch)}, nil
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
	m.items = nil
	report, err := training.Evaluate(batches, func(b *datasets.Batch) ([]float32, error) {
		if clips == nil {
			clips = m.plan.Clips(m.batch, b.Frames)
			clips.Pool(b.Lead, b.Window)
		}
		logits := clips.Run(b.X, b.B)
		for i, label := range b.Labels {
			if m.add(&raw, clips, logits, b.B, i, label) {
				m.items = append(m.items, b.Items[i])
			}
		}
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

// add adds the logits of clip i of a batch that was run, if they are finite, and reports whether they are.
func (m *measurer) add(
	raw *calibrate.Logits, clips *inference.Clips, logits []float32, batch, i, label int,
) (finite bool) {
	if raw.Add(logits[i*raw.Classes:(i+1)*raw.Classes], []int{label}) > 0 {
		return false
	}
	if e := m.embeddings; e != nil {
		all := clips.Embeddings(batch)
		e.Width = len(all) / batch
		for _, v := range all[i*e.Width : (i+1)*e.Width] {
			e.Values = append(e.Values, float64(v))
		}
		e.Truth = append(e.Truth, label)
	}
	return true
}

// windows returns the logits, before calibration, of each window of the sounds in folders, one after the other. What
// cannot be read is named on the console.
func (m *measurer) windows(ctx context.Context, folders []string, console io.Writer) (rows [][]float64, err error) {
	n, rate := m.model.WindowSamples(), m.model.Features.Rate
	raw := calibrate.Logits{Classes: len(m.model.Labels)}
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
				m.add(&raw, clips, clips.RunSamples(samples, 1), 1, 0, 0)
			}
		}
	}
	for i := range raw.Len() {
		rows = append(rows, raw.Row(i))
	}
	return rows, nil
}
