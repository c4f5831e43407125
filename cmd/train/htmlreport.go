package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/report"
	"github.com/polyphon/polyphon/training"
)

type reportCmd struct {
	Model   string  `help:"${modelHelp}" placeholder:"FILE"`
	Data    string  `help:"Folder of recordings, CLASS/*.wav." required:"" type:"path" placeholder:"DIR"`
	Out     string  `help:"${reportHelp}" required:"" type:"path" placeholder:"DIR"`
	Force   bool    `help:"Replace the folder even if it has other files in it, which are deleted."`
	Split   string  `help:"Part of the data: test, valid, train or all." enum:"test,valid,train,all" default:"test"`
	Worst   int     `help:"How many errors are shown, at most 200." default:"20"`
	Log     string  `help:"${reportLogHelp}" type:"path" placeholder:"FILE"`
	Silence float64 `help:"${silenceHelp}" default:"0.1"`
	Threads int     `help:"Threads; 0 is one per core." default:"0"`

	Computing computing.Flags `embed:""`

	Decoding decoding.Flags `embed:""`
}

// reportHold is how long drawing what is shown of a clip, or of all, may take after an interruption.
const reportHold = 5 * time.Second

func (c *reportCmd) Run(ctx context.Context, s program.Streams) (err error) {
	if err := c.Decoding.Use(ctx); err != nil {
		return err
	}
	if c.Threads < 0 || c.Worst < 0 || c.Worst > report.MaxWorst {
		return usageError("--threads must not be negative and --worst must be 0 to %d", report.MaxWorst)
	}
	if err := report.CheckFolder(c.Out, c.Force); err != nil {
		return err
	}
	model, err := models.Open(c.Model)
	if err != nil {
		return modelError(err)
	}
	in := report.Input{
		Model: model, Name: safe.Text(cmp.Or(c.Model, models.Names[0])), Data: safe.Text(c.Data), Split: c.Split,
		Made: time.Now(), Worst: c.Worst, Field: safe.Field,
	}
	if in.History, in.HistorySource, err = c.history(model); err != nil {
		return err
	}
	set, err := datasets.Open(c.Data, datasets.Options{Labels: model.Labels, Silence: c.Silence})
	if err != nil {
		return err
	}
	items, err := clipsOf(set, c.Split)
	if err != nil {
		return err
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
	if in.Raw, err = m.logits(ctx, items, set.Noise, c.Threads, s.Err); err != nil {
		return err
	}
	if left := len(items) - len(m.items); left > 0 {
		in.Notes = append(in.Notes, fmt.Sprintf(
			"%d more clips could not be read, or the model's outputs for them are not finite.", left))
	}
	measured := measureReliability(model, in.Raw)
	in.Figures, in.Notes = measured.rows(), append(in.Notes, measured.setSentences()...)
	loader, err := m.loader(m.items, set.Noise, c.Threads, datasets.Context{})
	if err != nil {
		return err
	}
	in.Samples = func(clip int) ([]float32, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return loader.Samples(clip)
	}
	for _, it := range m.items {
		in.Names = append(in.Names, c.name(it))
	}
	if in.Network, err = training.NewInputGradient(model, dev.Trainer); err != nil {
		return modelError(err)
	}
	defer in.Network.Close()
	defer program.Hold(ctx, reportHold)() // to remove what is half done
	size, err := report.Write(c.Out, in, c.Force)
	if err != nil {
		return err
	}
	safe.Fprintf(s.Out, "%s: %.1f MB\n", filepath.Join(c.Out, "index.html"), float64(size)/1e6)
	return nil
}

// name returns how an example is called in a report: by its file, and its part of it.
func (c *reportCmd) name(it datasets.Item) string {
	name := it.Path
	if below, err := filepath.Rel(c.Data, it.Path); err == nil {
		name = filepath.ToSlash(below)
	}
	if it.Part != (datasets.Span{}) {
		name += fmt.Sprintf(", %.4g to %.4g s", it.Part.From, it.Part.To)
	}
	if it.Silence {
		name += fmt.Sprintf(", silence, %.3g of the way through it", it.Offset)
	}
	return safe.Text(name)
}

// history returns the epochs of the model's training, from --log or from the checkpoint beside the model, and says
// where they are from, or why there are none.
func (c *reportCmd) history(m *polynet.Model) (epochs []training.Epoch, source string, err error) {
	checkpoint := c.Model + ".checkpoint"
	switch {
	case c.Log != "":
		if epochs, err = readLog(c.Log); err != nil {
			return nil, "", err
		}
		return epochs, fmt.Sprintf("Epochs of %s.", safe.Text(c.Log)), nil
	case models.Embedded(c.Model):
		return nil, "There are no epochs to show: the model is an embedded one (--log gives the log of a training).", nil
	case !exists(checkpoint):
		return nil, safe.Sprintf("There are no epochs to show: there is no %s, and no --log was given.", checkpoint), nil
	}
	past, err := training.ReadPast(checkpoint)
	if err != nil {
		return nil, safe.Sprintf("There are no epochs to show: %v.", err), nil
	}
	if past.Data != m.Provenance.Data {
		return nil, safe.Sprintf("There are no epochs to show: %s is of a training on other data.", checkpoint), nil
	}
	return past.History, safe.Sprintf("Epochs of %s.", checkpoint), nil
}

// readLog reads a log of train fit.
func readLog(path string) ([]training.Epoch, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := csv.NewReader(f)
	head, err := rows.Read()
	before := logColumns[:min(len(head), len(logColumns))] // earlier versions wrote the first ones of today's columns
	if err != nil || len(head) < minLogColumns || !slices.Equal(head, before) {
		return nil, fmt.Errorf("--log %s: it is no log of train fit, whose first line is %s",
			path, strings.Join(logColumns, ","))
	}
	list, err := rows.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("--log: %s: %w", path, err)
	}
	var epochs []training.Epoch
	for k, row := range list {
		var e training.Epoch
		var bad error
		number := func(column string) float64 {
			v, err := strconv.ParseFloat(row[slices.Index(logColumns, column)], 64)
			bad = errors.Join(bad, err)
			return v
		}
		e.Epoch, e.Rate, e.Loss = int(number("epoch")), number("rate"), number("loss")
		e.TrainAccuracy, e.ValidAccuracy = number("train_accuracy"), number("valid_accuracy")
		e.ValidNLL, e.Best = number("valid_nll"), row[slices.Index(logColumns, "best")] == "true"
		if bad != nil || e.Epoch != k+1 {
			return nil, fmt.Errorf("--log %s: line %d is no line of an epoch", path, k+2)
		}
		epochs = append(epochs, e)
	}
	return epochs, nil
}
