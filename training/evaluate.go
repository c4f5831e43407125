package training

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
)

// Class is one label's part of a Report. Precision and Recall are in [0, 1], and 0 where nothing was counted.
type Class struct {
	Label     string  `json:"label"`
	Clips     int     `json:"clips"` // with this label in truth
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

// Report is a model's result on a set of clips.
type Report struct {
	Accuracy  float64         `json:"accuracy"` // percent
	NLL       float64         `json:"nll"`      // mean negative log likelihood of the true label, in nats
	Clips     int             `json:"clips"`    // evaluated
	Skipped   int             `json:"skipped"`  // unreadable
	Classes   []Class         `json:"classes"`
	Confusion [][]int         `json:"confusion"` // clips by [true label][answer], in the order of Classes
	Failures  []datasets.Skip `json:"-"`         // the unreadable clips
}

// Evaluate runs a compiled model over the loader's clips, in order and unaugmented. The loader's rows must not
// be normalised, since the plan does that. temperature divides the logits before the softmax.
func Evaluate(ctx context.Context, plan *polynet.Plan, l *datasets.Loader, labels []string, temperature float64) (*Report, error) {
	return evaluate(plan, l, l.Ordered(ctx), labels, temperature)
}

// ContextSNR is the signal-to-noise ratio, in dB, of the noise in which runs evaluate clips in context.
const ContextSNR = 20

// EvaluateInNoise is Evaluate with each clip in noise; see datasets.Loader.InNoise.
func EvaluateInNoise(ctx context.Context, plan *polynet.Plan, l *datasets.Loader, snr float64, labels []string, temperature float64) (*Report, error) {
	return evaluate(plan, l, l.InNoise(ctx, snr), labels, temperature)
}

// EvaluateInContext is EvaluateInNoise with each clip between others; see datasets.Loader.InContext.
func EvaluateInContext(ctx context.Context, plan *polynet.Plan, l *datasets.Loader, snr float64, labels []string, temperature float64) (*Report, error) {
	return evaluate(plan, l, l.InContext(ctx, snr), labels, temperature)
}

func evaluate(plan *polynet.Plan, l *datasets.Loader, batches iter.Seq2[*datasets.Batch, error], labels []string, temperature float64) (*Report, error) {
	tally := newTally(len(labels))
	var session *polynet.Session
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		if session == nil {
			session = plan.Session(l.Batch(), b.Frames)
			session.Pool(b.Lead, b.Window)
			defer session.Close()
		}
		logits := session.Run(b.X, b.B)
		for i, label := range b.Labels {
			tally.add(label, logits[i*len(labels):(i+1)*len(labels)], temperature)
		}
	}
	if tally.clips == 0 {
		return nil, fmt.Errorf("%w: no clip could be evaluated", datasets.ErrNoData)
	}
	r := tally.report(labels)
	r.Failures = l.Skipped()
	r.Skipped = len(r.Failures)
	return r, nil
}

// Record notes the report's accuracy and NLL on a split in the model's provenance.
func Record(m *polynet.Model, split string, r *Report) {
	record(m, split+"_accuracy", r.Accuracy)
	record(m, split+"_nll", r.NLL)
	record(m, split+"_clips", float64(r.Clips))
}

// record notes a figure, or that there is none: a polynomial that diverges on one clip has no NLL.
func record(m *polynet.Model, name string, v float64) {
	if m.Provenance.Metrics == nil {
		m.Provenance.Metrics = map[string]float64{}
	}
	if delete(m.Provenance.Metrics, name); v-v == 0 {
		m.Provenance.Metrics[name] = v
	}
}

// tally counts answers.
type tally struct {
	clips, right int
	nll          float64
	confusion    [][]int
}

func newTally(classes int) *tally {
	t := &tally{confusion: make([][]int, classes)}
	for i := range t.confusion {
		t.confusion[i] = make([]int, classes)
	}
	return t
}

func (t *tally) add(label int, logits []float32, temperature float64) {
	best, top := 0, float64(logits[0])
	for c, v := range logits {
		if float64(v) > top {
			best, top = c, float64(v)
		}
	}
	var sum float64
	for _, v := range logits {
		sum += math.Exp((float64(v) - top) / temperature)
	}
	t.nll += math.Log(sum) - (float64(logits[label])-top)/temperature
	t.confusion[label][best]++
	t.clips++
	if best == label {
		t.right++
	}
}

func (t *tally) report(labels []string) *Report {
	r := &Report{
		Accuracy:  100 * float64(t.right) / float64(t.clips),
		NLL:       t.nll / float64(t.clips),
		Clips:     t.clips,
		Confusion: t.confusion,
	}
	for i, label := range labels {
		answered := 0
		c := Class{Label: label}
		for j := range labels {
			c.Clips += t.confusion[i][j]
			answered += t.confusion[j][i]
		}
		if c.Clips > 0 {
			c.Recall = float64(t.confusion[i][i]) / float64(c.Clips)
		}
		if answered > 0 {
			c.Precision = float64(t.confusion[i][i]) / float64(answered)
		}
		r.Classes = append(r.Classes, c)
	}
	return r
}
