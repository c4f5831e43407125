// Package records makes and writes the records of what is found in sounds, in version 2 of the formats that
// docs/output.md describes, for all programs that write them.
package records

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/internal/safe"
)

// Spec is the version of the formats.
const Spec = 2

// Result is the record of an input that was classified.
type Result struct {
	File          safe.String   `json:"file"`
	Seconds       Seconds       `json:"seconds"` // its length
	As            string        `json:"as"`      // one of the ways
	Events        int           `json:"events"`
	Answer                      // over the whole
	RefusedEvents int           `json:"refused_events,omitempty"` // that were not reported
	Warning       []safe.String `json:"warning,omitempty"`

	Windows        int `json:"-"`
	RefusedWindows int `json:"-"`
}

// Refusals returns how many answers about an input were too doubtful.
func (r Result) Refusals() int {
	n := r.RefusedWindows + r.RefusedEvents
	if r.Refused {
		n++
	}
	return n
}

// Remark returns the warnings as they follow a text.
func (r Result) Remark() string {
	if len(r.Warning) == 0 {
		return ""
	}
	return "  (warning: " + Joined(r.Warning) + ")"
}

// Window is the answer for a part of an input.
type Window struct {
	File  safe.String `json:"file"`
	Start Seconds     `json:"start"`
	End   Seconds     `json:"end"`
	Answer
}

// Answer is which labels a sound has.
type Answer struct {
	Labels  Labels   `json:"labels"`
	Refused bool     `json:"refused,omitempty"` // the likeliest label is too doubtful
	Set     LabelSet `json:"set,omitzero"`      // that holds the true label as often as asked; nil: not asked
}

// Labels are the likeliest ones, the likeliest first.
type Labels []Label

// Label is a label and its probability.
type Label struct {
	Label safe.String `json:"label"`
	P     Probability `json:"p"`
}

// NewLabels returns the first n of the labels.
func NewLabels(scores []polyphon.Score, n int) Labels {
	list := make(Labels, min(n, len(scores)))
	for i := range list {
		list[i] = Label{safe.String(scores[i].Label), Probability(scores[i].P)}
	}
	return list
}

// LabelSet is a set of labels, the likeliest first.
type LabelSet []safe.String

// NewLabelSet returns the set of these names; nil of nil.
func NewLabelSet(names []string) LabelSet {
	if names == nil {
		return nil
	}
	set := make(LabelSet, len(names))
	for i, label := range names {
		set[i] = safe.String(label)
	}
	return set
}

// Names returns the labels.
func (s LabelSet) Names() []string {
	names := make([]string, len(s))
	for i, label := range s {
		names[i] = string(label)
	}
	return names
}

// String returns the set as it follows a text; nothing where none was asked for.
func (s LabelSet) String() string {
	if s == nil {
		return ""
	}
	return "  {" + strings.Join(s.Names(), ", ") + "}"
}

// NewAnswer returns the answer of the recognizer's scores, with the first n labels.
func NewAnswer(r *polyphon.Recognizer, scores []polyphon.Score, n int) Answer {
	if scores == nil { // of an input that failed
		return Answer{Labels: Labels{}}
	}
	return Answer{Labels: NewLabels(scores, n), Refused: r.Refuses(scores), Set: NewLabelSet(r.Set(scores))}
}

// Event is an event.
type Event struct {
	File  safe.String `json:"file,omitempty"`
	Time  Seconds     `json:"time"`
	Start Seconds     `json:"start"`
	End   Seconds     `json:"end"`
	Clock string      `json:"clock,omitempty"` // of live sound: when it was reported, in ClockFormat
	Label safe.String `json:"label"`
	P     Probability `json:"p"`
}

// Saved is the record of a clip with the sound of an event or a near miss, which names the sound that it was in.
type Saved struct {
	Spec   int         `json:"spec"`
	Clip   safe.String `json:"clip"` // its path below the folder of the record, with slashes
	Near   bool        `json:"near,omitempty"`
	Begins Seconds     `json:"begins"` // where the clip begins
	Event
}

// SavedName is the name of the file of these records in the folder, and NearFolder that of the one for near misses.
const (
	SavedName  = "saved.ndjson"
	NearFolder = "_near_"
)

