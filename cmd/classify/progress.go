package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// patience is how long a run takes before it shows its progress.
const patience = time.Second

// progress shows on a terminal how many inputs are done. A nil one shows nothing.
type progress struct {
	bar   *progressbar.ProgressBar
	begin time.Time
	done  int
}

// newProgress returns nil unless there is a terminal for the progress and the results go elsewhere.
func newProgress(s streams, inputs int) *progress {
	if inputs < 2 || !isTerminal(s.err) || isTerminal(s.out) {
		return nil
	}
	bar := progressbar.NewOptions(inputs,
		progressbar.OptionSetWriter(s.err),
		progressbar.OptionSetDescription("classify"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionFullWidth(),
	)
	return &progress{bar: bar, begin: time.Now()}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// add counts one more input.
func (p *progress) add() {
	if p == nil {
		return
	}
	p.done++
	if time.Since(p.begin) > patience {
		p.bar.Set(p.done)
	}
}

// clear makes room for a message.
func (p *progress) clear() {
	if p != nil && time.Since(p.begin) > patience {
		p.bar.Clear()
	}
}
