package training

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
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
	Accuracy float64 `json:"accuracy"` // percent
	NLL      float64 `json:"nll"`      // mean negative log likelihood of the true label, in nats
	Clips    int     `json:"clips"`    // evaluated
	// Invalid are the clips for which the model's outputs are not finite. They count as classified wrongly, but are
	// neither in NLL nor in Confusion nor in Precision.
	Invalid   int     `json:"invalid"`
	Skipped   int     `json:"skipped"` // unreadable; set by the caller of Evaluate, from datasets.Loader.Skipped
	Classes   []Class `json:"classes"`
	Confusion [][]int `json:"confusion"` // clips by [true label][predicted label], in the order of Classes
}

// Forward returns the logits of a batch, (b.B, classes), from b.X, which is not normalised. They are averaged over
// b.Window frames after the first b.Lead ones. They are valid until the next call.
type Forward func(b *datasets.Batch) ([]float32, error)

// Evaluate runs a model over batches, as of a datasets.Loader's Ordered, InNoise or InContext without a Norm.
// temperature divides the logits before the softmax. No clip gives an error wrapping datasets.ErrNoData, finite outputs
// for none of them one wrapping ErrDiverged.
func Evaluate(
	batches iter.Seq2[*datasets.Batch, error], forward Forward, labels []string, temperature float64,
) (*Report, error) {
	r := newReport(labels)
	for b, err := range batches {
		if err != nil {
			return nil, err
		}
		logits, err := forward(b)
		if err != nil {
			return nil, err
		}
		for i, label := range b.Labels {
			r.count(label, logits[i*len(labels):(i+1)*len(labels)], temperature)
		}
	}
	switch r.Clips {
	case 0:
		return nil, fmt.Errorf("%w: no clip could be evaluated", datasets.ErrNoData)
	case r.Invalid:
		return nil, fmt.Errorf("%w: its outputs are not finite for %d of %[2]d clips", ErrDiverged, r.Clips)
	}
	r.finish()
	return r, nil
}

func newReport(labels []string) *Report {
	r := &Report{Confusion: make([][]int, len(labels))}
	for i, label := range labels {
		r.Classes = append(r.Classes, Class{Label: label})
		r.Confusion[i] = make([]int, len(labels))
	}
	return r
}

// count adds one clip. Until finish, NLL is a sum.
func (r *Report) count(label int, logits []float32, temperature float64) {
	r.Clips++
	r.Classes[label].Clips++
	predicted := argmax(logits)
	if predicted < 0 {
		r.Invalid++
		return
	}
	top, sum := float64(logits[predicted]), 0.0
	for _, v := range logits {
		sum += math.Exp((float64(v) - top) / temperature)
	}
	r.NLL += math.Log(sum) - (float64(logits[label])-top)/temperature
	r.Confusion[label][predicted]++
}

// finish computes the means and the classes' figures.
func (r *Report) finish() {
	correct := 0
	for i := range r.Classes {
		c, predicted, hits := &r.Classes[i], 0, r.Confusion[i][i]
		for j := range r.Classes {
			predicted += r.Confusion[j][i]
		}
		if c.Clips > 0 {
			c.Recall = float64(hits) / float64(c.Clips)
		}
		if predicted > 0 {
			c.Precision = float64(hits) / float64(predicted)
		}
		correct += hits
	}
	r.Accuracy, r.NLL = 100*float64(correct)/float64(r.Clips), r.NLL/float64(r.Clips-r.Invalid)
}

// Balanced returns the mean recall, in percent, of the labels that have clips.
func (r *Report) Balanced() float64 { return r.evened(1) }

// evened returns the accuracy, in percent, where a label with n clips counts like n^(1-balance) of them: as often as
// datasets.LoaderConfig.Balance shows it.
func (r *Report) evened(balance float64) float64 {
	sum, weights := 0.0, 0.0
	for _, c := range r.Classes {
		if c.Clips > 0 {
			weight := math.Pow(float64(c.Clips), 1-balance)
			sum, weights = sum+weight*c.Recall, weights+weight
		}
	}
	return 100 * sum / weights
}

// Record notes the report's accuracy and NLL on a split in the model's provenance.
func Record(m *polynet.Model, split string, r *Report) {
	record(m, split+"_accuracy", r.Accuracy)
	record(m, split+"_nll", r.NLL)
	record(m, split+"_clips", float64(r.Clips))
}

// record notes a figure, or that there is none, where it is not finite.
func record(m *polynet.Model, name string, v float64) {
	if m.Provenance.Metrics == nil {
		m.Provenance.Metrics = map[string]float64{}
	}
	if delete(m.Provenance.Metrics, name); finite(v) {
		m.Provenance.Metrics[name] = v
	}
}

// evaluator runs a network on rows that are not normalised, with its running statistics.
type evaluator struct {
	net    *Network
	norm   features.Norm
	pass   *Pass
	rows   []float32 // normalised
	values []float32 // logits
}

func newEvaluator(n *Network, norm features.Norm) *evaluator {
	return &evaluator{net: n, norm: norm, pass: NewPass(n, nil)}
}

// logits returns the logits of b's clips, (b.B, classes), for their rows. They are valid until the next call.
func (e *evaluator) logits(rows []float32, b *datasets.Batch) []float32 {
	logits := e.run(rows, b, nil)
	e.values = slices.Grow(e.values[:0], logits.Count()*logits.Cols)[:logits.Count()*logits.Cols]
	e.net.dev.Download(e.values, logits.Data.Slice(0, len(e.values)))
	return e.values
}

// run runs the network on b's clips, for their rows. locate, which may be nil, is called with the rows before the mean.
func (e *evaluator) run(
	rows []float32, b *datasets.Batch, locate func(p *Pass, x Activation, stride int) []int,
) device.View {
	e.rows = append(e.rows[:0], rows...)
	e.norm.Apply(e.rows)
	x := e.pass.Input(e.rows, b.B, b.Frames)
	e.pass.pool(b.Lead, b.Window)
	e.pass.locate = locate
	return e.net.Forward(e.pass, x)
}
