package tuning

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/detect"
)

// Score is the result of an operating point on some tracks. Its own Counts have the words of all recordings, and the
// false alarms and hours of those that Kind.Judged names.
type Score struct {
	Config detect.Config
	Counts
	Parts  []Part             // by kind, then in the order of the recordings
	Labels map[string]*Counts // the Score's own Counts, by label; each has all Hours
	Delays Delays             // of the detected words

	others map[string]int   // how often each other word was said
	near   map[nearMiss]int // how often it began an event
}

// Counts are what is counted of words and events.
type Counts struct {
	Words       int     // said
	Missed      int     // of these
	FalseAlarms int     // events that belong to no word, a second one for the same word included
	Hours       float64 // of sound
}

// Part is what a Score counts in the recordings of one Kind and Folder.
type Part struct {
	Kind   Kind
	Folder string // of Material.Without
	Counts
	Others int            // other words that were said
	Labels map[string]int // false alarms by label
	Delays Delays
}

// Delays are the seconds from a word's end to its event's decision, of all detected words, sorted.
type Delays []float64

// NearMiss says how often a word that is none of the model's began an event.
type NearMiss struct {
	Word   string
	Said   int // times
	Label  string
	Events int // of the label
}

// nearMiss is the key of a NearMiss.
type nearMiss struct{ word, label string }

// MissRate returns the share of the words that were missed, 0 where none were said.
func (c Counts) MissRate() float64 { return float64(c.Missed) / float64(max(c.Words, 1)) }

// MissInterval returns the interval of the MissRate.
func (c Counts) MissInterval() Interval { return BinomialInterval(c.Missed, c.Words) }

// FalseAlarmsPerHour returns how many false alarms there are in an hour, 0 where there was no sound.
func (c Counts) FalseAlarmsPerHour() float64 {
	if c.Hours == 0 {
		return 0
	}
	return float64(c.FalseAlarms) / c.Hours
}

// FalseAlarmInterval returns the interval of FalseAlarmsPerHour, without an upper end where there was no sound.
func (c Counts) FalseAlarmInterval() Interval {
	if c.Hours == 0 {
		return Interval{High: math.Inf(1)}
	}
	i := PoissonInterval(c.FalseAlarms)
	return Interval{i.Low / c.Hours, i.High / c.Hours}
}

// Quantile returns a quantile q in [0, 1], NaN without delays.
func (d Delays) Quantile(q float64) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	return d[int(q*float64(len(d)-1))]
}

// Within returns the share that is at most so many seconds, NaN without delays.
func (d Delays) Within(seconds float64) float64 {
	n, _ := slices.BinarySearch(d, math.Nextafter(seconds, math.Inf(1)))
	return float64(n) / float64(len(d))
}

// NearMisses returns the other words that began events, with what they were taken for, the most frequent first.
func (s Score) NearMisses() []NearMiss {
	var list []NearMiss
	for key, n := range s.near {
		list = append(list, NearMiss{key.word, s.others[key.word], key.label, n})
	}
	slices.SortFunc(list, func(a, b NearMiss) int {
		return cmp.Or(b.Events-a.Events, cmp.Compare(a.Word, b.Word), cmp.Compare(a.Label, b.Label))
	})
	return list
}

// What an operating point must rest on, and the most that it may miss, to be stored without doubt.
const (
	MinWords    = 20  // said
	MinHours    = 0.5 // of sound in which false alarms are judged
	MaxMissRate = 0.5
)

// Doubts returns what speaks against storing the operating point, one clause each: that it rests on too few words or
// too little sound, or misses too many of the words.
func (s Score) Doubts() (list []string) {
	if s.Words < MinWords {
		list = append(list, fmt.Sprintf("fewer than %d words were said (%d)", MinWords, s.Words))
	}
	if s.Hours < MinHours {
		list = append(list, fmt.Sprintf("there were fewer than %g minutes of sound without words (%.1f)",
			60*MinHours, 60*s.Hours))
	}
	if s.Words > 0 && s.MissRate() > MaxMissRate {
		list = append(list, fmt.Sprintf("%d of %d words were missed", s.Missed, s.Words))
	}
	return list
}

