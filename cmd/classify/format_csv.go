package main

import (
	"encoding/csv"
	"fmt"
	"strconv"

	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// csvFormat writes a header and a line a window, event, result or error (RFC 4180, with line feeds).
type csvFormat struct {
	records.Output
	rows    *csv.Writer
	live    bool
	refused bool // there is a column of it
	sets    bool
	columns int
}

func newCSVFormat(out output, o formatOptions) *csvFormat {
	f := &csvFormat{Output: out, rows: csv.NewWriter(out), live: o.live}
	header := []string{"kind", "file", "start", "end", "events", "message"}
	if f.refused = o.bound > 0 && !o.live; f.refused {
		header = append(header, "refused")
	}
	if f.sets = o.sets; f.sets {
		header = append(header, "set")
	}
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
func (f *csvFormat) row(columns []string, a answer) {
	fields := safe.Fields(columns...)
	if f.refused {
		fields = append(fields, refusal(a))
	}
	if f.sets {
		fields = append(fields, safe.List(setSeparator, a.Set.Names()...))
	}
	for _, label := range a.Labels {
		fields = append(fields, safe.Field(string(label.Label)), label.P.String())
	}
	f.rows.Write(append(fields, make([]string, f.columns-len(fields))...))
}

func (f *csvFormat) Window(w window) {
	f.row([]string{"window", string(w.File), w.Start.String(), w.End.String(), "", ""}, w.Answer)
}

func (f *csvFormat) Event(e event) {
	columns := []string{"detection", string(e.File), e.Start.String(), e.End.String(), "", ""}
	if f.live {
		columns = []string{"detection", e.Time.String(), e.Start.String(), e.End.String(), e.Clock}
	}
	f.row(columns, answer{Labels: labels{{Label: e.Label, P: e.P}}})
}

func (f *csvFormat) Result(r result) {
	message := records.Joined(r.Warning)
	f.row([]string{"result", string(r.File), "0", r.Seconds.String(), strconv.Itoa(r.Events), message}, r.Answer)
}

func (f *csvFormat) Fail(err failure) {
	if !f.live {
		f.row([]string{"error", string(err.File), "", "", "", string(err.Error)}, answer{})
	}
}

// refusal returns the value of the column refused.
func refusal(a answer) string {
	if a.Refused {
		return "true"
	}
	return ""
}

// setSeparator is between the labels of a set.
const setSeparator = '|'

func (f *csvFormat) Close(summary) error { return f.Flush() }
func (f *csvFormat) Flush() error {
	f.rows.Flush()
	return f.Output.Flush()
}
