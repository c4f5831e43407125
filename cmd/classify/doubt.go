package main

import (
	"errors"
	"fmt"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/confidence"
)

// doubtFlags are about answers that may be wrong.
type doubtFlags struct {
	MinConfidence float64  `help:"${minConfidence}" default:"0" placeholder:"P"`
	Coverage      *float64 `help:"${coverage}" placeholder:"SHARE"`
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

// options returns those of the library.
func (f *doubtFlags) options() []polyphon.Option {
	options := []polyphon.Option{polyphon.WithMinConfidence(f.MinConfidence)}
	if f.Coverage != nil {
		options = append(options, polyphon.WithCoverage(*f.Coverage))
	}
	return options
}
