package main

import (
	"fmt"

	"github.com/polyphon/polyphon"
)

// audacityFormat writes an Audacity label track: start, end and label of each event or window, with tabs between.
type audacityFormat struct{ output }

func (f audacityFormat) label(start, end seconds, label string) {
	fmt.Fprintf(f, "%.6f\t%.6f\t%s\n", start, end, label) // a label holds no control characters
}

func (f audacityFormat) event(e event) { f.label(e.Start, e.End, e.Label) }

func (f audacityFormat) window(_ string, w polyphon.Window) {
	f.label(seconds(w.Start), seconds(w.End), w.Scores[0].Label)
}