// ClockFormat is RFC 3339 with milliseconds.
const ClockFormat = "2006-01-02T15:04:05.000Z07:00"

// NewEvent returns the record of an event in a file, "" standing for live sound.
func NewEvent(file string, e polyphon.Event) Event {
	return Event{
		File: safe.String(file), Time: Seconds(e.Time), Start: Seconds(e.Start), End: Seconds(e.End),
		Label: safe.String(e.Label), P: Probability(e.P),
	}
}

// NewLiveEvent returns the record of an event of live sound that is reported now.
func NewLiveEvent(e polyphon.Event, now time.Time) Event {
	record := NewEvent("", e)
	record.Clock = now.Format(ClockFormat)
	return record
}

// Failure is an input that could not be classified.
type Failure struct {
	File  safe.String `json:"file"`
	Error safe.String `json:"error"`
}

// Summary is what a run did.
type Summary struct {
	Files        int         `json:"files"`             // inputs that were tried
	Failed       int         `json:"failed"`            // of these
	Refused      int         `json:"refused,omitempty"` // windows and results, and events that were not reported
	Skipped      int         `json:"skipped,omitempty"` // inputs that were not tried, since there are results of them
	Windows      int         `json:"windows"`
	AudioSeconds Seconds     `json:"audio_seconds"` // length of what was classified
	Window       Seconds     `json:"window"`
	Hop          Seconds     `json:"hop"`
	Model        safe.String `json:"model"`
	Device       safe.String `json:"device"`
	Threads      int         `json:"threads"`
	Shard        string      `json:"shard,omitempty"`   // "I/N"
	Elapsed      Seconds     `json:"elapsed,omitempty"` // since the work began
	Interrupted  bool        `json:"interrupted"`       // before all inputs were tried

	Events int            `json:"events"`
	Stream *StreamSummary `json:"stream,omitempty"`
	Drift  *DriftSummary  `json:"drift,omitempty"` // with --watch-drift
}

// StreamSummary is the part of a summary that is about live sound.
type StreamSummary struct {
	Decisions      int     `json:"decisions"`
	Frames         int     `json:"frames"`
	Gated          int     `json:"gated_frames"` // those for which the network did not run
	Diverged       int     `json:"diverged"`     // decisions that were not finite
	WorstLag       Seconds `json:"worst_lag"`    // behind the sound
	CommandsFailed int     `json:"commands_failed"`
	CommandsCut    int     `json:"commands_cut"`  // off: killed at the end, when they took too long
	CommandsLeft   int     `json:"commands_left"` // out
}

// DriftSummary is what was found of drift.
type DriftSummary struct {
	Inputs  int  `json:"inputs"`
	Drifts  int  `json:"drifts"`          // that began
	Since   int  `json:"since,omitempty"` // the number of the input with which the latest one was found
	Drifted bool `json:"drifted"`         // it is not over
}

// Probability is written with six significant digits.
type Probability float64

// String returns it as it is written.
func (p Probability) String() string { return strconv.FormatFloat(float64(p), 'g', 6, 64) }

// MarshalJSON implements json.Marshaler.
func (p Probability) MarshalJSON() ([]byte, error) { return []byte(p.String()), nil }

// Seconds are written to the microsecond.
type Seconds float64

// String returns them as they are written.
func (s Seconds) String() string {
	text := strconv.FormatFloat(float64(s), 'f', 6, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// MarshalJSON implements json.Marshaler.
func (s Seconds) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

// Marshal returns v, whose values can all be written, in JSON.
func Marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// warningSeparator is between the warnings of a decoder, and of Joined.
const warningSeparator = "; "

// Warnings returns the sentences of a decoder's warning.
func Warnings(text string) (list []safe.String) {
	for sentence := range strings.SplitSeq(text, warningSeparator) {
		if sentence != "" {
			list = append(list, safe.String(sentence))
		}
	}
	return list
}

// Joined returns warnings as one.
func Joined(warnings []safe.String) (text string) {
	for i, w := range warnings {
		if i > 0 {
			text += warningSeparator
		}
		text += string(w)
	}
	return text
}