const maxDelay = 1.5 // seconds from a word's end to its event's decision: a window and a lookahead may pass before

// Measure returns the score of an operating point.
func Measure(tracks []*Track, c detect.Config) (Score, error) {
	s := Score{Config: c, Labels: map[string]*Counts{}, others: map[string]int{}, near: map[nearMiss]int{}}
	for _, t := range tracks {
		events, err := t.events(c)
		if err != nil {
			return s, err
		}
		s.add(t, events)
	}
	for _, label := range s.Labels {
		label.Hours = s.Hours
	}
	for i := range s.Parts {
		slices.Sort(s.Parts[i].Delays)
		s.Delays = append(s.Delays, s.Parts[i].Delays...)
	}
	slices.Sort(s.Delays)
	slices.SortStableFunc(s.Parts, func(a, b Part) int { return cmp.Compare(a.Kind, b.Kind) })
	return s, nil
}

// part returns the part of a track.
func (s *Score) part(t *Track) *Part {
	i := slices.IndexFunc(s.Parts, func(p Part) bool { return p.Kind == t.Kind && p.Folder == t.Folder })
	if i < 0 {
		i = len(s.Parts)
		s.Parts = append(s.Parts, Part{Kind: t.Kind, Folder: t.Folder, Labels: map[string]int{}})
	}
	return &s.Parts[i]
}

// label returns the counts of a label.
func (s *Score) label(label string) *Counts {
	if s.Labels[label] == nil {
		s.Labels[label] = &Counts{}
	}
	return s.Labels[label]
}

// add matches events with the words of a track: each with the first word of its label that has no event yet and lies
// around the event's decision.
func (s *Score) add(t *Track, events []detect.Event) {
	part, left := s.part(t), slices.Clone(t.Words) // without an event
	for _, e := range events {
		i := slices.IndexFunc(left, func(w Word) bool { return w.Label == e.Label && w.around(e.Time) })
		if i < 0 {
			s.falseAlarm(t, part, e)
			continue
		}
		part.Delays = append(part.Delays, e.Time-left[i].End)
		left = slices.Delete(left, i, i+1)
	}
	for _, w := range t.Words {
		for _, c := range []*Counts{&s.Counts, &part.Counts, s.label(w.Label)} {
			c.Words++
		}
	}
	for _, w := range left {
		for _, c := range []*Counts{&s.Counts, &part.Counts, s.label(w.Label)} {
			c.Missed++
		}
	}
	for _, w := range t.Others {
		s.others[w.Label]++
		part.Others++
	}
	part.Hours += t.Seconds / 3600
	if t.Kind.Judged() {
		s.Hours += t.Seconds / 3600
	}
}

// falseAlarm counts an event that belongs to no word.
func (s *Score) falseAlarm(t *Track, part *Part, e detect.Event) {
	part.FalseAlarms++
	part.Labels[e.Label]++
	if t.Kind.Judged() {
		s.FalseAlarms++
		s.label(e.Label).FalseAlarms++
	}
	if w, ok := t.other(e); ok {
		s.near[nearMiss{w.Label, e.Label}]++
	}
}

// around reports whether an event of the word may be decided at this time.
func (w Word) around(time float64) bool { return w.Start <= time && time <= w.End+maxDelay }

// other returns the other word around an event's decision that shares most time with the event.
func (t *Track) other(e detect.Event) (most Word, ok bool) {
	longest := 0.0
	for _, w := range t.Others {
		if shared := min(w.End, e.Time) - max(w.Start, e.Start); w.around(e.Time) && shared > longest {
			most, longest, ok = w, shared, true
		}
	}
	return most, ok
}
