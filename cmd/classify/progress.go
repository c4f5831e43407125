package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// patience is how long a run takes before it shows its progress.
const patience = time.Second

// redraw is how often it is drawn anew at most.
const redraw = 100 * time.Millisecond

// progress shows on a terminal how many inputs are done. A nil one shows nothing.
type progress struct {
	bar    *progressbar.ProgressBar
	begin  time.Time
	shown  time.Time
	done   int
	failed int // of these
	heard  seconds
}

// newProgress returns nil unless there is a terminal for the progress and the results go elsewhere, as they do to files.
func newProgress(s streams, inputs int, files bool) *progress {
	if inputs == 0 || inputs == 1 && !files || !isTerminal(s.err) || isTerminal(s.out) && !files {
		return nil
	}
	bar := progressbar.NewOptions(inputs,
		progressbar.OptionSetWriter(s.err),
		progressbar.OptionSetDescription("classify"),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(),
	)
	return &progress{bar: bar, begin: time.Now()}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// hear counts so much more sound.
func (p *progress) hear(s seconds) {
	if p != nil {
		p.heard += s
		p.show()
	}
}

// add counts one more input.
func (p *progress) add(failed bool) {
	if p == nil {
		return
	}
	p.done++
	if failed {
		p.failed++
	}
	p.show()
}

// show draws the bar, after a while and not too often.
func (p *progress) show() {
	now := time.Now()
	if now.Sub(p.begin) < patience || now.Sub(p.shown) < redraw {
		return
	}
	p.shown = now
	text := fmt.Sprintf("%.2f h of sound, %.0f x real time", float64(p.heard)/3600, float64(p.heard)/now.Sub(p.begin).Seconds())
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed", p.failed)
	}
	p.bar.Describe(text)
	p.bar.Set(p.done)
}

// clear makes room for a message.
func (p *progress) clear() {
	if p != nil && time.Since(p.begin) > patience {
		p.bar.Clear()
	}
}
