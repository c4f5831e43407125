// Package enroll makes detectors of words from a few clips, without training: linear layers on the embeddings of a
// network that was trained on other words, fitted against a background of other sound. A detector is an ordinary model,
// to which words are added and from which they are removed.
package enroll

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
	"gorgonia.org/tensor"
)

// ErrWord is wrapped by errors about words that cannot be added or removed, and about clips that say nothing of them.
var ErrWord = errors.New("cannot enroll")

// Word is a word's part of a detector, and what is known of it.
type Word struct {
	Label string
	Clips int     // of which it was made
	Found int     // of these, how many are found by what the others make
	Other int     // clips of other words
	Taken int     // of these, how many are taken for the word, by parts of the background that do not have them
	Near  []Other // words that are taken for it most often

	score     score
	threshold float64 // of the score
	running   float64 // weight of running sound
}

// Other is a word of the background, and how many of its clips are taken for another word.
type Other struct {
	Word         string
	Clips, Taken int
}

// Weights of running sound against all other words, for Fit.
const (
	Running     = 0.3  // for words by themselves
	RunningWake = 0.95 // for wake words
)

// Fit makes a detector of a word. At its threshold, a share of the clips of other words, such as 0.01, is taken for it.
// Running sound has a weight from 0 to 1 in it. Errors wrap ErrWord or calibrate.ErrData.
func Fit(label string, x *Examples, b *Background, share, running float64) (*Word, error) {
	if detect.Background(label) || label == "" {
		return nil, fmt.Errorf("%w: %q is no word", ErrWord, label)
	}
	f, err := newFitter(b, label, running)
	if err != nil {
		return nil, err
	}
	w, clips := &Word{Label: label, running: running}, x.rows
	whole := map[int][]float64{} // the first row of each clip: as it is
	for i, clip := range clips.Truth {
		if whole[clip] == nil {
			whole[clip] = clips.Values[i*clips.Width : (i+1)*clips.Width]
		}
	}
	if w.Clips = len(whole); w.Clips == 0 {
		return nil, fmt.Errorf("%w: no clip of %q could be used", ErrWord, label)
	}
	for left, row := range whole {
		if w.Clips == 1 {
			break
		}
		s, threshold, err := f.fit(meanOf(clips, func(clip int) bool { return clip != left }), share)
		if err != nil {
			return nil, err
		}
		if s.of(row) > threshold {
			w.Found++
		}
	}
	mean := meanOf(clips, func(int) bool { return true })
	if w.score, w.threshold, err = f.fit(mean, share); err != nil {
		return nil, err
	}
	return w, f.count(w, mean)
}

// fit returns the score of a word whose clips have this mean, and its threshold.
func (f *fitter) fit(mean []float64, share float64) (score, float64, error) {
	threshold, err := f.threshold(mean, share)
	if err != nil {
		return score{}, 0, err
	}
	s, err := f.all.scoreOf(mean)
	return s, min(threshold, 1-minGap), err
}

// count counts the clips of other words that are taken for w.
func (f *fitter) count(w *Word, mean []float64) error {
	by := map[string]*Other{}
	err := f.crossScores(mean, func(row int, score float64) {
		class := f.b.Classes[f.b.Rows.Truth[row]]
		if class.Running || detect.Background(class.Name) {
			return
		}
		o := by[class.Name]
		if o == nil {
			o = &Other{Word: class.Name}
			by[class.Name] = o
		}
		o.Clips++
		w.Other++
		if score > w.threshold {
			o.Taken++
			w.Taken++
		}
	})
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name].Taken > 0 {
			w.Near = append(w.Near, *by[name])
		}
	}
	slices.SortStableFunc(w.Near, func(a, b Other) int { return b.Taken*a.Clips - a.Taken*b.Clips })
	return err
}

// Takes reports whether New's model takes a clip with this embedding for the word.
func (w *Word) Takes(row []float64) bool { return w.score.of(row) > w.threshold }

// slope is how much the logit grows with the score, and logit that of a score, against 0 for _unknown_.
func (w *Word) slope() float64              { return certain / (1 - w.threshold) }
func (w *Word) logit(score float64) float64 { return w.slope() * (score - w.threshold) }

