package main

import (
	"context"
	"errors"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/enroll"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/tuning"
)

type wakeCmd struct {
	Word        string   `help:"The wake word, as the label that it is to have." required:"" placeholder:"NAME"`
	Positives   []string `help:"Clips in which it is said: folders or files." required:"" type:"path" placeholder:"DIR"`
	Negatives   []string `help:"${soundsHelp}" type:"path" placeholder:"DIR"`
	Out         string   `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Force       bool     `help:"Replace a file that is there."`
	From        string   `help:"Network that is used: base, the default, small, tiny or a file." placeholder:"MODEL"`
	FalseAlarms float64  `help:"${wakeAlarmsHelp} (${default})." default:"2" placeholder:"N"`
	Seed        int64    `help:"Seed of the clips' variants." default:"1"`

	Source    []sourceFlag    `help:"${sourceHelp}" sep:"none" placeholder:"NAME: LICENCE, ATTRIBUTION"`
	Computing computing.Flags `embed:""`
	Decoding  decoding.Flags  `embed:""`
}

// wakeTaken is the share of other words at which a wake word's probability is 1/2, before the threshold is tuned.
const wakeTaken = 0.01

func (c *wakeCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if !(c.FalseAlarms >= 0) {
		return usageError("--false-alarms must not be negative")
	}
	if _, err := checkLabels([]string{c.Word}); err != nil {
		return usageError("%w", err)
	}
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	if exists(c.Out) && !c.Force && !atomicfile.InPlace(c.Out) {
		return usageError("%s exists: --force replaces it", c.Out)
	}
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	m, err := models.Open(c.From)
	if err != nil {
		return modelError(err)
	}
	dev, err := openDevice(c.Computing, 0, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	w, err := openWorkshop(ctx, m, dev.Trainer, c.Positives, c.Negatives, c.Seed, s.Err)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.fit(c.Word, wakeTaken, enroll.RunningWake, c.Seed); err != nil {
		return err
	}
	if m, err = enroll.New(m, w.word); err != nil {
		return err
	}
	out := reportTo(s, c.Out)
	w.describe(out)
	if w.sound.Seconds == 0 {
		safe.Fprintf(s.Err, "train: no running sound is given by --negatives, so events in it are not counted; "+
			"the threshold is %g\n", m.DetectionConfig().Threshold)
	} else {
		wake, err := w.embedder.Tune(w.word, w.examples, w.background, &w.sound, c.FalseAlarms)
		if err != nil {
			return err
		}
		m.Detection = &wake.Point
		c.describe(s, wake)
	}
	m.Provenance.Sources = append(m.Provenance.Sources, w.background.Sources...)
	if err := saveWords(m, c.Out, c.Source); err != nil {
		return err
	}
	safe.Fprintf(out, "%s: wake word %s\n", shownPath(c.Out), c.Word)
	return nil
}

// describe prints the operating point, and warns of one that misses much or is measured on little.
func (c *wakeCmd) describe(s program.Streams, w *enroll.Wake) {
	out := reportTo(s, c.Out)
	i := w.EventInterval()
	rate := func(v float64) string { return perHour(v, w.Hours) }
	safe.Fprintf(out, "in %.1f minutes of sound without it: %s, %s an hour (95 %% interval: %s to %s), "+
		"each part by what the others make\n", 60*w.Hours, count(w.Events, "event"), rate(float64(w.Events)/w.Hours),
		rate(i.Low), rate(i.High))
	i = w.MissInterval()
	safe.Fprintf(out, "%d of %s missed, each by what the others make (%.0f to %.0f %%)\n",
		w.Missed, count(w.Clips, "clip"), 100*i.Low, 100*i.High)
	safe.Fprintf(out, "threshold %.3g, smoothing %.3g s\n", w.Point.Threshold, w.Point.Smoothing)
	if w.Over {
		safe.Fprintf(s.Err, "train: warning: no threshold keeps to %g an hour\n", c.FalseAlarms)
	}
	if 2*w.Missed > w.Clips {
		safe.Fprintf(s.Err,
			"train: warning: most clips are missed: give more, of more speakers, or allow more --false-alarms\n")
	}
	if w.Hours < tuning.MinHours {
		safe.Fprintf(s.Err, "train: warning: %.1f minutes of sound tell little of events an hour\n", 60*w.Hours)
	}
}
