package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/compress"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

type compressCmd struct {
	Model       string  `help:"${modelHelp}" placeholder:"MODEL"`
	Data        string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Out         string  `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Calibration int     `help:"${calibrationClipsHelp}" default:"256" placeholder:"N"`
	Silence     float64 `help:"${silenceHelp}" default:"0.1"`
	Threads     int     `help:"Threads; 0 is one per core." default:"0"`
	JSON        bool    `name:"json" help:"Print one JSON list."`

	Similar  similarFlags  `embed:"" group:"Channel similarity:"`
	Finetune finetuneFlags `embed:"" group:"Training on:"`
	Exact    exactFlags    `embed:"" group:"Exact transformation:"`
	Shallow  shallowFlags  `embed:"" group:"Approximate transformation:"`
	Narrow   narrowFlags   `embed:"" group:"Narrow weights:"`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

// similarFlags are those of the pass that removes channels.
type similarFlags struct {
	Similar  bool     `help:"Remove channels that others are like."`
	MACs     float64  `name:"macs" help:"${macsHelp}" placeholder:"SHARE"`
	Floor    *float64 `help:"${floorHelp}" placeholder:"POINTS"`
	By       string   `help:"${byHelp}" enum:"${rules}" default:"similarity" placeholder:"RULE"`
	Fold     string   `help:"${foldHelp}" enum:"all,pair,none" default:"all"`
	DataFree bool     `name:"data-free" help:"Judge similarity by the weights alone."`
	Lanes    int      `help:"${lanesHelp}" default:"8" placeholder:"N"`
	Clusters string   `help:"${clustersHelp}" type:"path" placeholder:"DIR"`
}

// pass returns the pass of --similar, which draws with a seed.
func (f similarFlags) pass(seed int64) *compress.Similar {
	s := &compress.Similar{
		MACs: f.MACs, By: compress.By(f.By), Fold: compress.Fold(f.Fold), DataFree: f.DataFree, Lanes: f.Lanes, Seed: seed,
		Clusters: f.Clusters,
	}
	if f.Floor != nil {
		s.Floor = *f.Floor
	}
	return s
}

// check returns an error where a flag makes no sense.
func (f similarFlags) check() error {
	switch {
	case !f.Similar && (f.MACs != 0 || f.Floor != nil || f.Clusters != "" || f.DataFree):
		return usageError("--macs, --floor, --clusters and --data-free are about --similar")
	case f.Similar && (f.MACs != 0) == (f.Floor != nil):
		return usageError("--similar needs one of --macs and --floor")
	case f.MACs != 0 && !(f.MACs > 0 && f.MACs <= 1):
		return usageError("--macs %g is not above 0 and at most 1", f.MACs)
	case f.Floor != nil && !(*f.Floor >= 0 && *f.Floor <= 100):
		return usageError("--floor %g is not in 0…100", *f.Floor)
	case f.Lanes < 1 || f.Lanes > 1024:
		return usageError("--lanes %d is not in 1…1024", f.Lanes)
	}
	return nil
}

// compression is a compressCmd at work.
type compression struct {
	*compressCmd
	set     *datasets.Set
	dev     device.Trainer
	console io.Writer
	valid   []datasets.Item
	loader  *datasets.Loader // of valid; it keeps the decoded clips from one model to the next
}

// stage is a model on its way.
type stage struct {
	Name  string   `json:"name"` // of the pass that made it; "given": none
	Done  string   `json:"done,omitempty"`
	Lines []string `json:"lines,omitempty"`
	// Units are of --exact.
	Units    *compress.Units `json:"units,omitempty"`
	Accuracy float64         `json:"valid_accuracy"` // percent
	NLL      float64         `json:"valid_nll"`
	Clips    int             `json:"valid_clips"`
	compress.Figures
	// Logit is the largest difference of a validation clip's logit from the given model's.
	Logit float64 `json:"max_logit_difference"`
}

func (c *compressCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if c.Threads < 0 || c.Calibration < 1 {
		return usageError("--threads must not be negative and --calibration must be positive")
	}
	if c.Finetune.Finetune < 0 || c.Finetune.LR < 0 {
		return usageError("--finetune and --lr must not be negative")
	}
	if len(c.Finetune.Teacher) > 0 && c.Finetune.Finetune == 0 && c.Narrow.Refine != "ste" {
		return usageError("--teacher is about --finetune")
	}
	if err := c.Similar.check(); err != nil {
		return err
	}
	if err := c.Exact.check(); err != nil {
		return err
	}
	if err := c.Shallow.check(); err != nil {
		return err
	}
	if err := c.Narrow.check(); err != nil {
		return err
	}
	if n := c.Narrow; !c.Similar.Similar && c.Finetune.Finetune == 0 && !c.Exact.Exact && !c.Shallow.Shallow &&
		!n.Int8 && !n.Ternary && n.Refine == "none" && !n.FoldNorms {
		return usageError("none of --similar, --finetune, --exact, --shallow, --int8, --ternary, --refine and --fold-norms " +
			"was given: there is nothing to do")
	}
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	set, err := datasets.Open(c.Data, datasets.Options{Labels: model.Labels, Silence: c.Silence})
	if err != nil {
		return err
	}
	dev, err := openDevice(c.Computing, c.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	work := &compression{compressCmd: c, set: set, dev: dev.Trainer, console: s.Err}
	model, stages, err := work.apply(ctx, model, work.passes(model))
	if err != nil {
		return err
	}
	model.Provenance.Compressed = append(model.Provenance.Compressed, commandLine())
	if err := model.Save(c.Out); err != nil {
		return err
	}
	if c.JSON {
		return safe.WriteJSON(s.Out, stages)
	}
	return printStages(s.Out, stages)
}

// passes returns what the flags ask for, in the order in which it is applied to the model.
func (c *compression) passes(m *polynet.Model) (list []compress.Pass) {
	if c.Similar.Similar {
		list = append(list, c.Similar.pass(c.Finetune.Seed))
	}
	var exact []compress.Pass
	if c.Exact.Exact {
		exact = append(exact, c.Exact)
	}
	if c.Shallow.Shallow {
		exact = append(exact, c.Shallow.pass())
	}
	narrow := c.Narrow.passes(m, c.Finetune, c)
	if len(narrow) > 0 { // what is about float32 weights comes before
		list = append(append(list, exact...), narrow...)
		exact = nil
	}
	if c.Finetune.Finetune > 0 {
		list = append(list, finetuning{c.Finetune, c})
	}
	list = append(list, exact...)
	if c.Narrow.FoldNorms {
		list = append(list, compress.FoldNorms{})
	}
	return list
}

// apply applies the passes, and measures each model.
func (c *compression) apply(
	ctx context.Context, model *polynet.Model, passes []compress.Pass,
) (*polynet.Model, []stage, error) {
	data, err := c.prepare(ctx, model)
	if err != nil {
		return nil, nil, err
	}
	begin, given, err := c.measure(ctx, model, nil)
	if err != nil {
		return nil, nil, err
	}
	begin.Name = "given"
	stages := []stage{begin}
	for _, pass := range passes {
		m, report, err := pass.Apply(ctx, model, data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", pass.Name(), err)
		}
		model = compress.Record(m, pass, report)
		result, _, err := c.measure(ctx, model, given)
		if err != nil {
			return nil, nil, err
		}
		result.Name, result.Done, result.Lines, result.Units = pass.Name(), report.Done, report.Lines, report.Units
		stages = append(stages, result)
		model.Provenance.Metrics = maps.Clone(model.Provenance.Metrics) // the given model keeps its own
		training.Record(model, "valid", &training.Report{Accuracy: result.Accuracy, NLL: result.NLL, Clips: result.Clips})
	}
	return model, stages, nil
}

// prepare reads the calibration clips, which are spread evenly over the training clips, and opens the validation clips.
func (c *compression) prepare(ctx context.Context, model *polynet.Model) (compress.Data, error) {
	data := compress.Data{Device: c.dev, Accuracy: func(ctx context.Context, m *polynet.Model) (float64, error) {
		r, _, err := c.evaluate(ctx, m)
		return r.Accuracy, err
	}}
	m, err := newMeasurer(model, c.dev, calibrationBatch)
	if err != nil {
		return data, err
	}
	defer m.close()
	train, err := clipsOf(c.set, "train")
	if err != nil {
		return data, err
	}
	if c.valid, err = clipsOf(c.set, "valid"); err != nil {
		return data, err
	}
	extractor, err := features.New(model.Features)
	if err != nil {
		return data, modelError(err)
	}
	if c.loader, err = datasets.NewLoader(c.valid, c.set.Noise, datasets.LoaderConfig{
		Extractor: extractor, Window: model.Window, Batch: m.batch, Threads: c.Threads,
	}); err != nil {
		return data, err
	}
	items := evenly(train, c.Calibration)
	loader, err := m.loader(items, c.set.Noise, c.Threads, datasets.Context{})
	if err != nil {
		return data, err
	}
	for b, err := range counted(c.console, "calibration clips", len(items), loader.Ordered(ctx)) {
		if err != nil {
			return data, err
		}
		data.Rows, data.Frames = append(data.Rows, b.X[:b.B*b.Frames*model.Features.Mels]...), b.Frames
		data.Clips += b.B
		data.Labels = append(data.Labels, b.Labels...)
	}
	warnFiles(c.console, nil, loader.Skipped(), loader.Warnings())
	if data.Clips == 0 {
		return data, fmt.Errorf("%w: none of the training clips could be read", datasets.ErrNoData)
	}
	data.Every, err = c.every(ctx, model, extractor)
	return data, err
}

// every returns the features of all clips of the data.
func (c *compression) every(
	ctx context.Context, model *polynet.Model, extractor *features.Extractor,
) (iter.Seq2[[]float32, error], error) {
	loader, err := datasets.NewLoader(c.set.Items, c.set.Noise, datasets.LoaderConfig{
		Extractor: extractor, Window: model.Window, Batch: calibrationBatch, Threads: c.Threads, CacheBytes: -1,
	})
	if err != nil {
		return nil, err
	}
	return func(yield func([]float32, error) bool) {
		for b, err := range counted(c.console, "clips", len(c.set.Items), loader.Ordered(ctx)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(b.X[:b.B*b.Frames*model.Features.Mels], nil) {
				return
			}
		}
	}, nil
}

// evaluate returns a model's result on the validation clips, with its logits before calibration.
func (c *compression) evaluate(ctx context.Context, m *polynet.Model) (*training.Report, calibrate.Logits, error) {
	measurer, err := newMeasurer(m, c.dev, calibrationBatch)
	if err != nil {
		return new(training.Report), calibrate.Logits{}, err
	}
	defer measurer.close()
	r, raw, err := measurer.run(counted(c.console, "validation clips", len(c.valid), c.loader.Ordered(ctx)))
	if r == nil {
		r = new(training.Report)
	}
	return r, raw, err
}

// measure measures a model, and compares its logits with those of the given one, if any.
func (c *compression) measure(ctx context.Context, m *polynet.Model, given *calibrate.Logits) (
	s stage, logits *calibrate.Logits, err error,
) {
	r, raw, err := c.evaluate(ctx, m)
	if err != nil {
		return s, nil, err
	}
	s.Accuracy, s.NLL, s.Clips = r.Accuracy, r.NLL, r.Clips
	if given != nil && given.Len() == raw.Len() {
		for i := range raw.Len() {
			for k, v := range raw.Row(i) {
				s.Logit = max(s.Logit, math.Abs(v-given.Row(i)[k]))
			}
		}
	}
	s.Figures, err = compress.Measure(m, c.dev)
	return s, &raw, err
}

// printStages prints a column for each model.
func printStages(w io.Writer, stages []stage) error {
	t := table{columns: "lr"}
	row := func(name string, value func(s stage) string) {
		cells := []string{name}
		for _, s := range stages {
			cells = append(cells, value(s))
		}
		t.row(cells...)
	}
	row("", func(s stage) string { return s.Name })
	row(fmt.Sprintf("accuracy, %% of %d", stages[0].Clips), func(s stage) string { return percent(s.Accuracy, s.Clips) })
	row("NLL", func(s stage) string { return nats(s.NLL, s.Clips) })
	row("parameters", func(s stage) string { return fmt.Sprint(s.Parameters) })
	row("million MACs a second", func(s stage) string { return fmt.Sprintf("%.2f", float64(s.MACs)/1e6) })
	row("file, KB", func(s stage) string { return fmt.Sprintf("%.1f", float64(s.Bytes)/1e3) })
	row("a clip, ms", func(s stage) string { return fmt.Sprintf("%.3f", 1e3*s.Clip) })
	row("a live second, ms", func(s stage) string { return fmt.Sprintf("%.3f", 1e3*s.Second) })
	row("largest difference of a logit", func(s stage) string { return fmt.Sprintf("%.2g", s.Logit) })
	if err := t.write(w); err != nil {
		return err
	}
	for _, s := range stages[1:] {
		safe.Fprintf(w, "\n%s: %s\n", s.Name, s.Done)
		for _, line := range s.Lines {
			safe.Fprintf(w, "  %s\n", line)
		}
	}
	return nil
}