// column returns the word's part of the last layer, against logits of 0 for _unknown_.
func (w *Word) column() column {
	slope := w.slope()
	c := column{label: w.Label, bias: float32(-slope * (w.score.offset + w.threshold))}
	for _, v := range w.score.direction {
		c.weight = append(c.weight, float32(slope*v))
	}
	return c
}

// Detector reports whether m is one that Add made: its label _unknown_ has the logit 0 whatever the sound.
func Detector(m *polynet.Model) bool {
	unknown := slices.Index(m.Labels, detect.UnknownLabel)
	head := m.Weights["head.weight"]
	if unknown < 0 || unknown != len(m.Labels)-1 || head == nil || head.Dtype() != tensor.Float32 {
		return false
	}
	for i, v := range head.Data().([]float32) {
		if v != 0 && i%len(m.Labels) == unknown {
			return false
		}
	}
	return m.Weights["head.bias"].Data().([]float32)[unknown] == 0
}

// New returns a detector of w alone on m's network.
func New(m *polynet.Model, w *Word) (*polynet.Model, error) {
	d, err := assemble(m, []column{w.column()})
	if err == nil {
		d.Detection = nil
	}
	return d, err
}

// Add returns a detector of w and of the words of m, if it is one, without those to remove. Of another model it has the
// network alone. An error wraps ErrWord.
func Add(m *polynet.Model, w *Word, remove ...string) (*polynet.Model, error) {
	columns, err := columnsWithout(m, remove)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(columns, func(c column) bool { return datasets.SameLabel(c.label, w.Label) }) {
		return nil, fmt.Errorf("%w: the model has the word %q already; remove it first", ErrWord, w.Label)
	}
	return assemble(m, append(columns, w.column()))
}

// Remove returns a detector without some words. Errors wrap ErrWord: m is no detector, or has not the words, or no
// others.
func Remove(m *polynet.Model, labels ...string) (*polynet.Model, error) {
	kept, err := columnsWithout(m, labels)
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%w: no word would be left in the model", ErrWord)
	}
	return assemble(m, kept)
}

// columnsWithout returns the columns of a detector's other words.
func columnsWithout(m *polynet.Model, labels []string) ([]column, error) {
	if len(labels) > 0 && !Detector(m) {
		return nil, fmt.Errorf("%w: the model was trained, words cannot be removed from it", ErrWord)
	}
	columns := columnsOf(m)
	for _, label := range labels {
		n := len(columns)
		columns = slices.DeleteFunc(columns, func(c column) bool { return datasets.SameLabel(c.label, label) })
		if len(columns) == n {
			return nil, fmt.Errorf("%w: the model has no word %q", ErrWord, label)
		}
	}
	return columns, nil
}

// column is a word in the last layer.
type column struct {
	label  string
	weight []float32
	bias   float32
}

// columnsOf returns those of a detector's words; none where m is no detector.
func columnsOf(m *polynet.Model) (list []column) {
	if !Detector(m) {
		return nil
	}
	head, bias := m.Weights["head.weight"].Data().([]float32), m.Weights["head.bias"].Data().([]float32)
	for i, label := range m.Labels[:len(m.Labels)-1] {
		c := column{label: label, bias: bias[i]}
		for k := i; k < len(head); k += len(m.Labels) {
			c.weight = append(c.weight, head[k])
		}
		list = append(list, c)
	}
	return list
}

// assemble returns the detector with these words on m's network.
func assemble(m *polynet.Model, columns []column) (*polynet.Model, error) {
	var labels []string
	for _, c := range columns {
		labels = append(labels, c.label)
	}
	d := frozen(m, append(labels, detect.UnknownLabel))
	classes := len(d.Labels)
	weight, bias := make([]float32, lastWidth(d.Net)*classes), make([]float32, classes)
	for i, c := range columns {
		bias[i] = c.bias
		for k, v := range c.weight {
			weight[k*classes+i] = v
		}
	}
	setHead(d, weight, bias)
	if Detector(m) && m.Detection != nil {
		own := *m.Detection
		own.Thresholds = maps.Clone(own.Thresholds)
		maps.DeleteFunc(own.Thresholds, func(label string, _ float64) bool { return !slices.Contains(labels, label) })
		d.Detection = &own
	}
	d.Provenance.Epochs, d.Provenance.BestEpoch, d.Provenance.Metrics = 0, 0, nil
	d.Provenance.Parameters = d.Net.Program().Parameters()
	return d, d.Validate()
}
