// Package progress shows how much of a command's work is done.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

const (
	delay  = time.Second            // from the beginning of the work to the first drawing on a terminal
	redraw = 100 * time.Millisecond // from one drawing to the next, at least
	period = 30 * time.Second       // from one line to the next where there is no terminal
)

// Bar shows a description, counts and the time that is left: on a terminal beside a bar on one line, redrawn in place,
// elsewhere as a line now and then. A nil Bar shows nothing. Several goroutines may use it.
type Bar struct {
	out         io.Writer
	program     string
	mu          sync.Mutex               // guards what follows
	bar         *progressbar.ProgressBar // nil: no terminal
	description string
	done, total int
	begun       time.Time
	shown       time.Time // zero while nothing is
}

// New returns a Bar on w for an amount of work of a program.
func New(w io.Writer, total int, program string) *Bar {
	b := &Bar{out: w, program: program, total: total, begun: time.Now()}
	if IsTerminal(w) {
		b.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(w),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionFullWidth(),
		)
	}
	return b
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Add counts work that has been done.
func (b *Bar) Add(n int) {
	b.update(func() { b.done += n })
}

// Set says how much work has been done. What exceeds the total counts as the total.
func (b *Bar) Set(done int) {
	b.update(func() { b.done = done })
}

// Describe replaces the description.
func (b *Bar) Describe(text string) {
	b.update(func() { b.description = text })
}

func (b *Bar) update(change func()) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.done = min(b.done, b.total)
	b.show()
}

// Clear removes the bar from the terminal, for a message, which elsewhere stands for a line about the progress. The
// next Add, Set or Describe may show it again.
func (b *Bar) Clear() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.bar == nil:
		b.shown = time.Now()
	case !b.shown.IsZero():
		b.bar.Clear()
	}
}

func (b *Bar) show() {
	now := time.Now()
	switch {
	case b.bar == nil:
		if b.done < b.total && now.Sub(b.begun) >= period && now.Sub(b.shown) >= period {
			b.shown = now
			fmt.Fprintln(b.out, b.line(now.Sub(b.begun)))
		}
	case now.Sub(b.begun) >= delay && now.Sub(b.shown) >= redraw:
		b.shown = now
		b.bar.Describe(b.description)
		b.bar.Set(b.done)
	}
}

// line returns what is said after so much time.
func (b *Bar) line(after time.Duration) string {
	text := fmt.Sprintf("%s: %d of %d, %d %%", b.program, b.done, b.total, 100*b.done/b.total)
	if b.done > 0 {
		left := time.Duration(float64(after) * float64(b.total-b.done) / float64(b.done))
		text += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	if b.description != "" {
		text += "  " + b.description
	}
	return text
}
