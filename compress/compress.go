// Package compress turns trained models into smaller or simpler ones. Each Pass takes a model and gives another, an
// ordinary model file's, which everything that runs, trains or exports models accepts.
package compress

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// ErrImpossible marks settings of a pass that no model of these blocks meets.
var ErrImpossible = errors.New("cannot compress")

// Pass changes models.
type Pass interface {
	Name() string // as in the flag of train compress
	// Apply returns the changed model and what was done; m stays as it is. The caller adds the report to the model's
	// provenance (Record). ctx ends it.
	Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error)
}

// Report is what a pass did.
type Report struct {
	Done  string   // one line, for the provenance
	Lines []string // more of it, for people
	Units *Units   // of Exact
}

// Data is what passes look at besides the model.
type Data struct {
	Device device.Trainer
	// Rows are the features of Clips training clips of the model's window, (Clips, Frames, mels), not normalised.
	Rows          []float32
	Clips, Frames int
	Labels        []int // of these clips
	// Every yields the features of all clips of the data, not normalised, in batches of whole clips of Frames, which are
	// valid until the next: those on which a model that is said to be equivalent has to be so. nil: Rows are all.
	Every iter.Seq2[[]float32, error]
	// Accuracy returns how many percent of the validation clips m classifies right.
	Accuracy func(ctx context.Context, m *polynet.Model) (float64, error)
}

// checkFloat returns an error that wraps ErrImpossible for models with narrow weights.
func checkFloat(m *polynet.Model) error {
	if n := m.Net.Narrow; n != nil {
		return fmt.Errorf("%w: the weights are %s; this comes before they are made narrow", ErrImpossible, n.Weights)
	}
	return nil
}

// Record returns m with a line about a pass in its provenance, and its number of parameters. m stays as it is.
func Record(m *polynet.Model, pass Pass, r Report) *polynet.Model {
	recorded := *m
	p := &recorded.Provenance
	p.Compressed = append(p.Compressed[:len(p.Compressed):len(p.Compressed)], fmt.Sprintf("%s: %s", pass.Name(), r.Done))
	p.Parameters = m.Net.Program().Parameters()
	return &recorded
}
