package serve

import (
	"encoding/json"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/records"
)

// Hello says what a client wants to send and to be sent. The zero value is 16-bit mono PCM at 16,000 Hz for the default
// model, with events only.
type Hello struct {
	Model    string         `json:"model"`
	Rate     int            `json:"rate"` // hertz
	Encoding audio.Encoding `json:"encoding"`
	Channels int            `json:"channels"`
	// Source is a name of the sound, such as kitchen, for Config.OnEvent.
	Source string `json:"source"`
	// Thresholds of labels, and of all others under "*", instead of the model's.
	Thresholds map[string]float64 `json:"thresholds"`
	Decisions  bool               `json:"decisions"` // are sent
	Frames     bool               `json:"frames"`    // are sent
}

// Message is what a stream answers: *Ready first, then *Event, *Decision, *Frames, *Warning and *Lag, and at last *End
// or *Error.
type Message interface {
	// Type is the name of the message in JSON.
	Type() string
}

// Ready says what a stream is about to answer with. Times are in seconds.
type Ready struct {
	Model       string             `json:"model"`
	Labels      []string           `json:"labels"`
	Window      float64            `json:"window"`
	DecisionHop float64            `json:"decision_hop"`
	Lookahead   float64            `json:"lookahead"`
	Mels        int                `json:"mels"` // values of a row of features
	FrameHop    float64            `json:"frame_hop"`
	Thresholds  map[string]float64 `json:"thresholds"` // those of labels, and of all others under "*"
}

// Event is an event that is certain, as a detection in the command's ndjson.
type Event struct {
	polyphon.Event
	Clock string // the time of day, RFC 3339 with milliseconds
}

// Decision is the network's answer for the window that ends at Time, in seconds.
type Decision struct {
	Time float64   `json:"time"`
	P    []float32 `json:"p"` // in the order of the labels; null where they are not finite
}

// Frames are log-mel rows as the network sees them, normalised.
type Frames struct {
	Time float64 `json:"time"` // of the first row, in seconds
	Rows []byte  `json:"rows"` // a byte a value, in base64: 0 is -limit, 255 is +limit
	Mels int     `json:"mels"` // values a row
}

// Warning says what is odd about the sound or a message.
type Warning struct {
	Text string `json:"text"`
}

// Lag says by how many seconds the answers are later than the sound.
type Lag struct {
	Seconds float64 `json:"seconds"`
}

// End is the last message of a stream that was ended: what it was, as in a summary of the command.
type End struct {
	AudioSeconds float64 `json:"audio_seconds"`
	Events       int     `json:"events"`
	Refused      int     `json:"refused,omitempty"`
	Decisions    int     `json:"decisions"`
	Frames       int     `json:"frames"`
	Gated        int     `json:"gated_frames"`
	Diverged     int     `json:"diverged"`
	WorstLag     float64 `json:"worst_lag"`
}

// Error is the last message of a stream that failed.
type Error struct {
	Text string `json:"text"`
	err  error
}

// Unwrap returns the error.
func (e *Error) Unwrap() error { return e.err }

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Type implements Message.
func (*Ready) Type() string    { return "ready" }
func (*Event) Type() string    { return "event" }
func (*Decision) Type() string { return "decision" }
func (*Frames) Type() string   { return "frames" }
func (*Warning) Type() string  { return "warning" }
func (*Lag) Type() string      { return "lag" }
func (*End) Type() string      { return "end" }
func (*Error) Type() string    { return "error" }

// MarshalJSON implements json.Marshaler, with the fields of a detection.
func (e *Event) MarshalJSON() ([]byte, error) {
	record := records.NewEvent("", e.Event)
	record.Clock = e.Clock
	return records.Marshal(record), nil
}

// Encode returns the message in JSON, with its type.
func Encode(m Message) []byte {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // messages hold nothing that JSON cannot
	}
	head := `{"type":"` + m.Type() + `"`
	if len(body) > 2 {
		head += ","
	}
	return append([]byte(head), body[1:]...)
}
