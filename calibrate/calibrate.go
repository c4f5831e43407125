// Package calibrate measures how far a classifier's probabilities agree with how often it is right, and makes them
// agree better: temperature and vector scaling, prediction sets of a stated coverage, and a score for sounds of no
// known class. Everything is fitted on one part of the data and measured on another; arithmetic is float64.
package calibrate

import (
	"errors"
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/floats"
)

// ErrData is wrapped by errors about logits and labels that nothing can be fitted to or measured on.
var ErrData = errors.New("cannot calibrate")

// Logits are a classifier's outputs for clips whose classes are known.
type Logits struct {
	Classes int
	Values  []float64 // (clips, Classes), before the softmax
	Truth   []int     // of each clip, its class
}

// Len returns the number of clips.
func (l Logits) Len() int { return len(l.Truth) }

// Row returns the logits of clip i.
func (l Logits) Row(i int) []float64 { return l.Values[i*l.Classes : (i+1)*l.Classes] }

// Check returns an error that wraps ErrData for logits that are not (clips, Classes), not finite, or of no clip, and
// for classes out of range.
func (l Logits) Check() error {
	switch {
	case l.Classes < 2:
		return fmt.Errorf("%w: %d classes, at least 2 are needed", ErrData, l.Classes)
	case l.Len() == 0:
		return fmt.Errorf("%w: no clips", ErrData)
	case len(l.Values) != l.Len()*l.Classes:
		return fmt.Errorf("%w: %d logits for %d clips of %d classes", ErrData, len(l.Values), l.Len(), l.Classes)
	}
	for i, v := range l.Values {
		if v-v != 0 {
			return fmt.Errorf("%w: the logits of clip %d have the value %v", ErrData, i/l.Classes, v)
		}
	}
	for i, t := range l.Truth {
		if t < 0 || t >= l.Classes {
			return fmt.Errorf("%w: clip %d has class %d of %d", ErrData, i, t, l.Classes)
		}
	}
	return nil
}

// Probabilities returns the softmax of the logits divided by a temperature.
func (l Logits) Probabilities(temperature float64) Probabilities {
	p := Probabilities{Classes: l.Classes, Values: append([]float64(nil), l.Values...), Truth: l.Truth}
	for i := range p.Truth {
		polynet.Softmax(p.Row(i), temperature)
	}
	return p
}

// Probabilities are a classifier's probabilities for clips whose classes are known.
type Probabilities Logits

// Len returns the number of clips.
func (p Probabilities) Len() int { return len(p.Truth) }

// Row returns the probabilities of clip i.
func (p Probabilities) Row(i int) []float64 { return Logits(p).Row(i) }

// top returns the likeliest class of clip i, the first among equals, and its probability.
func (p Probabilities) top(i int) (class int, confidence float64) {
	row := p.Row(i)
	class = floats.MaxIdx(row)
	return class, row[class]
}

// take returns the clips of those numbers, which may repeat.
func (p Probabilities) take(clips []int) Probabilities {
	q := Probabilities{
		Classes: p.Classes, Values: make([]float64, 0, len(clips)*p.Classes), Truth: make([]int, 0, len(clips)),
	}
	for _, i := range clips {
		q.Values, q.Truth = append(q.Values, p.Row(i)...), append(q.Truth, p.Truth[i])
	}
	return q
}

// Raw returns m without its temperature and calibration: a model whose logits are what they are fitted to.
func Raw(m *polynet.Model) *polynet.Model {
	raw := *m
	raw.Temperature, raw.Calibration = 1, nil
	return &raw
}

// scale applies the scaling of m's calibration, if it has one.
func scale(m *polynet.Model, row []float64) {
	if s := m.Calibrated().Scaling; s != nil {
		s.Apply(row)
	}
}

// Answer returns the Map that m's temperature and calibration make of Raw(m)'s logits.
func Answer(m *polynet.Model) Map {
	return func(row []float64) {
		scale(m, row)
		m.Probabilities(row)
	}
}

// Add adds rows of logits of clips, (clips, Classes), but not those that are not finite. It returns how many these are.
func (l *Logits) Add(logits []float32, truth []int) (left int) {
	for i, class := range truth {
		row := logits[i*l.Classes : (i+1)*l.Classes]
		if slices.ContainsFunc(row, func(v float32) bool { return v-v != 0 }) {
			left++
			continue
		}
		for _, v := range row {
			l.Values = append(l.Values, float64(v))
		}
		l.Truth = append(l.Truth, class)
	}
	return left
}
