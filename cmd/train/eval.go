package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type evalCmd struct {
	Model   string  `help:"${modelHelp}" placeholder:"MODEL"`
	Data    string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Split   string  `help:"Part of the data: test, valid, train or all." enum:"test,valid,train,all" default:"test"`
	Silence float64 `help:"${silenceHelp}" default:"0.1"`
	Context bool    `help:"${evalContextHelp}"`
	Noise   float64 `help:"With --context, how many decibels noise is below the clip." default:"20" placeholder:"DB"`
	Batch   int     `help:"Clips computed together." default:"64"`
	Threads int     `help:"Threads; 0 is one per core." default:"0"`
	JSON    bool    `name:"json" help:"Print one JSON object."`
	Record  bool    `help:"Note accuracy and NLL in the model file, where train info shows them."`

	Live    bool      `help:"${liveHelp}" group:"Live sound:"`
	Without []string  `help:"${withoutHelp}" type:"path" placeholder:"DIR" group:"Live sound:"`
	Sound   liveFlags `embed:"" group:"Live sound:"`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

var splits = map[string]datasets.Split{
	"train": datasets.Train, "valid": datasets.Valid, "test": datasets.Test, "all": datasets.All,
}

// clipsOf returns the examples of the part of the data that --split names.
func clipsOf(set *datasets.Set, split string) ([]datasets.Item, error) {
	items := set.Split(splits[split])
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: no clip of %s is in --split %s", datasets.ErrNoData, set.Dir, split)
	}
	return items, nil
}

// openClips opens a model and the clips of a split of its labels, and the data that these are of.
func openClips(name, data, split string, silence float64) (
	model *polynet.Model, set *datasets.Set, items []datasets.Item, err error,
) {
	if model, err = models.Open(name); err != nil {
		return nil, nil, nil, modelError(err)
	}
	if set, err = datasets.Open(data, datasets.Options{Labels: model.Labels, Silence: silence}); err != nil {
		return nil, nil, nil, err
	}
	items, err = clipsOf(set, split)
	return model, set, items, err
}

func (c *evalCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	switch {
	case c.Threads < 0 || c.Batch < 1:
		return usageError("--threads must not be negative and --batch must be positive")
	case !(c.Noise >= -60 && c.Noise <= 120):
		return usageError("--noise %g is not in -60…120", c.Noise)
	case c.Record && models.Embedded(c.Model):
		return usageError("--record needs a --model file to write to")
	}
	if err := c.checkLive(); err != nil {
		return err
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	if c.Live {
		return c.live(ctx, s, model)
	}
	if c.Record {
		if err := atomicfile.Check(c.Model); err != nil {
			return err
		}
	}
	set, err := datasets.Open(c.Data, datasets.Options{Labels: model.Labels, Silence: c.Silence})
	if err != nil {
		return err
	}
	for word, n := range set.Ignored {
		clips := count(n, "clip")
		if word == "." {
			safe.Fprintf(s.Err, "train: left out %s beside the class folders\n", clips)
			continue
		}
		safe.Fprintf(s.Err, "train: left out %s (%s): the model has no such label and no %s\n",
			word, clips, polynet.UnknownLabel)
	}
	dev, err := openDevice(c.Computing, c.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	e, err := c.evaluate(ctx, model, set, dev.Trainer, s.Err)
	if err != nil {
		return err
	}
	warnFiles(s.Err, nil, e.skipped, e.warnings)
	if e.Invalid > 0 {
		safe.Fprintf(s.Err,
			"train: warning: the model's outputs are not finite for %d of %d clips, which count as wrong\n",
			e.Invalid, e.Clips)
	}
	if c.Record {
		training.Record(model, c.Split, e.Report)
		if c.Context {
			training.Record(model, c.Split+"_noise", e.InNoise)
			training.Record(model, c.Split+"_context", e.InContext)
			model.Provenance.Metrics[c.Split+"_context_snr"] = c.Noise
		}
		if err := model.Save(c.Model); err != nil {
			return err
		}
	}
	if c.JSON {
		return safe.WriteJSON(s.Out, e)
	}
	return c.print(s.Out, e, model.Window+2*contextSeconds)
}

// evaluation is what --json prints.
type evaluation struct {
	*training.Report                  // of the clips alone
	*reliability                      // of the same
	InNoise          *training.Report `json:"in_noise,omitempty"`
	InContext        *training.Report `json:"in_context,omitempty"` // and in that noise
	skipped          []error          // clips and, where it is used, noise
	warnings         datasets.Warnings
}

// contextSeconds is how much other sound --context puts before a clip, and after it.
const contextSeconds = 2

// evaluate measures the model, with --context also in noise and in context: their difference is what context costs.
func (c *evalCmd) evaluate(
	ctx context.Context, model *polynet.Model, set *datasets.Set, dev device.Device, console io.Writer,
) (e evaluation, err error) {
	m, err := newMeasurer(model, dev, c.Batch)
	if err != nil {
		return e, err
	}
	defer m.close()
	var around datasets.Context
	if c.Context {
		around = datasets.Context{Before: contextSeconds, After: contextSeconds}
	}
	items, err := clipsOf(set, c.Split)
	if err != nil {
		return e, err
	}
	loader, err := m.loader(items, set.Noise, c.Threads, around)
	if err != nil {
		return e, err
	}
	var raw calibrate.Logits
	measure := func(what string, batches iter.Seq2[*datasets.Batch, error]) (r *training.Report) {
		if err != nil {
			return nil
		}
		if r, raw, err = m.run(counted(console, what, len(items), batches)); err == nil {
			r.Skipped = len(loader.Skipped())
		}
		return r
	}
	if e.Report = measure("clips", loader.Ordered(ctx)); err == nil {
		e.reliability = measureReliability(model, raw)
	}
	if c.Context {
		e.InNoise = measure("clips in noise", loader.InNoise(ctx, c.Noise))
		e.InContext = measure("clips in context", loader.InContext(ctx, c.Noise))
	}
	e.skipped, e.warnings = loader.Skipped(), loader.Warnings()
	return e, err
}

// warnFiles prints which files could not be read, and what was wrong with others, each line once, and returns the lines
// printed by this call and before.
func warnFiles(w io.Writer, printed []string, skipped []error, warnings datasets.Warnings) []string {
	var lines []string
	for _, err := range skipped {
		lines = append(lines, fmt.Sprintf("train: skipped %v\n", err))
	}
	for _, sentence := range warnings.Sentences() {
		lines = append(lines, fmt.Sprintf("train: warning: %s\n", sentence))
	}
	for _, line := range lines {
		if !slices.Contains(printed, line) {
			io.WriteString(w, line)
			printed = append(printed, line)
		}
	}
	return printed
}
