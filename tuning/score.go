package tuning

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/detect"
)

// Score is the result of an operating point on some tracks.
type Score struct {
	Config      detect.Config
	Words       int     // said
	Missed      int     // of these
	FalseAlarms int     // events that belong to no word, a second one for the same word included
	Hours       float64 // of sound
	Parts       [kinds]Part
	Delays      []float64 // of the detected words: from the word's end to the event's decision, in seconds, sorted
}

// Part is what a Score counts in recordings of one Kind.
type Part struct {
	FalseAlarms int
	Hours       float64
}

// MissRate returns the share of the words that were missed, 0 where none were said.
func (s Score) MissRate() float64 { return float64(s.Missed) / float64(max(s.Words, 1)) }

// FalseAlarmsPerHour returns how many false alarms there are in an hour, 0 where there was no sound.
func (s Score) FalseAlarmsPerHour() float64 {
	if s.Hours == 0 {
		return 0
	}
	return float64(s.FalseAlarms) / s.Hours
}

// Delay returns a quantile q in [0, 1] of the Delays, NaN without detected words.
func (s Score) Delay(q float64) float64 {
	if len(s.Delays) == 0 {
		return math.NaN()
	}
	return s.Delays[int(q*float64(len(s.Delays)-1))]
}

// Within returns the share of the detected words decided at most so many seconds after their end, NaN if none was.
func (s Score) Within(seconds float64) float64 {
	n, _ := slices.BinarySearch(s.Delays, math.Nextafter(seconds, math.Inf(1)))
	return float64(n) / float64(len(s.Delays))
}

const maxDelay = 1.5 // seconds from a word's end to its event's decision: a window and a lookahead may pass before

// Measure returns the score of an operating point.
func Measure(tracks []*Track, c detect.Config) (Score, error) {
	s := Score{Config: c}
	for _, t := range tracks {
		events, err := t.events(c)
		if err != nil {
			return s, err
		}
		s.add(t, events)
	}
	slices.Sort(s.Delays)
	return s, nil
}

// add matches events with the words of a track: each with the first word of its label that has no event yet and lies
// around the event's decision.
func (s *Score) add(t *Track, events []detect.Event) {
	left := slices.Clone(t.Words) // without an event
	for _, e := range events {
		i := slices.IndexFunc(left, func(w Word) bool {
			return w.Label == e.Label && w.Start <= e.Time && e.Time <= w.End+maxDelay
		})
		if i < 0 {
			s.FalseAlarms++
			s.Parts[t.Kind].FalseAlarms++
			continue
		}
		s.Delays = append(s.Delays, e.Time-left[i].End)
		left = slices.Delete(left, i, i+1)
	}
	s.Words += len(t.Words)
	s.Missed += len(left)
	s.Hours += t.Seconds / 3600
	s.Parts[t.Kind].Hours += t.Seconds / 3600
}
