package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/cmd/internal/safe"
)

// textFormat writes lines for people: one a window, event, result or error.
type textFormat struct {
	output
	column int     // where the labels begin
	bound  float64 // below which answers are refused
}

// maxColumn bounds the width of the file names.
const maxColumn = 60

func newTextFormat(out output, o formatOptions) *textFormat {
	return &textFormat{output: out, column: min(o.survey.nameWidth, maxColumn), bound: o.bound}
}

// line writes a line about a file.
func (f *textFormat) line(file safe.String, format string, args ...any) {
	fmt.Fprintf(f, "%-*s  %s\n", f.column, safe.Text(string(file)), safe.Sprintf(format, args...))
}

func (f *textFormat) window(w window) {
	f.line(w.File, "%s  at %.2f-%.2f s%s", f.labels(w.answer), w.Start, w.End, w.Set)
}

func (f *textFormat) event(e event) {
	if clock, err := time.Parse(clockFormat, e.Clock); err == nil {
		e.File = safe.String(clock.Format("15:04:05"))
	}
	f.line(e.File, "%s  at %.2f-%.2f s", labels{{e.Label, e.P}}.String(), e.Start, e.End)
}

func (f *textFormat) result(r result) {
	found := ""
	switch {
	case r.As == asEvents:
		found = ", " + count(r.Events, "event")
		if r.RefusedEvents > 0 {
			found += fmt.Sprintf(", %d refused", r.RefusedEvents)
		}
	case r.As == asWindows:
		found = ", " + count(r.windows, "window")
	}
	length := progress.Duration(float64(r.Seconds))
	f.line(r.File, "%s  in %s%s%s%s", f.labels(r.answer), length, found, r.Set, r.remark())
}

// labels returns the labels of an answer, and why it is refused if it is.
func (f *textFormat) labels(a answer) string {
	if a.Refused {
		return fmt.Sprintf("%s (%s, below %.6g %%)", doubtful, a.Labels, 100*f.bound)
	}
	return a.Labels.String()
}

// String returns the set as it follows a text; nothing where none was asked for.
func (s labelSet) String() string {
	if s == nil {
		return ""
	}
	return "  {" + strings.Join(s.names(), ", ") + "}"
}

func (f *textFormat) fail(err failure) { f.line(err.File, "error: %s", string(err.Error)) }

// String returns the labels with their probabilities.
func (l labels) String() string {
	text := ""
	for i, label := range l {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %.1f %%", label.Label, 100*label.P)
	}
	return text
}

// remark returns the warnings as they follow a text.
func (r result) remark() string {
	if len(r.Warning) == 0 {
		return ""
	}
	return "  (warning: " + joined(r.Warning) + ")"
}

// joined returns warnings as one.
func joined(warnings []safe.String) (text string) {
	for i, w := range warnings {
		if i > 0 {
			text += warningSeparator
		}
		text += string(w)
	}
	return text
}

// count returns a number of things.
func count(n int, thing string) string {
	switch n {
	case 0:
		return "no " + thing + "s"
	case 1:
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
