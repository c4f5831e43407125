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
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/training"
)

type fitCmd struct {
	Data   string   `help:"${dataHelp}" required:"" type:"path" placeholder:"DIR"`
	Out    string   `help:"${outHelp}" required:"" type:"path" placeholder:"FILE"`
	Words  []string `help:"${wordsHelp}" placeholder:"WORD"`
	Resume bool     `help:"Continue from the checkpoint, where there is one."`
	Log    string   `help:"Write one line of figures an epoch to this CSV file." type:"path" placeholder:"FILE"`

	Computing computing.Flags `embed:""`

	Network  networkFlags  `embed:"" group:"Network:"`
	Training trainingFlags `embed:"" group:"Training:"`
	Sound    soundFlags    `embed:"" group:"Sound:"`
}

// epochHold is how long an optimiser step, or writing a checkpoint, may take after an interruption.
const epochHold = 5 * time.Second

func (c *fitCmd) Run(ctx context.Context, s program.Streams) (err error) {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	if c.Training.Threads < 0 {
		return usageError("--threads must not be negative")
	}
	if err := atomicfile.Check(c.Out); err != nil {
		return err // now, and not after the training
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
	checkpoint := c.Out + ".checkpoint"
	if _, err := os.Stat(checkpoint); c.Resume && errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(s.Err, "train: there is no %s; starting anew\n", checkpoint)
	}
	shown := &runProgress{out: s.Err}
	t, err := training.New(ctx, set, cfg, training.Options{
		Device: dev, Threads: c.Training.Threads, Checkpoint: checkpoint, Resume: c.Resume, Teachers: teachers,
		Observer: training.Observer{Step: shown.step, Epoch: shown.epoch},
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
	shown.begin(log, t.History())
	defer func() { warnFiles(s.Err, t.Skipped(), t.Warnings()) }()
	defer program.Hold(ctx, epochHold)()
	m, err := t.Run(ctx)
	if err != nil {
		shown.bar.Clear()
		if errors.Is(err, context.Canceled) && len(t.History()) > 0 {
			fmt.Fprintf(s.Err, "train: %d epochs are kept in %s; --resume continues\n", len(t.History()), checkpoint)
		}
		return err
	}
	m.Provenance.Command, m.Provenance.Commit = commandLine(), program.Commit()
	if err := m.Save(c.Out); err != nil {
		return err
	}
	p := m.Provenance
	fmt.Fprintf(s.Out, "%s: %d parameters, epoch %d of %d, %.2f %% on the validation clips\n",
		c.Out, p.Parameters, p.BestEpoch, p.Epochs, p.Metrics["valid_accuracy"])
	return nil
}

// openData opens the data set, and prints what there is to note about it.
func (c *fitCmd) openData(console io.Writer) (*datasets.Set, error) {
	set, err := datasets.Open(c.Data, datasets.Options{
		Words: c.Words, Unknown: c.Sound.Unknown, Silence: c.Sound.Silence, Noise: c.Sound.Noise, Extra: c.Sound.Extra,
		Seed: c.Training.Seed,
	})
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		fmt.Fprintf(console, "train: %s\n", note)
	}
	return set, nil
}

// openDevice opens the device that the flags choose, and prints what there is to note about the choice.
func openDevice(flags computing.Flags, threads int, console io.Writer) (*computing.Device, error) {
	dev, err := flags.Open(threads)
	if err != nil {
		return nil, modelError(err)
	}
	if dev.Note != "" {
		fmt.Fprintf(console, "train: %s\n", dev.Note)
	}
	return dev, nil
}

// commandLine returns the command line, with the program's name alone before the arguments.
func commandLine() string {
	return strings.Join(append([]string{"train"}, os.Args[1:]...), " ")
}
