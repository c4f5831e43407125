package main

import (
	"fmt"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// textFormat writes lines for people: one a window, event, result or error.
type textFormat struct {
	records.Output
	column int     // where the labels begin
	bound  float64 // below which answers are refused
}

// maxColumn bounds the width of the file names.
const maxColumn = 60

func newTextFormat(out output, o formatOptions) *textFormat {
	return &textFormat{Output: out, column: min(o.survey.nameWidth, maxColumn), bound: o.bound}
}

// line writes a line about a file.
func (f *textFormat) line(file safe.String, format string, args ...any) {
	fmt.Fprintf(f, "%-*s  %s\n", f.column, safe.Text(string(file)), safe.Sprintf(format, args...))
}

func (f *textFormat) Window(w window) {
	f.line(w.File, "%s  at %.2f-%.2f s%s", f.labels(w.Answer), w.Start, w.End, w.Set)
}

func (f *textFormat) Event(e event) {
	if clock, err := time.Parse(records.ClockFormat, e.Clock); err == nil {
		e.File = safe.String(clock.Format("15:04:05"))
	}
	f.line(e.File, "%s  at %.2f-%.2f s", labelTexts(labels{{Label: e.Label, P: e.P}}), e.Start, e.End)
}

func (f *textFormat) Result(r result) {
	found := ""
	switch {
	case r.As == records.AsEvents:
		found = ", " + count(r.Events, "event")
		if r.RefusedEvents > 0 {
			found += fmt.Sprintf(", %d refused", r.RefusedEvents)
		}
	case r.As == records.AsWindows:
		found = ", " + count(r.Windows, "window")
	}
	length := progress.Duration(float64(r.Seconds))
	f.line(r.File, "%s  in %s%s%s%s", f.labels(r.Answer), length, found, r.Set, r.Remark())
}

// labels returns the labels of an answer, and why it is refused if it is.
func (f *textFormat) labels(a answer) string {
	if a.Refused {
		return fmt.Sprintf("%s (%s, below %.6g %%)", doubtful, labelTexts(a.Labels), 100*f.bound)
	}
	return labelTexts(a.Labels)
}

func (f *textFormat) Fail(err failure) { f.line(err.File, "error: %s", string(err.Error)) }

// labelTexts returns the labels with their probabilities.
func labelTexts(l labels) string {
	text := ""
	for i, label := range l {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %.1f %%", label.Label, 100*label.P)
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
