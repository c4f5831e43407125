package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Event is one detected sound. Times are in seconds since the stream began.
type Event struct {
	Time       float64 // how much of the stream had been heard when the event was decided
	Start, End float64 // of the sound, estimated; Detector says how
	Label      string
	P          float64 // the smoothed probability when it was decided
}

// Detector finds events in the decisions of one stream.
//
// A label begins an event when its smoothed probability has reached its threshold for the minimum duration, it is the
// likeliest of the labels measured by their thresholds, the refractory time since its last event has passed, and
// it has been released since: has fallen below the release level, its threshold times Config.Release. The event lasts until
// the next release. So a sound that goes on and on is one event; and a word that is repeated within the refractory time is a
// second one only if its probability fell in between and is still there when that time is over.
//
// Where the sound lies in time is estimated from its plateau, the time in which the ends of the windows that hear it
// lie. A window of W seconds begins to hear a sound when half of the sound has come in, or half the window is filled with it, and
// ceases when as much is left; so the sound's centre lies half a window before the plateau's. The plateau of a sound shorter than W
// is W long and does not tell how short the sound was, which is then taken for W/2; that of a longer one is as long as the
// sound. Hence
//
//   - when the event begins, Start is W/4 before the plateau, and End the end of the window that decided: the sound may go on;
//   - when the event has ended (see Ended), Start and End lie around the centre: W/2 apart for a plateau of W/2 to W, as far as
//     the plateau is long for a shorter one and from 3/2 W on, and in between for one in between.
type Detector struct {
	config   Config
	smoother smoother
	tracks   []track // by class index
	p        []float64
	begun    bool    // decisions have come
	first    float64 // start of the first window
	end      float64 // of the last window
	ended    []Event
}

// track is the state of one label.
type track struct {
	label      string
	threshold  float64
	level      float64 // of release
	background bool

	reached bool    // the threshold
	since   float64 // when it was reached
	present bool    // at the release level, smoothed or not
	rise    float64 // when it became present
	last    float64 // when it last was at the release level, not smoothed
	held    bool    // not released since its last event
	active  bool    // that event has not ended
	event   Event
	floor   float64 // its sound did not start before
	decided float64 // end of the window that decided it
}

// tolerance, in seconds, absorbs the rounding of times of years.
const tolerance = 1e-6

// New returns a Detector for probabilities of the labels, in this order. A configuration that makes no sense for them gives
// an error that wraps ErrConfig.
func New(labels []string, c Config) (*Detector, error) {
	if len(labels) == 0 {
		return nil, fmt.Errorf("%w: no labels", ErrConfig)
	}
	if err := c.Validate(labels); err != nil {
		return nil, err
	}
	d := &Detector{
		config:   c,
		smoother: smoother{seconds: c.Smoothing, mean: make([]float64, len(labels))},
		p:        make([]float64, len(labels)),
	}
	for _, label := range labels {
		t := c.threshold(label)
		d.tracks = append(d.tracks, track{label: label, threshold: t, level: t * c.Release, background: Background(label)})
	}
	d.Reset()
	return d, nil
}

// Reset forgets what has been heard.
func (d *Detector) Reset() {
	d.smoother.spans = d.smoother.spans[:0]
	d.begun, d.ended = false, d.ended[:0]
	for i := range d.tracks {
		t := &d.tracks[i]
		*t = track{label: t.label, threshold: t.threshold, level: t.level, background: t.background, decided: math.Inf(-1)}
	}
}

