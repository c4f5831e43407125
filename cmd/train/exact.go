package main

import (
	"context"
	"fmt"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// exactFlags are those of the pass that removes what provably changes nothing. It is itself that pass.
type exactFlags struct {
	Exact  bool    `help:"Remove units that provably change nothing."`
	Around string  `help:"Prove it for sounds near to this one alone." type:"path" placeholder:"CLIP"`
	Radius float64 `help:"With --around, how far each log-mel value may be from the clip's." default:"1" placeholder:"DB"`
	Depth  int     `help:"Nonlinear layers through which bounds are substituted." default:"2" placeholder:"N"`
	Points int     `help:"Random points at which --exact compares the models." default:"10000" placeholder:"N"`
	MILP   float64 `name:"milp" help:"${milpHelp}" default:"60" placeholder:"SECONDS"`
}

// check returns an error where a flag makes no sense.
func (f exactFlags) check() error {
	switch {
	case !f.Exact && f.Around != "":
		return usageError("--around is about --exact")
	case !(f.Radius >= 0 && f.Radius <= 200):
		return usageError("--radius %g is not in 0…200", f.Radius)
	case f.Depth < 0 || f.Points < 0:
		return usageError("--depth and --points must not be negative")
	case !(f.MILP >= 0 && f.MILP <= 1e6):
		return usageError("--milp %g is not in 0…1e6", f.MILP)
	}
	return nil
}

// Name returns "exact".
func (f exactFlags) Name() string { return (*compress.Exact)(nil).Name() }

// Apply applies compress.Exact, around the clip where one is given.
func (f exactFlags) Apply(
	ctx context.Context, m *polynet.Model, d compress.Data,
) (*polynet.Model, compress.Report, error) {
	e := &compress.Exact{
		Method: bounds.Method{Depth: f.Depth}, Radius: f.Radius, Points: f.Points,
		Integer: time.Duration(f.MILP * float64(time.Second)),
	}
	if f.Around != "" {
		clip, err := audio.ReadFile(f.Around, m.Features.Rate)
		if err != nil {
			return nil, compress.Report{}, err
		}
		if len(clip.Samples) == 0 {
			return nil, compress.Report{}, fmt.Errorf("%s: no sound", f.Around)
		}
		extractor, err := features.New(m.Features)
		if err != nil {
			return nil, compress.Report{}, modelError(err)
		}
		samples := make([]float32, m.WindowSamples()) // the clip's beginning, or silence after it
		copy(samples, clip.Samples)
		e.Around = extractor.Rows(nil, samples, extractor.Scratch())
	}
	return e.Apply(ctx, m, d)
}
