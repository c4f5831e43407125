package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"time"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// detection is an event in JSON.
type detection struct {
	File  string      `json:"file,omitempty"`
	Time  seconds     `json:"time"`
	Start seconds     `json:"start"`
	End   seconds     `json:"end"`
	Clock string      `json:"clock,omitempty"` // RFC 3339, when it was told
	Label string      `json:"label"`
	P     probability `json:"p"`
}

func newDetection(file string, e detect.Event) detection {
	return detection{File: file, Time: seconds(e.Time), Start: seconds(e.Start), End: seconds(e.End), Label: e.Label, P: probability(e.P)}
}

// streamSummary is what happened to a live sound.
type streamSummary struct {
	Decisions      int     `json:"decisions"`
	Frames         int     `json:"frames"`
	Gated          int     `json:"gated_frames"` // those that the network has not been asked about
	Diverged       int     `json:"diverged"`     // decisions that were not finite
	WorstLag       seconds `json:"worst_lag"`    // behind the sound
	CommandsFailed int     `json:"commands_failed"`
	CommandsLeft   int     `json:"commands_left"` // out
}

// clockFormat is RFC 3339 with milliseconds.
const clockFormat = "2006-01-02T15:04:05.000Z07:00"

// eventReport writes events in one format. Errors in writing come with the next flush or close.
type eventReport interface {
	detection(d detection)
	fail(file string, err error)
	flush() error
	close(s summary) error
}

// newEventReport returns the report of a format for live sound.
func newEventReport(format string, w io.Writer) eventReport {
	out := bufio.NewWriter(w)
	switch format {
	case "ndjson":
		return &ndjsonReport{out: out, lines: newEncoder(out)}
	case "csv":
		r := &liveCSV{csv.NewWriter(out)}
		r.rows.Write([]string{"time", "start", "end", "clock", "label", "p"})
		return r
	case "audacity":
		return &labelTrack{out: out}
	}
	return &liveText{out}
}

func (r *ndjsonReport) detection(d detection) {
	r.lines.Encode(struct {
		head
		detection
	}{head{spec, "detection"}, d})
}

// liveText writes a readable line an event.
type liveText struct{ out *bufio.Writer }

func (r *liveText) detection(d detection) {
	at := d.Clock
	if clock, err := time.Parse(clockFormat, d.Clock); err == nil {
		at = clock.Format("15:04:05")
	}
	fmt.Fprintf(r.out, "%s  %s %.1f %%  at %.2f-%.2f s\n", at, d.Label, 100*d.P, d.Start, d.End)
}

func (r *liveText) fail(string, error)  {}
func (r *liveText) flush() error        { return r.out.Flush() }
func (r *liveText) close(summary) error { return r.out.Flush() }

// liveCSV writes a header and a line an event.
type liveCSV struct{ rows *csv.Writer }

func (r *liveCSV) detection(d detection) {
	r.rows.Write([]string{d.Time.String(), d.Start.String(), d.End.String(), d.Clock, d.Label, d.P.String()})
}

func (r *liveCSV) fail(string, error)  {}
func (r *liveCSV) close(summary) error { return r.flush() }
func (r *liveCSV) flush() error {
	r.rows.Flush()
	return r.rows.Error()
}

// labelTrack writes an Audacity label track: start, end and label of each event, with tabs between.
type labelTrack struct{ out *bufio.Writer }

func (r *labelTrack) detection(d detection) { r.label(d.Start, d.End, d.Label) }

func (r *labelTrack) label(start, end seconds, label string) {
	fmt.Fprintf(r.out, "%.6f\t%.6f\t%s\n", start, end, label) // a label holds no control characters
}

func (r *labelTrack) window(_ string, w polynet.Window) {
	r.label(seconds(w.Start), seconds(w.End), w.Scores[0].Label)
}

func (r *labelTrack) end(string, outcome) {}
func (r *labelTrack) fail(string, error)  {}
func (r *labelTrack) flush() error        { return r.out.Flush() }
func (r *labelTrack) close(summary) error { return r.out.Flush() }
