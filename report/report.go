// Package report writes what was measured of a model as a folder: one page to look at, which needs no network, and the
// pictures and numbers behind it as PNG, SVG and CSV files.
package report

import (
	"errors"
	"fmt"
	"time"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// ErrFolder is wrapped by errors about the folder that a report is to be written to.
var ErrFolder = errors.New("the report cannot be written")

// MaxWorst is how many errors a report shows at most.
const MaxWorst = 200

// Input is what a report is made of.
type Input struct {
	Model *polynet.Model
	Name  string // of the model, as it is shown
	Data  string // of the recordings, as it is shown
	Split string // of them
	Made  time.Time

	Raw     calibrate.Logits    // of the clips, before calibration; at least one
	Names   []string            // of the clips, as they are shown
	Notes   []string            // sentences about the measurement, such as how many clips could not be read
	Figures [][]string          // the table of metrics with intervals, its head first
	Field   func(string) string // makes a name or a label safe for a field of a CSV file

	History       []training.Epoch // of the model's training; empty: there is none
	HistorySource string           // where it is from, or why there is none

	Worst   int                               // how many errors are shown, 0 to MaxWorst
	Samples func(clip int) ([]float32, error) // of the clip's window, at the model's rate
	Network *training.InputGradient           // of Model
}

// check returns an error for an Input of which no report can be made.
func (in *Input) check() error {
	if err := in.Raw.Check(); err != nil {
		return err
	}
	if in.Raw.Classes != len(in.Model.Labels) || in.Raw.Len() != len(in.Names) {
		return fmt.Errorf("report: %d names of %d clips, %d labels of %d classes",
			len(in.Names), in.Raw.Len(), len(in.Model.Labels), in.Raw.Classes)
	}
	if in.Worst < 0 || in.Worst > MaxWorst {
		return fmt.Errorf("report: %d errors, 0 to %d are possible", in.Worst, MaxWorst)
	}
	return nil
}

// Write writes the report as the folder at path, whole or not at all, and returns the bytes of its page, index.html.
// CheckFolder says which folders may be there before, and what force does.
func Write(path string, in Input, force bool) (size int, err error) {
	if err := in.check(); err != nil {
		return 0, err
	}
	err = writeFolder(path, force, func(f *folder) error {
		p, err := newPage(f, &in)
		if err == nil {
			size, err = p.write(f)
		}
		return err
	})
	return size, err
}
