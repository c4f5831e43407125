package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/training"
)

// runProgress shows a training run: a bar while an epoch runs, on a terminal, a line about each epoch, and a line of
// figures in the log file.
type runProgress struct {
	out   io.Writer
	bar   *progress.Bar // nil: not begun, or no terminal
	log   *csv.Writer
	begun time.Time
	done  int // epochs, when the run began
	clips int // of the epochs since then
	shown int // clips, on the bar
}

// begin writes the epochs of a resumed run to the log, so that it contains all of them.
func (p *runProgress) begin(log io.Writer, history []training.Epoch) {
	p.begun, p.done, p.log = time.Now(), len(history), csv.NewWriter(log)
	p.record("epoch", "rate", "loss", "train_accuracy", "valid_accuracy", "valid_nll", "context_accuracy", "context_nll",
		"best", "clips", "train_seconds", "valid_seconds")
	for _, e := range history {
		p.recordEpoch(e)
	}
}

func (p *runProgress) step(s training.Progress) {
	if p.bar == nil && p.shown == 0 {
		p.bar = progress.New(p.out, (s.Epochs-p.done)*s.Total, "")
	}
	done := p.clips + s.Clips
	p.bar.Add(done - p.shown)
	p.shown = done
	p.bar.Describe(fmt.Sprintf("epoch %d/%d  %3d %%  loss %.4f  accuracy %.1f %%  %.0f clips/s", s.Epoch, s.Epochs,
		100*s.Clips/s.Total, s.Loss, s.Accuracy, float64(done)/time.Since(p.begun).Seconds()))
}

func (p *runProgress) epoch(e training.Epoch) {
	p.clips += e.Clips
	p.recordEpoch(e)
	context, mark := "", ""
	if e.ContextAccuracy > 0 {
		context = fmt.Sprintf(", in context %.2f %%", e.ContextAccuracy)
	}
	if e.Best {
		mark = "  best"
	}
	p.bar.Clear()
	fmt.Fprintf(p.out, "epoch %d  loss %.4f  accuracy %.1f %%  validation %.2f %%%s  %.0f clips/s%s\n",
		e.Epoch, e.Loss, e.TrainAccuracy, e.ValidAccuracy, context, float64(e.Clips)/e.TrainTime.Seconds(), mark)
}

func (p *runProgress) recordEpoch(e training.Epoch) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	p.record(strconv.Itoa(e.Epoch), number(e.Rate), number(e.Loss), number(e.TrainAccuracy), number(e.ValidAccuracy),
		number(e.ValidNLL), number(e.ContextAccuracy), number(e.ContextNLL), strconv.FormatBool(e.Best),
		strconv.Itoa(e.Clips), number(e.TrainTime.Seconds()), number(e.ValidTime.Seconds()))
}

// record appends a line to the log. A full disk does not end the training.
func (p *runProgress) record(fields ...string) {
	p.log.Write(fields)
	p.log.Flush()
}
