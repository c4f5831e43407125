package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/training"
	"golang.org/x/term"
)

// redraw is how often the running epoch's line is written anew.
const redraw = 200 * time.Millisecond

// progress shows a run: one line on a terminal, redrawn while an epoch runs and kept when it is over; nothing in a pipe.
// Figures go to the log file, too.
type progress struct {
	out   io.Writer // nil: no terminal
	log   *os.File  // nil: none
	begun time.Time
	done  int // epochs when the run began
	clips int // learnt from since then
	drawn time.Time
}

// newProgress writes the epochs of a resumed run to the log, which thereby holds all of them.
func newProgress(s streams, log string, history []training.Epoch) (*progress, error) {
	p := &progress{begun: time.Now(), done: len(history)}
	if f, ok := s.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.out = f
	}
	if log == "" {
		return p, nil
	}
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p.log = f
	p.record("epoch", "rate", "loss", "train_accuracy", "valid_accuracy", "valid_nll", "context_accuracy", "context_nll", "best", "clips", "train_seconds", "valid_seconds")
	for _, e := range history {
		p.recordEpoch(e)
	}
	return p, nil
}

func (p *progress) close() {
	if p.log != nil {
		p.log.Close()
	}
}

func (p *progress) step(s training.Progress) {
	if p.out == nil || time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	spent := time.Since(p.begun).Seconds()
	seen := p.clips + s.Clips
	left := (s.Epochs-p.done)*s.Total - seen
	perSecond := float64(seen) / spent
	remaining := time.Duration(float64(left) / perSecond * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(p.out, "\r\x1b[Kepoch %d/%d  %3d %%  loss %.4f  accuracy %.1f %%  %.0f clips/s  %v left",
		s.Epoch, s.Epochs, 100*s.Clips/s.Total, s.Loss, s.Accuracy, perSecond, remaining)
}

func (p *progress) epoch(e training.Epoch) {
	p.clips += e.Clips
	p.recordEpoch(e)
	if p.out == nil {
		return
	}
	context, mark := "", ""
	if e.ContextAccuracy > 0 {
		context = fmt.Sprintf(", in context %.2f %%", e.ContextAccuracy)
	}
	if e.Best {
		mark = "  best"
	}
	fmt.Fprintf(p.out, "\r\x1b[Kepoch %d  loss %.4f  accuracy %.1f %%  validation %.2f %%%s  %.0f clips/s%s\n",
		e.Epoch, e.Loss, e.TrainAccuracy, e.ValidAccuracy, context, float64(e.Clips)/e.TrainTime.Seconds(), mark)
}

func (p *progress) recordEpoch(e training.Epoch) {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	p.record(strconv.Itoa(e.Epoch), number(e.Rate), number(e.Loss), number(e.TrainAccuracy), number(e.ValidAccuracy),
		number(e.ValidNLL), number(e.ContextAccuracy), number(e.ContextNLL), strconv.FormatBool(e.Best), strconv.Itoa(e.Clips), number(e.TrainTime.Seconds()), number(e.ValidTime.Seconds()))
}

// record appends one line to the log. A full disk does not end the training.
func (p *progress) record(fields ...string) {
	if p.log == nil {
		return
	}
	w := csv.NewWriter(p.log)
	w.Write(fields)
	w.Flush()
}
