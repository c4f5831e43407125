package main

import (
	"fmt"

	"github.com/polyphon/polyphon/cmd/internal/safe"
)

// audacityFormat writes an Audacity label track: start, end and label of each event or window, and of the whole, with
// tabs between.
type audacityFormat struct{ output }

func (f audacityFormat) region(start, end seconds, text string) {
	fmt.Fprintf(f, "%.6f\t%.6f\t%s\n", start, end, safe.Name(text))
}

func (f audacityFormat) event(e event)    { f.region(e.Start, e.End, string(e.Label)) }
func (f audacityFormat) window(w window)  { f.region(w.Start, w.End, w.answer.text()) }
func (f audacityFormat) result(r result)  { f.region(0, r.Seconds, r.answer.text()+r.remark()) }
func (f audacityFormat) fail(err failure) { f.region(0, 0, "error: "+string(err.Error)) }

// text returns the labels, or that they are doubtful, and the set.
func (a answer) text() string {
	if a.Refused {
		return doubtful + a.Set.String()
	}
	return a.Labels.names() + a.Set.String()
}

// names returns the labels without their probabilities.
func (l labels) names() string {
	text := ""
	for i, label := range l {
		if i > 0 {
			text += ", "
		}
		text += string(label.Label)
	}
	return text
}
