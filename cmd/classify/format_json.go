package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// ndjsonFormat writes one JSON object a line.
type ndjsonFormat struct{ output }

// line writes a struct after the fields that all lines begin with.
func (f ndjsonFormat) line(event string, v any) {
	fmt.Fprintf(f, "{\"spec\":%d,\"event\":%q,%s\n", spec, event, marshal(v)[1:])
}

func (f ndjsonFormat) window(w window)  { f.line("window", w) }
func (f ndjsonFormat) event(e event)    { f.line("detection", e) }
func (f ndjsonFormat) result(r result)  { f.line("result", r) }
func (f ndjsonFormat) fail(err failure) { f.line("error", err) }

func (f ndjsonFormat) close(s summary) error {
	f.line("summary", s)
	return f.flush()
}

// jsonFormat writes one JSON object for the whole run. The first of its lists, which grows longest, is written as it
// comes; the others are kept for the end.
type jsonFormat struct {
	output
	windows, results, detections, errors jsonList
	lists                                []*jsonList
}

// jsonList is a list of objects in JSON.
type jsonList struct {
	w    io.Writer
	next string // what comes before the next object
	kept bytes.Buffer
}

func newJSONFormat(out output, windows bool) *jsonFormat {
	f := &jsonFormat{output: out}
	f.results.next, f.windows.next = `"results":[`, `"windows":[`
	f.detections.next, f.errors.next = `"detections":[`, `"errors":[`
	f.lists = []*jsonList{&f.results, &f.windows, &f.detections, &f.errors}
	if windows {
		f.lists[0], f.lists[1] = f.lists[1], f.lists[0]
	}
	for _, l := range f.lists {
		l.w = &l.kept
	}
	f.lists[0].w = out
	fmt.Fprintf(out, "{\"spec\":%d,\n", spec)
	return f
}

func (l *jsonList) add(v any) {
	fmt.Fprintf(l.w, "%s\n%s", l.next, marshal(v))
	l.next = ","
}

func (f *jsonFormat) window(w window)  { f.windows.add(w) }
func (f *jsonFormat) event(e event)    { f.detections.add(e) }
func (f *jsonFormat) result(r result)  { f.results.add(r) }
func (f *jsonFormat) fail(err failure) { f.errors.add(err) }

func (f *jsonFormat) close(s summary) error {
	for _, l := range f.lists {
		f.Write(l.kept.Bytes())
		fmt.Fprintf(f, "%s],\n", strings.TrimPrefix(l.next, ","))
	}
	fmt.Fprintf(f, "\"summary\":%s}\n", marshal(s))
	return f.flush()
}
