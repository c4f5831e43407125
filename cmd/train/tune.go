package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

type tuneCmd struct {
	Model       string             `help:"${modelHelp}" placeholder:"MODEL"`
	Data        string             `help:"${tuneDataHelp}" required:"" type:"path" placeholder:"DIR"`
	Without     []string           `help:"${withoutHelp}" required:"" type:"path" placeholder:"DIR"`
	Split       string             `help:"${splitHelp}" enum:"test,valid,train,all" default:"valid"`
	FalseAlarms float64            `help:"${falseAlarmsHelp} (${default})." default:"0.5" placeholder:"N"`
	Limit       map[string]float64 `help:"${folderLimitHelp}" placeholder:"DIR=N"`
	Delay       float64            `help:"${delayHelp}" default:"0" placeholder:"S"`
	Out         string             `help:"${tunedHelp}" type:"path" placeholder:"FILE"`
	Force       bool               `help:"${forceHelp}"`
	Measure     bool               `help:"Try no other operating point than the model's own, as train eval --live does."`
	Det         []string           `help:"${detHelp}" type:"path" placeholder:"FILE"`

	Sound liveFlags `embed:""`

	Decoding decoding.Flags `embed:""`
}

// statusDoubtful is the exit status where an operating point is not stored because of its doubts.
const statusDoubtful = 4

func (c *tuneCmd) Run(ctx context.Context, s program.Streams) error {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	limits, err := c.check()
	if err != nil {
		return err
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	tracks, err := c.Sound.tracks(ctx, s, model, c.Data, c.Split, c.Without, 0)
	if err != nil {
		return err
	}
	grid := []detect.Config{model.DetectionConfig()}
	if !c.Measure {
		grid = append(grid, tuning.Grid(model.DetectionConfig(), model.Window)...)
	}
	scores, err := tuning.Sweep(tracks, grid)
	if err != nil {
		return err
	}
	return c.report(s, model, scores, limits)
}

// check returns the limits, and an error where a flag makes no sense or a file cannot be written.
func (c *tuneCmd) check() (limits tuning.Limits, err error) {
	limits = tuning.Limits{FalseAlarms: c.FalseAlarms, Delay: c.Delay, Folders: map[string]float64{}}
	if c.Delay == 0 {
		limits.Delay = math.Inf(1)
	}
	if err := c.Sound.check(c.Without); err != nil {
		return limits, err
	}
	if !(c.FalseAlarms >= 0) || !(c.Delay >= 0) {
		return limits, usageError("--false-alarms and --delay must not be negative")
	}
	if c.Measure && c.Out != "" {
		return limits, usageError("--measure changes nothing that --out could write")
	}
	for folder, most := range c.Limit {
		path, err := filepath.Abs(folder)
		if err != nil {
			return limits, err
		}
		if !slices.Contains(c.Without, path) || !(most >= 0) {
			return limits, usageError("--limit %s=%g: it needs a folder of --without, and a number from 0 on", folder, most)
		}
		limits.Folders[path] = most
	}
	for _, path := range c.Det {
		if err := tuning.CheckDET(path); err != nil {
			return limits, err
		}
	}
	if c.Out != "" {
		return limits, atomicfile.Check(c.Out)
	}
	return limits, nil
}

// count returns a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// report prints the figures, and writes the curves and the model.
func (c *tuneCmd) report(s program.Streams, model *polynet.Model, scores []tuning.Score, limits tuning.Limits) error {
	chosen, frontier := tuning.Choose(scores, limits), tuning.Frontier(scores)
	if !c.Measure {
		t := table{columns: "rrrddrrl"}
		t.row("smoothing", "min duration", "threshold", "false alarms/h", "misses %", "delay ms, median", "delay ms, 95 %")
		row := func(name string, r tuning.Score) {
			p := r.Config
			t.row(fixed(p.Smoothing, 0.01), fixed(p.MinDuration, 0.01), fixed(p.Threshold, 0.001),
				perHour(r.FalseAlarmsPerHour(), r.Hours), percent(100*r.MissRate(), r.Words),
				fixed(1000*r.Delays.Quantile(0.5), 1), fixed(1000*r.Delays.Quantile(0.95), 1), name)
		}
		row("the model's own", scores[0])
		for _, r := range frontier {
			row("", r)
		}
		row("chosen", chosen)
		if err := t.write(s.Out); err != nil {
			return err
		}
	}
	if err := c.Sound.report(model, c.Split, chosen).print(s); err != nil {
		return err
	}
	for _, path := range c.Det {
		if err := tuning.WriteDET(path, frontier, chosen); err != nil {
			return err
		}
	}
	if c.Out == "" {
		return nil
	}
	if doubts := chosen.Doubts(); len(doubts) > 0 && !c.Force {
		return program.WithStatus(statusDoubtful, fmt.Errorf("%s is not written: at the chosen operating point, %s; "+
			"measure with more sound, or loosen the limits, or store it with --force", c.Out, strings.Join(doubts, ", and ")))
	}
	if !limits.Keeps(chosen) {
		safe.Fprintf(s.Err, "train: no operating point keeps to --false-alarms, --limit and --delay; the one with the "+
			"fewest false alarms has %s an hour, and reports words after %.2f s\n",
			perHour(chosen.FalseAlarmsPerHour(), chosen.Hours), chosen.Delays.Quantile(0.95))
	}
	tuned := *model
	tuned.Detection = &chosen.Config
	return tuned.Save(c.Out)
}
