package main

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/polynet"
)

type calibrateCmd struct {
	Model   string   `help:"${modelHelp}" placeholder:"MODEL"`
	Data    string   `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Out     string   `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Split   string   `help:"Part of the data: valid or train; never the test's." enum:"valid,train" default:"valid"`
	Method  string   `help:"${methodHelp}" enum:"auto,temperature,vector" default:"auto"`
	By      string   `help:"What the temperature makes small: nll or ece." enum:"nll,ece" default:"nll"`
	Unknown []string `help:"${unknownHelp}" type:"path" placeholder:"DIR"`
	Lost    float64  `help:"${lostHelp}" default:"0.5" placeholder:"PERCENT"`

	Odds map[string]float64 `help:"${oddsHelp}" placeholder:"LABEL=FACTOR"`

	Silence float64 `help:"${silenceHelp}" default:"0.1"`
	Threads int     `help:"Threads; 0 is one per core." default:"0"`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

func (c *calibrateCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if c.Threads < 0 {
		return usageError("--threads must not be negative")
	}
	if !(c.Lost >= 0 && c.Lost <= 100) {
		return usageError("--lost %g is no percentage", c.Lost)
	}
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	model, set, items, err := openClips(c.Model, c.Data, c.Split, c.Silence)
	if err != nil {
		return err
	}
	if model, err = calibrate.Expect(model, c.Odds); err != nil {
		return usageError("--odds: %v", err)
	}
	dev, err := openDevice(c.Computing, c.Threads, s.Err)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, modelError(dev.Close())) }()
	m, err := newMeasurer(model, dev.Trainer, calibrationBatch)
	if err != nil {
		return err
	}
	defer m.close()
	m.embeddings = new(calibrate.Embeddings)
	raw, err := m.logits(ctx, items, set.Noise, c.Threads, s.Err)
	if err != nil {
		return err
	}
	calibrated, err := c.fit(model, raw)
	if err != nil {
		return err
	}
	if err := printMethods(s.Out, raw); err != nil {
		return err
	}
	if len(c.Unknown) > 0 {
		if err := c.fitUnknown(ctx, m, calibrated, raw, s); err != nil {
			return err
		}
	}
	fitToAnswers(calibrated, raw)
	if err := calibrated.Save(c.Out); err != nil {
		return err
	}
	if calibrated.Calibration.Reference == nil {
		safe.Fprintf(s.Err, "train: %d clips are too few to know what such clips are like: classify --watch-drift needs "+
			"a model calibrated on about 45 or more, and the rest of the calibration is rough\n", raw.Len())
	}
	safe.Fprintf(s.Out, "\n%s: temperature %.3g; %s\n",
		c.Out, calibrated.Temperature, calibrated.Calibration)
	return nil
}

// calibrationBatch is how many clips are computed together.
const calibrationBatch = 64

// logits returns the logits of clips before calibration.
func (m *measurer) logits(
	ctx context.Context, items []datasets.Item, noise []datasets.Recording, threads int, console io.Writer,
) (calibrate.Logits, error) {
	loader, err := m.loader(items, noise, threads, datasets.Context{})
	if err != nil {
		return calibrate.Logits{}, err
	}
	_, raw, err := m.run(counted(console, "clips", len(items), loader.Ordered(ctx)))
	warnFiles(console, nil, loader.Skipped(), loader.Warnings())
	return raw, err
}

// fit returns the model with a new temperature or scaling.
func (c *calibrateCmd) fit(m *polynet.Model, raw calibrate.Logits) (*polynet.Model, error) {
	calibrated := calibrate.Raw(m)
	calibrated.Calibration = new(confidence.Calibration)
	var err error
	switch c.Method {
	case "vector":
		calibrated.Calibration.Scaling, err = calibrate.FitVector(raw)
	case "temperature":
		calibrated.Temperature, err = calibrate.FitTemperature(raw, calibrate.Objective(c.By))
	default:
		calibrated.Temperature, calibrated.Calibration.Scaling, err = calibrate.FitBest(raw)
	}
	return calibrated, err
}

// calibrateFitted returns a model that was just trained with its probabilities calibrated on the validation clips.
func calibrateFitted(
	ctx context.Context, model *polynet.Model, set *datasets.Set, dev device.Device, threads int, console io.Writer,
) (*polynet.Model, error) {
	m, err := newMeasurer(model, dev, calibrationBatch)
	if err != nil {
		return nil, err
	}
	defer m.close()
	raw, err := m.logits(ctx, set.Split(datasets.Valid), set.Noise, threads, console)
	if err != nil {
		return nil, err
	}
	calibrated, err := new(calibrateCmd).fit(model, raw)
	if err == nil {
		fitToAnswers(calibrated, raw)
	}
	return calibrated, err
}

// fitToAnswers fits, on clips' logits, the parts of a model's calibration that depend on all else.
func fitToAnswers(m *polynet.Model, raw calibrate.Logits) {
	m.Calibration.Sets = calibrate.FitSets(raw.Map(calibrate.Answer(m)))
	m.Calibration.Reference = calibrate.FitReference(calibrate.Logits(raw.Map(calibrate.Cooled(m))))
}

// printMethods compares methods of calibration: each is fitted to one half of the clips and measured on the other, both
// ways.
func printMethods(w io.Writer, raw calibrate.Logits) error {
	t := table{columns: "ld"}
	t.row("calibration", "accuracy, %", "ECE, %", "adaptive ECE, %", "classwise ECE, %", "NLL", "Brier")
	for _, method := range []struct {
		name string
		fit  func(l calibrate.Logits) (calibrate.Map, error)
	}{
		{"none", func(calibrate.Logits) (calibrate.Map, error) { return calibrate.Scale(1), nil }},
		{"temperature by nll", calibrate.TemperatureMap},
		{"temperature by ece", calibrate.RobustMap},
		{"vector", calibrate.VectorMap},
		{"Platt, a class at a time", calibrate.FitPlatt},
		{"isotonic, a class at a time", calibrate.FitIsotonic},
	} {
		p, err := raw.CrossFit(method.fit)
		if err != nil || p.Len() == 0 { // none: no class has two clips
			return err
		}
		m, n := calibrate.Measure(p), p.Len()
		t.row(method.name, percent(m.Accuracy, n), percent(m.ECE, n), percent(m.AdaptiveECE, n),
			percent(m.ClasswiseECE, n), nats(m.NLL, n), fixed(m.Brier, m.Brier/math.Sqrt(float64(n))))
	}
	safe.Fprintf(w, "%d clips, each measured with what the other half gives:\n\n", raw.Len())
	return t.write(w)
}
