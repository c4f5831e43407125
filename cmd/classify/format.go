package main

import (
	"io"

	"github.com/polyphon/polyphon/internal/records"
)

// What formats write.
type (
	format  = records.Format
	output  = records.Output
	result  = records.Result
	window  = records.Window
	event   = records.Event
	answer  = records.Answer
	labels  = records.Labels
	failure = records.Failure
	summary = records.Summary
	seconds = records.Seconds
)

// formatOptions say what a format needs to know before it begins.
type formatOptions struct {
	name    string // of the format
	live    bool   // live sound
	labels  int    // of each window and result
	windows bool   // each window is reported
	sets    bool   // windows and results have sets of labels
	watch   *driftWatch
	bound   float64 // of probabilities below which windows and results are refused; 0: none
	survey  survey  // of the inputs whose names are written
	summary summary // what is known of it before the work begins
}

// newFormat begins a format on w.
func newFormat(w io.Writer, o formatOptions) format {
	out := records.NewOutput(w)
	switch o.name {
	case "json":
		return records.NewJSON(out, o.windows)
	case "ndjson":
		return records.NDJSON{Output: out}
	case "csv":
		return newCSVFormat(out, o)
	case "audacity":
		return audacityFormat{out}
	}
	return newTextFormat(out, o)
}

// doubtful stands for the label of an answer that is refused, for people.
const doubtful = "?"
