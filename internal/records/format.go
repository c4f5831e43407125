package records

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Format writes what is found, in one output format. The windows and events of an input come before its one record, a
// result or a failure, one input after the other; live sound has events and failures only. The next Flush or Close
// returns an error of the output.
type Format interface {
	Window(w Window)
	Event(e Event)
	Result(r Result)
	Fail(f Failure)
	Flush() error
	Close(s Summary) error
}

// Output is a Format that writes nothing. Formats embed it for the methods that they do not need.
type Output struct{ *bufio.Writer }

// NewOutput returns an Output to w.
func NewOutput(w io.Writer) Output { return Output{bufio.NewWriter(w)} }

// Window implements Format.
func (Output) Window(Window) {}

// Event implements Format.
func (Output) Event(Event) {}

// Result implements Format.
func (Output) Result(Result) {}

// Fail implements Format.
func (Output) Fail(Failure) {}

// Close implements Format.
func (o Output) Close(Summary) error { return o.Flush() }

// NDJSON writes one JSON object a line.
type NDJSON struct{ Output }

// line writes a struct after the fields that all lines begin with.
func (f NDJSON) line(event string, v any) {
	fmt.Fprintf(f, "{\"spec\":%d,\"event\":%q,%s\n", Spec, event, Marshal(v)[1:])
}

// Window implements Format.
func (f NDJSON) Window(w Window) { f.line("window", w) }

// Event implements Format.
func (f NDJSON) Event(e Event) { f.line("detection", e) }

// Result implements Format.
func (f NDJSON) Result(r Result) { f.line("result", r) }

// Fail implements Format.
func (f NDJSON) Fail(err Failure) { f.line("error", err) }

// Close implements Format.
func (f NDJSON) Close(s Summary) error {
	f.line("summary", s)
	return f.Flush()
}

// JSON writes one JSON object for the whole run. The first of its lists, which grows longest, is written as it comes;
// the others are kept for the end.
type JSON struct {
	Output
	windows, results, detections, errors jsonList
	lists                                []*jsonList
}

// jsonList is a list of objects in JSON.
type jsonList struct {
	w    io.Writer
	next string // what comes before the next object
	kept bytes.Buffer
}

// NewJSON begins the object. With windows, their list is the one that grows longest.
func NewJSON(out Output, windows bool) *JSON {
	f := &JSON{Output: out}
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
	fmt.Fprintf(out, "{\"spec\":%d,\n", Spec)
	return f
}

func (l *jsonList) add(v any) {
	fmt.Fprintf(l.w, "%s\n%s", l.next, Marshal(v))
	l.next = ","
}

// Window implements Format.
func (f *JSON) Window(w Window) { f.windows.add(w) }

// Event implements Format.
func (f *JSON) Event(e Event) { f.detections.add(e) }

// Result implements Format.
func (f *JSON) Result(r Result) { f.results.add(r) }

// Fail implements Format.
func (f *JSON) Fail(err Failure) { f.errors.add(err) }

// Close implements Format.
func (f *JSON) Close(s Summary) error {
	for _, l := range f.lists {
		f.Write(l.kept.Bytes())
		fmt.Fprintf(f, "%s],\n", strings.TrimPrefix(l.next, ","))
	}
	fmt.Fprintf(f, "\"summary\":%s}\n", Marshal(s))
	return f.Flush()
}
