package main

import (
	"encoding/csv"
	"fmt"

	"github.com/polyphon/polyphon"
)

// csvFormat writes a header and a line a window or event (RFC 4180, with line feeds).
type csvFormat struct {
	output
	rows   *csv.Writer
	live   bool
	labels int // of a line
}

func newCSVFormat(out output, o formatOptions) *csvFormat {
	f := &csvFormat{output: out, rows: csv.NewWriter(out), live: o.live, labels: o.labels}
	header := []string{"file", "start", "end"}
	for i := range o.labels {
		header = append(header, fmt.Sprintf("label%d", i+1), fmt.Sprintf("p%d", i+1))
	}
	if o.live {
		header = []string{"time", "start", "end", "clock", "label", "p"}
	}
	f.rows.Write(header)
	return f
}

func (f *csvFormat) window(file string, w polyphon.Window) {
	row := []string{file, seconds(w.Start).String(), seconds(w.End).String()}
	for _, s := range w.Scores {
		row = append(row, s.Label, probability(s.P).String())
	}
	f.rows.Write(row)
}

func (f *csvFormat) event(e event) {
	start, end, p := e.Start.String(), e.End.String(), e.P.String()
	if f.live {
		f.rows.Write([]string{e.Time.String(), start, end, e.Clock, e.Label, p})
		return
	}
	f.rows.Write(append([]string{e.File, start, end, e.Label, p}, make([]string, 2*(f.labels-1))...))
}

func (f *csvFormat) close(summary) error { return f.flush() }
func (f *csvFormat) flush() error {
	f.rows.Flush()
	return f.output.flush()
}
