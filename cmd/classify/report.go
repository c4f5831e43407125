package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon/polynet"
)

// spec is the version of the json, ndjson and csv formats, which docs/output.md describes.
const spec = 1

// report writes results in one format. The windows and events of an input come before its end or its failure, one input after
// the other. Errors in writing come with the next flush or close.
type report interface {
	eventReport
	window(file string, w polynet.Window)
	end(file string, o outcome)
}

// newReport returns the report of a format for some of the job's inputs.
func newReport(format string, w io.Writer, j *job, inputs []input) report {
	out := bufio.NewWriter(w)
	switch format {
	case "json":
		return &jsonReport{out: out}
	case "ndjson":
		return &ndjsonReport{out: out, lines: newEncoder(out)}
	case "csv":
		return newCSVReport(out, j.workers[0].Top())
	case "audacity":
		return &labelTrack{out: out}
	}
	return newTextReport(out, j, inputs)
}

// summary is what a run did.
type summary struct {
	Files        int     `json:"files"`             // inputs that were tried
	Failed       int     `json:"failed"`            // of these
	Skipped      int     `json:"skipped,omitempty"` // inputs that were not tried, since there are results of them
	Windows      int     `json:"windows"`
	AudioSeconds seconds `json:"audio_seconds"` // length of what was classified
	Window       seconds `json:"window"`
	Hop          seconds `json:"hop"`
	Model        string  `json:"model"`
	Device       string  `json:"device"`
	Threads      int     `json:"threads"`
	Shard        string  `json:"shard,omitempty"`   // "I/N"
	Elapsed      seconds `json:"elapsed,omitempty"` // since the work began
	Interrupted  bool    `json:"interrupted"`       // before all inputs were tried

	Events int            `json:"events"`
	Stream *streamSummary `json:"stream,omitempty"`
}

// result is a window in JSON.
type result struct {
	File   string  `json:"file"`
	Start  seconds `json:"start"`
	End    seconds `json:"end"`
	Labels []label `json:"labels"`
}

type label struct {
	Label string      `json:"label"`
	P     probability `json:"p"`
}

// failure is an input that could not be classified, in JSON.
type failure struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

// probability is written with six significant digits.
type probability float64

func (p probability) String() string { return strconv.FormatFloat(float64(p), 'g', 6, 64) }

// MarshalJSON implements json.Marshaler.
func (p probability) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// seconds are written to the microsecond.
type seconds float64

func (s seconds) String() string {
	text := strconv.FormatFloat(float64(s), 'f', 6, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// MarshalJSON implements json.Marshaler.
func (s seconds) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

func newResult(file string, w polynet.Window) result {
	r := result{File: file, Start: seconds(w.Start), End: seconds(w.End)}
	for _, s := range w.Scores {
		r.Labels = append(r.Labels, label{s.Label, probability(s.P)})
	}
	return r
}

// newEncoder returns an encoder of one line a value.
func newEncoder(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

// ndjsonReport writes one JSON object a line, each with spec and event.
type ndjsonReport struct {
	out   *bufio.Writer
	lines *json.Encoder // its errors stick to out
}

type head struct {
	Spec  int    `json:"spec"`
	Event string `json:"event"`
}

func (r *ndjsonReport) window(file string, w polynet.Window) {
	r.lines.Encode(struct {
		head
		result
	}{head{spec, "result"}, newResult(file, w)})
}

func (r *ndjsonReport) end(string, outcome) {}

func (r *ndjsonReport) fail(file string, err error) {
	r.lines.Encode(struct {
		head
		failure
	}{head{spec, "error"}, failure{file, err.Error()}})
}

func (r *ndjsonReport) flush() error { return r.out.Flush() }

func (r *ndjsonReport) close(s summary) error {
	r.lines.Encode(struct {
		head
		summary
	}{head{spec, "summary"}, s})
	return r.out.Flush()
}

// jsonReport writes one JSON object for the whole run.
type jsonReport struct {
	out        *bufio.Writer
	begun      bool
	detections []detection
	failures   []failure
}

func (r *jsonReport) window(file string, w polynet.Window) {
	if r.begun {
		r.out.WriteString(",\n")
	} else {
		r.begin()
	}
	r.put(newResult(file, w))
}

func (r *jsonReport) begin() {
	r.begun = true
	fmt.Fprintf(r.out, "{\"spec\":%d,\"results\":[\n", spec)
}

// put writes v without the line end that an Encoder puts behind it.
func (r *jsonReport) put(v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // all of the values can be written
	}
	r.out.Write(text)
}

func (r *jsonReport) end(string, outcome) {}

func (r *jsonReport) detection(d detection) { r.detections = append(r.detections, d) }

func (r *jsonReport) fail(file string, err error) {
	r.failures = append(r.failures, failure{file, err.Error()})
}

func (r *jsonReport) flush() error { return r.out.Flush() }

func (r *jsonReport) close(s summary) error {
	if !r.begun {
		r.begin()
	}
	r.out.WriteString("],\n\"detections\":")
	r.put(append([]detection{}, r.detections...))
	r.out.WriteString(",\n\"errors\":")
	r.put(append([]failure{}, r.failures...))
	r.out.WriteString(",\n\"summary\":")
	r.put(s)
	r.out.WriteString("}\n")
	return r.out.Flush()
}

// csvReport writes a header and a line a window or event (RFC 4180, with line feeds).
type csvReport struct {
	rows   *csv.Writer
	labels int // of a line
}

func newCSVReport(out io.Writer, top int) *csvReport {
	r := &csvReport{csv.NewWriter(out), top}
	header := []string{"file", "start", "end"}
	for i := range top {
		header = append(header, fmt.Sprintf("label%d", i+1), fmt.Sprintf("p%d", i+1))
	}
	r.rows.Write(header)
	return r
}

func (r *csvReport) window(file string, w polynet.Window) {
	row := []string{file, seconds(w.Start).String(), seconds(w.End).String()}
	for _, s := range w.Scores {
		row = append(row, s.Label, probability(s.P).String())
	}
	r.rows.Write(row)
}

func (r *csvReport) detection(d detection) {
	row := []string{d.File, d.Start.String(), d.End.String(), d.Label, d.P.String()}
	r.rows.Write(append(row, make([]string, 2*(r.labels-1))...))
}

func (r *csvReport) end(string, outcome) {}
func (r *csvReport) fail(string, error)  {}
func (r *csvReport) close(summary) error { return r.flush() }
func (r *csvReport) flush() error {
	r.rows.Flush()
	return r.rows.Error()
}
