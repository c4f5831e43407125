package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/polyphon/polyphon"
)

// textFormat writes lines for people: one an event, and of a file that is answered by windows the one of the likeliest
// word.
type textFormat struct {
	output
	column  int // where the labels begin
	summary summary

	events  int // of the current file
	windows int // of it
	best    polyphon.Window
}

// maxColumn bounds the width of the file names.
const maxColumn = 60

func newTextFormat(out output, o formatOptions) *textFormat {
	return &textFormat{output: out, summary: o.summary, column: min(o.survey.nameWidth, maxColumn)}
}

func (f *textFormat) window(_ string, w polyphon.Window) {
	if f.windows == 0 || better(w, f.best) {
		f.best = w
	}
	f.windows++
}

// better reports whether a is to be reported instead of b: words come before background, then the likelier label.
func better(a, b polyphon.Window) bool {
	if a.Background() != b.Background() {
		return b.Background()
	}
	return a.Scores[0].P > b.Scores[0].P
}

func (f *textFormat) event(e event) {
	f.events++
	if clock, err := time.Parse(clockFormat, e.Clock); err == nil {
		f.WriteString(clock.Format("15:04:05"))
	} else {
		f.file(e.File)
	}
	fmt.Fprintf(f, "  %s %.1f %%  at %.2f-%.2f s\n", e.Label, 100*e.P, e.Start, e.End)
}

func (f *textFormat) end(file string, o outcome) {
	switch {
	case f.windows > 0:
		f.file(file)
		separator := "  "
		for _, s := range f.best.Scores {
			fmt.Fprintf(f, "%s%s %.1f %%", separator, s.Label, 100*s.P)
			separator = ", "
		}
		if f.windows > 1 {
			fmt.Fprintf(f, "  at %.2f-%.2f s of %.2f s (%d windows of %v s, hop %v s)",
				f.best.Start, f.best.End, o.length, f.windows, f.summary.Window, f.summary.Hop)
		}
		f.WriteByte('\n')
	case f.events == 0:
		f.file(file)
		fmt.Fprintf(f, "  no events in %.2f s\n", o.length)
	}
	f.windows, f.events = 0, 0
}

func (f *textFormat) fail(failure) { f.windows, f.events = 0, 0 }

// file writes a file's name, quoted where it would not stay on its line.
func (f *textFormat) file(name string) {
	if strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name) {
		name = strconv.Quote(name)
	}
	fmt.Fprintf(f, "%-*s", f.column, name)
}
