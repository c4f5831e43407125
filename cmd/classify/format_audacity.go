package main

import (
	"fmt"

	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// audacityFormat writes an Audacity label track: start, end and label of each event or window, and of the whole, with
// tabs between.
type audacityFormat struct{ records.Output }

func (f audacityFormat) region(start, end seconds, text string) {
	fmt.Fprintf(f, "%.6f\t%.6f\t%s\n", start, end, safe.Name(text))
}

func (f audacityFormat) Event(e event)    { f.region(e.Start, e.End, string(e.Label)) }
func (f audacityFormat) Window(w window)  { f.region(w.Start, w.End, answerText(w.Answer)) }
func (f audacityFormat) Result(r result)  { f.region(0, r.Seconds, answerText(r.Answer)+r.Remark()) }
func (f audacityFormat) Fail(err failure) { f.region(0, 0, "error: "+string(err.Error)) }

// answerText returns the labels, or that they are doubtful, and the set.
func answerText(a answer) string {
	if a.Refused {
		return doubtful + a.Set.String()
	}
	return labelNames(a.Labels) + a.Set.String()
}

// labelNames returns the labels without their probabilities.
func labelNames(l labels) string {
	text := ""
	for i, label := range l {
		if i > 0 {
			text += ", "
		}
		text += string(label.Label)
	}
	return text
}
