package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type fitCmd struct {
	Data   string   `help:"${dataHelp}" required:"" type:"path" placeholder:"DIR"`
	Out    string   `help:"${outHelp}" required:"" type:"path" placeholder:"FILE"`
	Words  []string `help:"${wordsHelp}" placeholder:"WORD"`
	Resume bool     `help:"Continue from the checkpoint, where there is one."`
	Force  bool     `help:"Replace the model and the checkpoint of an earlier run."`
	Log    string   `help:"Write one line of figures an epoch to this CSV file." type:"path" placeholder:"FILE"`

	Source []sourceFlag `help:"${sourceHelp}" sep:"none" placeholder:"NAME: LICENCE, ATTRIBUTION"`

	Computing computing.Flags `embed:""`

	Network  networkFlags  `embed:"" group:"Network:"`
	Training trainingFlags `embed:"" group:"Training:"`
	Sound    soundFlags    `embed:"" group:"Sound:"`

	Decoding decoding.Flags `embed:""`
}

// epochHold is how long an optimiser step, or writing a checkpoint, may take after an interruption.
const epochHold = 5 * time.Second

func (c *fitCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if c.Training.Threads < 0 {
		return usageError("--threads must not be negative")
	}
	if err := c.checkOutputs(); err != nil {
		return err
	}
	if err := c.checkLog(); err != nil {
		return err
	}
	dev, err := openDevice(c.Computing, c.Training.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	set, err := c.openData(s.Err)
	if err != nil {
		return err
	}
	teachers, err := c.Training.teachers()
	if err != nil {
		return err
	}
	c.inherit(teachers)
	from, err := c.Training.from()
	if err != nil {
		return err
	}
	shown := &runProgress{out: s.Err}
	if cfg, err = c.complete(ctx, cfg, set, shown); err != nil {
		return err
	}
	checkpoint := c.checkpoint()
	if c.Resume && !exists(checkpoint) {
		safe.Fprintf(s.Err, "train: there is no %s; starting anew\n", checkpoint)
	}
	t, err := training.New(ctx, set, cfg, training.Options{
		Device: dev, Threads: c.Training.Threads, Checkpoint: checkpoint, Resume: c.Resume, Teachers: teachers, From: from,
		Observer: training.Observer{Work: shown.work, Step: shown.step, Epoch: shown.epoch},
	})
	if err != nil {
		return err
	}
	defer t.Close()
	log := io.Discard
	if c.Log != "" {
		file, err := os.Create(c.Log)
		if err != nil {
			return err
		}
		defer file.Close()
		log = file
	}
	for _, note := range t.Notes() {
		safe.Fprintf(s.Err, "train: %s\n", note)
	}
	warned := warnFiles(s.Err, nil, t.Skipped(), t.Warnings())
	shown.begin(log, t.History())
	defer func() { warnFiles(s.Err, warned, t.Skipped(), t.Warnings()) }()
	defer program.Hold(ctx, epochHold)()
	m, err := t.Run(ctx)
	shown.bar.Clear()
	if errors.Is(err, training.ErrDiverged) {
		return c.diverged(err, cfg, m)
	}
	if err != nil {
		if errors.Is(err, context.Canceled) && len(t.History()) > 0 && checkpoint != "" {
			safe.Fprintf(s.Err, "train: %d epochs are kept in %s; --resume continues\n", len(t.History()), checkpoint)
		}
		return err
	}
	if c.Training.Calibrate {
		if m, err = calibrateFitted(ctx, m, set, dev, c.Training.Threads, s.Err); err != nil {
			return err
		}
	}
	if err := c.save(m); err != nil {
		return err
	}
	p, clips := m.Provenance, int(m.Provenance.Metrics["valid_clips"])
	safe.Fprintf(reportTo(s, c.Out), "%s: %d parameters, epoch %d of %d, %s %% of %d validation clips\n",
		c.Out, p.Parameters, p.BestEpoch, p.Epochs, percent(p.Metrics["valid_accuracy"], clips), clips)
	return nil
}

// complete returns the recipe for the data. Where no window is given, it measures the clips.
func (c *fitCmd) complete(
	ctx context.Context, cfg training.Config, set *datasets.Set, shown *runProgress,
) (training.Config, error) {
	cfg.Window = cmp.Or(cfg.Window, 1)
	cfg, err := cfg.WithData(set)
	if err == nil {
		err = cfg.Validate() // before clips are read
	}
	if err != nil || c.Sound.Window != 0 {
		return cfg, err
	}
	lengths, err := set.Lengths(ctx, func(done, total int) { shown.work("measuring clips", done, total) })
	if err != nil {
		return cfg, err
	}
	if cfg.Window = lengths.Window(); lengths.Longer > 0 {
		safe.Fprintf(shown.out, "train: %s\n", lengthNote(lengths))
	}
	return cfg, nil
}

// save writes the model with where it comes from.
func (c *fitCmd) save(m *polynet.Model) error {
	m.Provenance.Command, m.Provenance.Commit = commandLine(), program.Commit()
	for _, source := range c.Source {
		m.Provenance.Sources = append(m.Provenance.Sources, polynet.Source(source))
	}
	return m.Save(c.Out)
}

// diverged writes the best model of a run that diverged, if there is one, and returns the error with advice.
func (c *fitCmd) diverged(err error, cfg training.Config, best *polynet.Model) error {
	advice := fmt.Sprintf("lower --lr (now %.4g) or set --clip (now off)", cfg.Rate)
	if cfg.Clip > 0 {
		advice = fmt.Sprintf("lower --lr (now %.4g) or --clip (now %g)", cfg.Rate, cfg.Clip)
	}
	if best == nil {
		return fmt.Errorf("%w; %s; there is no model of an earlier epoch to write to %s", err, advice, c.Out)
	}
	if failed := c.save(best); failed != nil {
		return errors.Join(err, failed)
	}
	return fmt.Errorf("%w; %s; the best model so far, of epoch %d, is in %s",
		err, advice, best.Provenance.BestEpoch, c.Out)
}

// openData opens the data set, and prints what there is to note about it.
func (c *fitCmd) openData(console io.Writer) (*datasets.Set, error) {
	set, err := datasets.Open(c.Data, datasets.Options{
		Words: c.Words, Unknown: c.Sound.Unknown, Silence: c.Sound.Silence, Noise: c.Sound.Noise, Extra: c.Sound.Extra,
		Negatives: c.Sound.Negatives, NegativeShare: c.Sound.Negative,
		Seed: c.Training.Seed,
	})
	if err != nil {
		return nil, err
	}
	notes, err := checkLabels(set.Labels)
	for _, note := range slices.Concat(set.Notes, notes) {
		safe.Fprintf(console, "train: %s\n", note)
	}
	return set, err
}

// openDevice opens the device that the flags choose, and prints what there is to note about the choice.
func openDevice(flags computing.Flags, threads int, console io.Writer) (*computing.Device, error) {
	dev, err := flags.Open(threads)
	if err != nil {
		return nil, modelError(err)
	}
	if dev.Note != "" {
		safe.Fprintf(console, "train: %s\n", dev.Note)
	}
	return dev, nil
}

// commandLine returns the command line, with the program's name alone before the arguments.
func commandLine() string {
	return strings.Join(append([]string{"train"}, os.Args[1:]...), " ")
}
