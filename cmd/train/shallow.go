package main

import "github.com/polyphon/polyphon/compress"

// shallowFlags are those of the pass that approximates a network by one of two hidden layers.
type shallowFlags struct {
	Shallow   bool    `help:"Approximate a small ReLU network by one of two hidden layers."`
	Steepness float64 `help:"${steepnessHelp}" default:"1000" placeholder:"S"`
	Patterns  string  `help:"${patternsHelp}" enum:"all,clips" default:"all"`
	Most      int     `help:"Patterns at most, with --patterns clips those of most places." default:"1000" placeholder:"N"`
	Windows   int     `help:"Random windows at which --shallow measures the error." default:"10000" placeholder:"N"`
}

// check returns an error where a flag makes no sense.
func (f shallowFlags) check() error {
	switch {
	case !(f.Steepness >= 1 && f.Steepness <= 1e5):
		return usageError("--steepness %g is not in 1…100000", f.Steepness)
	case f.Most < 1 || f.Windows < 0:
		return usageError("--most must be positive and --windows not negative")
	}
	return nil
}

// pass returns the pass of --shallow.
func (f shallowFlags) pass() *compress.Shallow {
	return &compress.Shallow{Steepness: f.Steepness, Clips: f.Patterns == "clips", Most: f.Most, Points: f.Windows}
}
