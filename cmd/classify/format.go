package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/cmd/internal/safe"
)

// spec is the version of the json, ndjson and csv formats, which docs/output.md describes.
const spec = 2

// format writes what is found, in one output format. The windows and events of an input come before its one record, a
// result or a failure, one input after the other; live sound has events and failures only. The next flush or close
// returns an error of the output.
type format interface {
	window(w window)
	event(e event)
	result(r result)
	fail(f failure)
	flush() error
	close(s summary) error
}

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
	out := output{bufio.NewWriter(w)}
	switch o.name {
	case "json":
		return newJSONFormat(out, o.windows)
	case "ndjson":
		return ndjsonFormat{out}
	case "csv":
		return newCSVFormat(out, o)
	case "audacity":
		return audacityFormat{out}
	}
	return newTextFormat(out, o)
}

// How inputs are answered, besides auto, which chooses among clip and events.
const (
	asAuto    = "auto"
	asClip    = "clip"
	asEvents  = "events"
	asWindows = "windows"
)

// output is a format that writes nothing. Formats embed it for the methods that they do not need.
type output struct{ *bufio.Writer }

func (output) window(window)         {}
func (output) event(event)           {}
func (output) result(result)         {}
func (output) fail(failure)          {}
func (o output) flush() error        { return o.Flush() }
func (o output) close(summary) error { return o.Flush() }

// result is the record of an input that was classified, in JSON.
type result struct {
	File          safe.String   `json:"file"`
	Seconds       seconds       `json:"seconds"` // its length
	As            string        `json:"as"`      // one of the modes
	Events        int           `json:"events"`
	answer                      // over the whole
	RefusedEvents int           `json:"refused_events,omitempty"` // that were not reported
	Warning       []safe.String `json:"warning,omitempty"`

	windows, refusedWindows int
}

// refusals returns how many answers about an input were too doubtful.
func (r result) refusals() int {
	n := r.refusedWindows + r.RefusedEvents
	if r.Refused {
		n++
	}
	return n
}

// window is the answer for a part of an input, in JSON.
type window struct {
	File  safe.String `json:"file"`
	Start seconds     `json:"start"`
	End   seconds     `json:"end"`
	answer
}

// answer is which labels a sound has, in JSON.
type answer struct {
	Labels  labels   `json:"labels"`
	Refused bool     `json:"refused,omitempty"` // the likeliest label is too doubtful
	Set     labelSet `json:"set,omitzero"`      // that holds the true label as often as asked; nil: not asked
}

// labels are the likeliest ones, the likeliest first.
type labels []label

type label struct {
	Label safe.String `json:"label"`
	P     probability `json:"p"`
}

// newLabels returns the first n of the labels.
func newLabels(scores []polyphon.Score, n int) labels {
	list := make(labels, min(n, len(scores)))
	for i := range list {
		list[i] = label{safe.String(scores[i].Label), probability(scores[i].P)}
	}
	return list
}

// labelSet is a set of labels, the likeliest first.
type labelSet []safe.String

func (s labelSet) names() []string {
	names := make([]string, len(s))
	for i, label := range s {
		names[i] = string(label)
	}
	return names
}

// doubtful stands for the label of an answer that is refused, for people.
const doubtful = "?"

// newAnswer returns the answer of the recognizer's scores, with the first n labels.
func newAnswer(r *polyphon.Recognizer, scores []polyphon.Score, n int) answer {
	if scores == nil { // of an input that failed
		return answer{Labels: labels{}}
	}
	a := answer{Labels: newLabels(scores, n), Refused: r.Refuses(scores)}
	if set := r.Set(scores); set != nil {
		a.Set = make(labelSet, len(set))
		for i, label := range set {
			a.Set[i] = safe.String(label)
		}
	}
	return a
}

// event is an event in JSON.
type event struct {
	File  safe.String `json:"file,omitempty"`
	Time  seconds     `json:"time"`
	Start seconds     `json:"start"`
	End   seconds     `json:"end"`
	Clock string      `json:"clock,omitempty"` // of live sound: when it was reported, in clockFormat
	Label safe.String `json:"label"`
	P     probability `json:"p"`
}

// clockFormat is RFC 3339 with milliseconds.
const clockFormat = "2006-01-02T15:04:05.000Z07:00"

func newEvent(file string, e polyphon.Event) event {
	return event{
		File: safe.String(file), Time: seconds(e.Time), Start: seconds(e.Start), End: seconds(e.End),
		Label: safe.String(e.Label), P: probability(e.P),
	}
}

// failure is an input that could not be classified, in JSON.
type failure struct {
	File  safe.String `json:"file"`
	Error safe.String `json:"error"`
}

// summary is what a run did, in JSON.
type summary struct {
	Files        int         `json:"files"`             // inputs that were tried
	Failed       int         `json:"failed"`            // of these
	Refused      int         `json:"refused,omitempty"` // windows and results, and events that were not reported
	Skipped      int         `json:"skipped,omitempty"` // inputs that were not tried, since there are results of them
	Windows      int         `json:"windows"`
	AudioSeconds seconds     `json:"audio_seconds"` // length of what was classified
	Window       seconds     `json:"window"`
	Hop          seconds     `json:"hop"`
	Model        safe.String `json:"model"`
	Device       safe.String `json:"device"`
	Threads      int         `json:"threads"`
	Shard        string      `json:"shard,omitempty"`   // "I/N"
	Elapsed      seconds     `json:"elapsed,omitempty"` // since the work began
	Interrupted  bool        `json:"interrupted"`       // before all inputs were tried

	Events int            `json:"events"`
	Stream *streamSummary `json:"stream,omitempty"`
	Drift  *driftSummary  `json:"drift,omitempty"` // with --watch-drift
}

// streamSummary is the part of a summary that is about live sound.
type streamSummary struct {
	Decisions      int     `json:"decisions"`
	Frames         int     `json:"frames"`
	Gated          int     `json:"gated_frames"` // those for which the network did not run
	Diverged       int     `json:"diverged"`     // decisions that were not finite
	WorstLag       seconds `json:"worst_lag"`    // behind the sound
	CommandsFailed int     `json:"commands_failed"`
	CommandsCut    int     `json:"commands_cut"`  // off: killed at the end, when they took too long
	CommandsLeft   int     `json:"commands_left"` // out
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

// marshal returns v in JSON. Its values can all be written.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
