// Package tuning finds the operating point at which a model hears words in streams of sound: how often it misses one, and
// how often it hears one that nobody said.
package tuning

import (
	"errors"
	"io"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// Word is a word that is said in a recording, in seconds since its beginning.
type Word struct {
	Label      string
	Start, End float64
}

// Sound says what a recording holds.
type Sound int

// What recordings hold.
const (
	Spoken    Sound = iota // words of the model, on a background
	OtherWord              // words that are none of the model's, on a background
	Wordless               // backgrounds alone
	sounds
)

// Track is what a model decided about a recording, so that operating points can be tried without computing it again.
type Track struct {
	Words   []Word // that are said in it, in order
	Seconds float64
	Sound   Sound

	labels    []string
	decisions []decision
	p         []float64 // of the decisions, each len(labels) values
}

// decision is a polynet.Decision without its probabilities.
type decision struct{ start, end, heard float64 }

// Listen runs a stream over src, of the model's rate, in which the words are said, in the steps of live sound: what is decided later is
// told later. A decision for which the network diverged
// counts as hearing nothing.
func Listen(c *polynet.Classifier, labels []string, src audio.Source, words []Word) (*Track, error) {
	stream, err := c.Stream(polynet.StreamOptions{Step: polynet.LiveStep})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	t := &Track{Words: words, labels: labels}
	buffer := make([]float32, src.Rate()/4)
	for {
		n, err := src.Read(buffer)
		if err != nil && err != io.EOF {
			return nil, err
		}
		t.Seconds += float64(n) / float64(src.Rate())
		stream.Push(buffer[:n])
		if err == io.EOF {
			stream.Flush()
		}
		t.take(stream)
		if err == io.EOF {
			return t, nil
		}
	}
}

// take takes the decisions that are due.
func (t *Track) take(stream *polynet.Stream) {
	for {
		d, ok, err := stream.Next()
		if !ok && err == nil {
			return
		}
		begin := len(t.p)
		t.p = append(t.p, make([]float64, len(t.labels))...)
		if !errors.Is(err, polynet.ErrDiverged) {
			copy(t.p[begin:], d.P)
		}
		t.decisions = append(t.decisions, decision{d.Start, d.End, d.Heard})
	}
}

// events returns what a detector makes of the track.
func (t *Track) events(c detect.Config) ([]detect.Event, error) {
	d, err := detect.New(t.labels, c)
	if err != nil {
		return nil, err
	}
	var events []detect.Event
	for i, at := range t.decisions {
		if e, ok := d.Push(at.start, at.end, at.heard, t.p[i*len(t.labels):(i+1)*len(t.labels)]); ok {
			events = append(events, e)
		}
	}
	return events, nil
}
