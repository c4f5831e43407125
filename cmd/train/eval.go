package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type evalCmd struct {
	Model   string  `help:"Model file, or an embedded model: base, the default, or small." placeholder:"FILE"`
	Data    string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Split   string  `help:"Part of the data: test, valid, train or all." enum:"test,valid,train,all" default:"test"`
	Silence float64 `help:"Share of _silence_ examples cut from _background_noise_, relative to the words' clips." default:"0.1"`
	Context bool    `help:"Also measure each clip in noise, and in the middle of five seconds of others in that noise."`
	Noise   float64 `help:"With --context, how many decibels the noise is below the clip." default:"20" placeholder:"DB"`
	Batch   int     `help:"Clips computed together." default:"64"`
	Threads int     `help:"Threads; 0 is one per core." default:"0"`
	JSON    bool    `name:"json" help:"Print one JSON object."`
	Record  bool    `help:"Note accuracy and NLL in the model file, where train info shows them."`

	Computing computing.Flags `embed:""`
}

var splits = map[string]datasets.Split{
	"train": datasets.Train, "valid": datasets.Valid, "test": datasets.Test, "all": datasets.All,
}

func (c *evalCmd) Run(ctx context.Context, s streams) error {
	if c.Threads < 0 || c.Batch < 1 {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--threads must not be negative and --batch must be positive"))
	}
	if !(c.Noise >= -60 && c.Noise <= 120) {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--noise %g is not in -60…120", c.Noise))
	}
	if c.Record && models.Embedded(c.Model) {
		return program.WithStatus(program.StatusUsage, fmt.Errorf("--record needs a --model file to write to"))
	}
	if c.Threads == 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	set, err := datasets.Open(c.Data, datasets.Options{
		Labels: model.Labels, Silence: c.Silence,
	})
	if err != nil {
		return err
	}
	for word, clips := range set.Ignored {
		fmt.Fprintf(s.err, "train: left out %s (%d clips): the model has no such label and no %s\n", word, clips, polynet.UnknownLabel)
	}
	e, err := c.evaluate(ctx, model, set, s.err)
	if err != nil {
		return err
	}
	warnSkipped(s.err, e.failures)
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
		out := json.NewEncoder(s.out)
		out.SetIndent("", "  ")
		return out.Encode(e)
	}
	if err := printReport(s.out, e.Report); err != nil || !c.Context {
		return err
	}
	fmt.Fprintf(s.out, "\nin noise %g dB below the clip:\n\naccuracy  %.2f %%\nNLL       %.4f\n", c.Noise, e.InNoise.Accuracy, e.InNoise.NLL)
	fmt.Fprintf(s.out, "\nin the middle of %g seconds of other sound, in noise %g dB below the clip:\n\n", model.Window+2*aroundClip, c.Noise)
	return printReport(s.out, e.InContext)
}

// evaluation is what --json prints.
type evaluation struct {
	*training.Report                  // of the clips alone
	InNoise          *training.Report `json:"in_noise,omitempty"`
	InContext        *training.Report `json:"in_context,omitempty"` // and in that noise
	failures         []datasets.Skip  // of clips and, where it was needed, of noise
}

// aroundClip is how many seconds of other sound --context puts before and behind a clip.
const aroundClip = 2

// evaluate measures the model, and with --context in noise and in context too: what context costs is the difference of these.
func (c *evalCmd) evaluate(ctx context.Context, m *polynet.Model, set *datasets.Set, console io.Writer) (e evaluation, err error) {
	dev, err := c.Computing.Open(c.Threads)
	if err != nil {
		return e, program.WithStatus(program.StatusModel, err)
	}
	if dev.Note != "" {
		fmt.Fprintf(console, "train: %s\n", dev.Note)
	}
	defer func() { err = errors.Join(err, program.WithStatus(program.StatusModel, dev.Close())) }()
	plan, err := m.Compile(dev)
	if err != nil {
		return e, program.WithStatus(program.StatusModel, err)
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return e, program.WithStatus(program.StatusModel, err)
	}
	config := datasets.LoaderConfig{Extractor: extractor, Window: m.Window, Batch: c.Batch, Threads: c.Threads, CacheBytes: -1}
	if c.Context {
		config.Context = datasets.Context{Before: aroundClip, After: aroundClip}
		config.CacheBytes = 0 // each clip is heard again as a neighbour
	}
	loader, err := datasets.NewLoader(set.Split(splits[c.Split]), set.Noise, config)
	if err != nil {
		return e, err
	}
	e.Report, err = training.Evaluate(ctx, plan, loader, m.Labels, m.Temperature)
	if err == nil && c.Context {
		e.InNoise, err = training.EvaluateInNoise(ctx, plan, loader, c.Noise, m.Labels, m.Temperature)
	}
	if err == nil && c.Context {
		e.InContext, err = training.EvaluateInContext(ctx, plan, loader, c.Noise, m.Labels, m.Temperature)
	}
	e.failures = loader.Skipped()
	return e, err
}

// warnSkipped names every clip that could not be read.
func warnSkipped(w io.Writer, skipped []datasets.Skip) {
	for _, s := range skipped {
		fmt.Fprintf(w, "train: skipped %v\n", s.Err)
	}
}

func printReport(w io.Writer, r *training.Report) error {
	fmt.Fprintf(w, "accuracy  %.2f %%\nNLL       %.4f\nclips     %d", r.Accuracy, r.NLL, r.Clips)
	if r.Skipped > 0 {
		fmt.Fprintf(w, " (%d unreadable ones skipped)", r.Skipped)
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "label\tclips\tprecision\trecall\t")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t%d\t%.3f\t%.3f\t\n", c.Label, c.Clips, c.Precision, c.Recall)
	}
	fmt.Fprintln(t)
	fmt.Fprint(t, "truth \\ answer\t")
	for _, c := range r.Classes {
		fmt.Fprintf(t, "%s\t", c.Label)
	}
	fmt.Fprintln(t)
	for i, row := range r.Confusion {
		fmt.Fprintf(t, "%s\t", r.Classes[i].Label)
		for _, n := range row {
			fmt.Fprintf(t, "%d\t", n)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
