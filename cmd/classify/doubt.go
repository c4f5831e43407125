package main

import (
	"errors"
	"fmt"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/internal/records"
)

// doubtFlags are about answers that may be wrong.
type doubtFlags struct {
	MinConfidence float64  `help:"${minConfidence}" default:"0" placeholder:"P"`
	Coverage      *float64 `help:"${coverage}" placeholder:"SHARE"`
	WatchDrift    bool     `help:"${watchDrift}"`
}

// check returns an error for values that make no sense, live or for recordings.
func (f *doubtFlags) check(live bool) error {
	first, last := confidence.Levels[0], confidence.Levels[len(confidence.Levels)-1]
	switch p, share := f.MinConfidence, f.Coverage; {
	case !(p >= 0 && p <= 1):
		return fmt.Errorf("--min-confidence %g is no probability: 0 to 1", p)
	case share != nil && !(*share >= first && *share <= last):
		return fmt.Errorf("--coverage %g: shares from %g to %g are possible", *share, first, last)
	case share != nil && live:
		return errors.New("--coverage is about recordings, and --stream reports events, which have one label")
	}
	return nil
}

// options returns those of the library, and what they watch for drift with, nil without --watch-drift.
func (f *doubtFlags) options() ([]polyphon.Option, *driftWatch) {
	options := []polyphon.Option{polyphon.WithMinConfidence(f.MinConfidence)}
	if f.Coverage != nil {
		options = append(options, polyphon.WithCoverage(*f.Coverage))
	}
	if !f.WatchDrift {
		return options, nil
	}
	w := new(driftWatch)
	return append(options, polyphon.WithDrift(&w.drift)), w
}

// driftWatch reports drift. nil reports none.
type driftWatch struct {
	drift    polyphon.Drift
	reported int // drifts
}

// news returns a message about a drift that was not reported before, or "".
func (w *driftWatch) news() string {
	if w == nil {
		return ""
	}
	s := w.drift.State()
	if s.Drifts == w.reported {
		return ""
	}
	w.reported = s.Drifts
	return fmt.Sprintf("drift: the sounds are no longer like those that the model was calibrated on "+
		"(found with input %d): probabilities may be wrong; listen to some, and train or calibrate with such", s.Since)
}

func (w *driftWatch) summary() *records.DriftSummary {
	if w == nil {
		return nil
	}
	s := w.drift.State()
	return &records.DriftSummary{Inputs: s.Inputs, Drifts: s.Drifts, Since: s.Since, Drifted: s.Drifted}
}
