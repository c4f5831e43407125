// Package progress shows on a terminal how much of a command's work is done.
package progress

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	delay  = time.Second            // from the beginning of the work to the first drawing
	redraw = 100 * time.Millisecond // from one drawing to the next, at least
)

// Bar shows a description, a bar, counts and the time that is left on one line of a terminal, redrawn in place. A nil
// Bar shows nothing. It is used by one goroutine at a time.
type Bar struct {
	bar         *progressbar.ProgressBar
	description string
	done        int
	begun       time.Time
	drawn       time.Time // zero while nothing is on the terminal
}

// New returns a Bar on w for an amount of work, or nil where w is no terminal.
func New(w io.Writer, total int, description string) *Bar {
	if !IsTerminal(w) {
		return nil
	}
	return &Bar{description: description, begun: time.Now(), bar: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(),
	)}
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Add counts work that has been done.
func (b *Bar) Add(n int) {
	if b != nil {
		b.done += n
		b.draw()
	}
}

// Describe replaces the description.
func (b *Bar) Describe(text string) {
	if b != nil {
		b.description = text
		b.draw()
	}
}

// Clear removes the bar from the terminal, for a message. The next Add or Describe may show it again.
func (b *Bar) Clear() {
	if b != nil && !b.drawn.IsZero() {
		b.bar.Clear()
	}
}

func (b *Bar) draw() {
	if now := time.Now(); now.Sub(b.begun) >= delay && now.Sub(b.drawn) >= redraw {
		b.drawn = now
		b.bar.Describe(b.description)
		b.bar.Set(b.done)
	}
}
