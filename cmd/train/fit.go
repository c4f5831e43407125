package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type fitCmd struct {
	Data     string    `help:"${dataHelp}" required:"" type:"path" placeholder:"DIR"`
	Out      string    `help:"${outHelp}" required:"" type:"path" placeholder:"FILE"`
	Words    []string  `help:"${wordsHelp}" placeholder:"WORD"`
	TestFold int       `help:"${testFoldHelp}" placeholder:"N"`
	Folds    foldsFlag `help:"${foldsHelp}" placeholder:"N"`
	Resume   bool      `help:"Continue from the checkpoint, where there is one."`
	Force    bool      `help:"Replace the model and the checkpoint of an earlier run."`
	Log      string    `help:"Write one line of figures an epoch to this CSV file." type:"path" placeholder:"FILE"`

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
	if c.Training.Threads < 0 {
		return usageError("--threads must not be negative")
	}
	if c.Training.Steps > 0 && c.Training.Epochs > 0 {
		return usageError("--steps and --epochs cannot be used together")
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
	r := &fitRun{s: s, dev: dev}
	r.planner = planner{fitCmd: c, notes: s.Err, shown: &runProgress{out: s.Err}, options: training.Options{
		Device: dev.Trainer, Threads: c.Training.Threads,
	}}
	if r.options.Teachers, err = openTeachers(c.Training.Teacher); err != nil {
		return err
	}
	c.Source = inherited(c.Source, r.options.Teachers)
	var found crossed
	if c.Folds.given {
		if found, err = r.crossValidate(ctx); err != nil {
			return err
		}
		c.TestFold = -1 // the model learns all folds
	}
	made, err := r.plan(ctx, c.TestFold)
	if err != nil {
		return err
	}
	if err := made.print(s.Err); err != nil {
		return err
	}
	log := io.Discard
	if c.Log != "" {
		file, err := os.Create(c.Log)
		if err != nil {
			return err
		}
		defer file.Close()
		log = file
	}
	m, err := r.train(ctx, made, c.checkpoint(), log, c.leave)
	if errors.Is(err, training.ErrDiverged) {
		return c.diverged(err, made.cfg, m)
	}
	if err != nil {
		return err
	}
	if m, err = r.calibrate(ctx, made, m); err != nil {
		return err
	}
	found.record(m)
	if err := c.save(m); err != nil {
		return err
	}
	p, clips := m.Provenance, int(m.Provenance.Metrics["valid_clips"])
	safe.Fprintf(reportTo(s, c.Out), "%s: %d parameters, epoch %d of %d, %s %% of %d validation clips\n",
		c.Out, p.Parameters, p.BestEpoch, p.Epochs, percent(p.Metrics["valid_accuracy"], clips), clips)
	return nil
}

// fitRun is a run of fit, which trains one model, or one for each fold besides.
type fitRun struct {
	planner
	s   program.Streams
	dev *computing.Device
}

// train trains a model. Where it diverges, it returns the best one so far, too, or nil. Where it is interrupted, leave,
// if it is not nil, is called with that before the program may end.
func (r *fitRun) train(
	ctx context.Context, made *plan, checkpoint string, log io.Writer, leave func(*polynet.Model, io.Writer) error,
) (*polynet.Model, error) {
	if made.from != nil {
		r.Source = inherited(r.Source, []*polynet.Model{made.from})
	}
	if r.Resume && !exists(checkpoint) {
		safe.Fprintf(r.s.Err, "train: there is no %s; starting anew\n", checkpoint)
	}
	shown, o := &runProgress{out: r.s.Err}, r.options
	o.Checkpoint, o.Resume, o.From = checkpoint, r.Resume, made.from
	o.Observer = training.Observer{Work: shown.work, Step: shown.step, Epoch: shown.epoch}
	cfg := made.cfg
	if r.Resume && exists(checkpoint) {
		past, err := training.ReadPast(checkpoint)
		if err != nil {
			return nil, err
		}
		cfg.Repeat = past.Config.Repeat // as --steps or --epochs made it then
	}
	t, err := training.New(ctx, made.set, cfg, o)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	for _, note := range t.Notes() {
		safe.Fprintf(r.s.Err, "train: %s\n", note)
	}
	warned := warnFiles(r.s.Err, nil, t.Skipped(), t.Warnings())
	shown.begin(log, t.History())
	defer func() { warnFiles(r.s.Err, warned, t.Skipped(), t.Warnings()) }()
	defer program.Hold(ctx, epochHold)()
	m, err := t.Run(ctx)
	shown.bar.Clear()
	if errors.Is(err, context.Canceled) && len(t.History()) > 0 && checkpoint != "" {
		safe.Fprintf(r.s.Err, "train: %d epochs are kept in %s; --resume continues\n", len(t.History()), checkpoint)
	}
	if errors.Is(err, context.Canceled) && m != nil && leave != nil {
		err = errors.Join(err, leave(m, r.s.Err))
	}
	return m, err
}

// calibrate calibrates the model of a run that has ended, unless --no-calibrate says otherwise. Where that is
// interrupted, the model is saved as it is.
func (r *fitRun) calibrate(ctx context.Context, made *plan, m *polynet.Model) (*polynet.Model, error) {
	if !r.Training.Calibrate {
		return m, nil
	}
	defer program.Hold(ctx, epochHold)()
	calibrated, err := calibrateFitted(ctx, m, made.set, r.dev.Trainer, r.Training.Threads, r.s.Err)
	if errors.Is(err, context.Canceled) {
		err = errors.Join(err, r.leave(m, r.s.Err))
	}
	return calibrated, err
}

// leave saves the model of a run that is interrupted.
func (c *fitCmd) leave(m *polynet.Model, console io.Writer) error {
	err := c.save(m)
	if err == nil {
		safe.Fprintf(console, "train: the best model so far, of epoch %d and not calibrated, is in %s\n",
			m.Provenance.BestEpoch, c.Out)
	}
	return err
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
