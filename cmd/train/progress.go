package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/training"
)

// runProgress shows a training run: a bar or a line now and then while an epoch runs, and during other work, a line
// about each epoch, and a line of figures in the log file.
type runProgress struct {
	out     io.Writer
	bar     *progress.Bar // nil: not begun
	log     *csv.Writer
	begun   time.Time
	done    int           // epochs, when the run began
	clips   int           // of the epochs since then
	running training.Work // whose bar is shown; "": epochs
}

// begin writes the epochs of a resumed run to the log, so that it contains all of them.
func (p *runProgress) begin(log io.Writer, history []training.Epoch) {
	p.done, p.log = len(history), csv.NewWriter(log)
	p.record(logColumns...)
	for _, e := range history {
		p.recordEpoch(e)
	}
}

// work shows how far work is that is no training.
func (p *runProgress) work(w training.Work, done, total int) {
	if w == training.Validation {
		p.bar.Describe(fmt.Sprintf("%s %d %%", w, 100*done/total))
		return
	}
	if w != p.running {
		p.bar.Clear()
		p.bar, p.running = progress.New(p.out, total, "train"), w
		p.bar.Describe(string(w))
	}
	if p.bar.Set(done); done == total {
		p.bar.Clear()
	}
}

func (p *runProgress) step(s training.Progress) {
	if p.begun.IsZero() {
		p.begun, p.running = time.Now(), ""
		p.bar = progress.New(p.out, (s.Epochs-p.done)*s.Total, "train")
	}
	done := p.clips + s.Clips
	p.bar.Describe(fmt.Sprintf("epoch %d/%d  %d %%  loss %s  accuracy %s %%  %.0f clips/s", s.Epoch, s.Epochs,
		100*s.Clips/s.Total, nats(s.Loss, s.Clips), percent(s.Accuracy, s.Clips),
		float64(done)/time.Since(p.begun).Seconds()))
	p.bar.Set(done)
}

func (p *runProgress) epoch(e training.Epoch) {
	p.clips += e.Clips
	p.recordEpoch(e)
	context, mark := "", ""
	if e.ContextNLL > 0 { // the run trains with context
		context = fmt.Sprintf(", in context %s %%", percent(e.ContextAccuracy, e.ValidClips))
	}
	if e.Hard > 0 {
		mark = fmt.Sprintf("  %d hard places", e.Hard)
	}
	if e.Best {
		mark += "  best"
	}
	p.bar.Clear()
	fmt.Fprintf(p.out, "epoch %d  loss %s  accuracy %s %%  validation %s %%%s  %.0f clips/s%s\n",
		e.Epoch, nats(e.Loss, e.Clips), percent(e.TrainAccuracy, e.Clips), percent(e.ValidAccuracy, e.ValidClips),
		context, float64(e.Clips)/e.TrainTime.Seconds(), mark)
}

// minLogColumns are how many columns a log has at least.
const minLogColumns = 12

// logColumns are the log's first line.
var logColumns = []string{
	"epoch", "rate", "loss", "train_accuracy", "valid_accuracy", "valid_nll", "context_accuracy", "context_nll", "best",
	"clips", "train_seconds", "valid_seconds", "hard",
}

func (p *runProgress) recordEpoch(e training.Epoch) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	p.record(strconv.Itoa(e.Epoch), number(e.Rate), number(e.Loss), number(e.TrainAccuracy), number(e.ValidAccuracy),
		number(e.ValidNLL), number(e.ContextAccuracy), number(e.ContextNLL), strconv.FormatBool(e.Best),
		strconv.Itoa(e.Clips), number(e.TrainTime.Seconds()), number(e.ValidTime.Seconds()),
		strconv.Itoa(e.Hard))
}

// record appends a line to the log. A full disk does not end the training.
func (p *runProgress) record(fields ...string) {
	p.log.Write(fields)
	p.log.Flush()
}

// counted yields the batches, and shows how many of so many clips they are.
func counted(
	w io.Writer, what string, clips int, batches iter.Seq2[*datasets.Batch, error],
) iter.Seq2[*datasets.Batch, error] {
	return func(yield func(*datasets.Batch, error) bool) {
		bar := progress.New(w, clips, "train")
		defer bar.Clear()
		bar.Describe(what)
		for b, err := range batches {
			if !yield(b, err) {
				return
			}
			if err == nil {
				bar.Add(b.B)
			}
		}
	}
}
