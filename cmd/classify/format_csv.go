package main

import (
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/polyphon/polyphon/cmd/internal/safe"
)

// csvFormat writes a header and a line a window, event, result or error (RFC 4180, with line feeds).
type csvFormat struct {
	output
	rows    *csv.Writer
	live    bool
	columns int
}

func newCSVFormat(out output, o formatOptions) *csvFormat {
	f := &csvFormat{output: out, rows: csv.NewWriter(out), live: o.live}
	header := []string{"kind", "file", "start", "end", "events", "message"}
	for i := range o.labels {
		header = append(header, fmt.Sprintf("label%d", i+1), fmt.Sprintf("p%d", i+1))
	}
	if o.live {
		header = []string{"kind", "time", "start", "end", "clock", "label", "p"}
	}
	f.columns = len(header)
	f.rows.Write(header)
	return f
}

// row writes a line. Columns that are not given are empty.
func (f *csvFormat) row(columns []string, l labels) {
	for _, label := range l {
		columns = append(columns, string(label.Label), label.P.String())
	}
	f.rows.Write(append(safe.Fields(columns...), make([]string, f.columns-len(columns))...))
}

func (f *csvFormat) window(w window) {
	f.row([]string{"window", string(w.File), w.Start.String(), w.End.String(), "", ""}, w.Labels)
}

func (f *csvFormat) event(e event) {
	columns := []string{"detection", string(e.File), e.Start.String(), e.End.String(), "", ""}
	if f.live {
		columns = []string{"detection", e.Time.String(), e.Start.String(), e.End.String(), e.Clock}
	}
	f.row(columns, labels{{e.Label, e.P}})
}

func (f *csvFormat) result(r result) {
	message := joined(r.Warning)
	f.row([]string{"result", string(r.File), "0", r.Seconds.String(), strconv.Itoa(r.Events), message}, r.Labels)
}

func (f *csvFormat) fail(err failure) {
	if !f.live {
		f.row([]string{"error", string(err.File), "", "", "", string(err.Error)}, nil)
	}
}

func (f *csvFormat) close(summary) error { return f.flush() }
func (f *csvFormat) flush() error {
	f.rows.Flush()
	return f.output.flush()
}
