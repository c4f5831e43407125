package main

import (
	"fmt"

	"github.com/polyphon/polyphon"
)

// ndjsonFormat writes one JSON object a line.
type ndjsonFormat struct{ output }

// line writes a struct after the fields that all lines begin with.
func (f ndjsonFormat) line(event string, v any) {
	fmt.Fprintf(f, "{\"spec\":%d,\"event\":%q,%s\n", spec, event, marshal(v)[1:])
}

func (f ndjsonFormat) window(file string, w polyphon.Window) { f.line("result", newResult(file, w)) }
func (f ndjsonFormat) event(e event)                         { f.line("detection", e) }
func (f ndjsonFormat) fail(err failure)                      { f.line("error", err) }

func (f ndjsonFormat) close(s summary) error {
	f.line("summary", s)
	return f.flush()
}

// jsonFormat writes one JSON object for the whole run.
type jsonFormat struct {
	output
	before   string // the next result
	events   []event
	failures []failure
}

func (f *jsonFormat) window(file string, w polyphon.Window) {
	fmt.Fprintf(f, "%s%s", f.before, marshal(newResult(file, w)))
	f.before = ",\n"
}

func (f *jsonFormat) event(e event)    { f.events = append(f.events, e) }
func (f *jsonFormat) fail(err failure) { f.failures = append(f.failures, err) }

func (f *jsonFormat) close(s summary) error {
	if f.before != ",\n" {
		f.WriteString(f.before)
	}
	fmt.Fprintf(f, "],\n\"detections\":%s,\n\"errors\":%s,\n\"summary\":%s}\n",
		marshal(append([]event{}, f.events...)), marshal(append([]failure{}, f.failures...)), marshal(s))
	return f.flush()
}