// Push takes the decision on the window from start to end: each label's probability, nil standing for zeros. heard is how much
// of the stream it took, end where that is later. It returns the event that the decision begins, at most one.
//
// Decisions come in the order of their ends. One whose times are not finite or whose end is not behind the last one's is
// left out; a probability that is no number in [0, 1] is moved there, NaN to 0. Another number of probabilities than
// labels is a bug and panics.
func (d *Detector) Push(start, end, heard float64, p []float64) (Event, bool) {
	d.ended = d.ended[:0]
	from, ok := d.advance(start, end)
	if !ok {
		return Event{}, false
	}
	if !(heard >= end && heard <= math.MaxFloat64) {
		heard = end
	}
	d.take(p)
	smoothed := d.smoother.push(from, end, d.p)
	for i := range d.tracks {
		d.follow(&d.tracks[i], d.p[i], smoothed[i], end, end-start)
	}
	i := d.likeliest(smoothed)
	if i < 0 || !d.begins(&d.tracks[i], end) {
		return Event{}, false
	}
	t := &d.tracks[i]
	t.held, t.active, t.decided = true, true, end
	t.floor = max(d.first, t.event.End)
	t.event = Event{Time: heard, Start: max(t.rise-(end-start)/4, t.floor), End: end, Label: t.label, P: smoothed[i]}
	return t.event, true
}

// advance moves on to the window's end and returns from when on its probabilities hold.
func (d *Detector) advance(start, end float64) (from float64, ok bool) {
	if !(start <= end) || math.IsInf(start, 0) || math.IsInf(end, 0) || d.begun && end <= d.end {
		return 0, false
	}
	if from = d.end; !d.begun {
		d.begun, d.first, from = true, start, start
	}
	d.end = end
	return from, true
}

// take copies p, made probabilities, to d.p.
func (d *Detector) take(p []float64) {
	if p != nil && len(p) != len(d.p) {
		panic(fmt.Sprintf("detect: %d probabilities for %d labels", len(p), len(d.p)))
	}
	clear(d.p)
	for i, v := range p {
		if v > 0 { // not NaN
			d.p[i] = min(v, 1)
		}
	}
}

// follow brings a label's track to the present.
func (d *Detector) follow(t *track, p, smoothed, end, window float64) {
	if smoothed < t.threshold {
		t.reached = false
	} else if !t.reached {
		t.reached, t.since = true, end
	}
	if !t.present && (p >= t.level || t.reached) {
		t.present, t.rise, t.last = true, end, end
	}
	if p >= t.level {
		t.last = end
	}
	if smoothed >= t.level {
		return
	}
	if t.active {
		d.finish(t, t.last, window)
	}
	t.held = false
	t.present = t.present && p >= t.level
}

// likeliest returns the index of the label whose probability is the greatest measured by its threshold, of those that begin
// events; -1 when there are none.
func (d *Detector) likeliest(smoothed []float64) int {
	best, most := -1, 0.0
	for i, t := range d.tracks {
		if measure := smoothed[i] / t.threshold; !t.background && measure > most {
			best, most = i, measure
		}
	}
	return best
}

// begins reports whether the label begins an event with the window that ends at end.
func (d *Detector) begins(t *track, end float64) bool {
	return t.reached && !t.held &&
		end-t.since >= d.config.MinDuration-tolerance && end-t.decided >= d.config.Refractory-tolerance
}

// finish ends the label's event, whose plateau ended at last.
func (d *Detector) finish(t *track, last, window float64) {
	t.active = false
	plateau := last - t.rise
	length := min(plateau, max(window/2, 2*plateau-window*3/2))
	centre := (t.rise + last - window) / 2
	t.event.Start = max(centre-length/2, t.floor)
	t.event.End = max(centre+length/2, t.event.Start)
	d.ended = append(d.ended, t.event)
}

// Flush says that the stream has ended, and with it the events that go on: they end where the stream does.
func (d *Detector) Flush() {
	d.ended = d.ended[:0]
	for i := range d.tracks {
		if t := &d.tracks[i]; t.active {
			t.active = false
			t.event.End = d.end
			d.ended = append(d.ended, t.event)
		}
	}
	slices.SortStableFunc(d.ended, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
}

// Ended returns the events that ended with the last Push or Flush, their Start and End estimated anew from the whole plateau.
// The list is valid until the next call. Each event that Push returned ends once, Flush at the latest.
func (d *Detector) Ended() []Event { return d.ended }
