package detect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Event is one detected sound. Times are in seconds since the stream began.
type Event struct {
	Time       float64 // how much of the stream the decision took
	Start, End float64 // of the sound, estimated; see Detector
	Label      string
	P          float64 // the smoothed probability at the decision
}

// Detector finds events in the decisions on the windows of one stream.
//
// A label begins an event when its smoothed probability has reached its threshold for the minimum duration and is, in
// relation to the threshold, the largest of all labels; when the refractory time since its last event has passed; and
// when it has been released since then, which means that its smoothed probability has fallen below its threshold times
// Config.Release. The event lasts until the next release. So a long sound is one event, and a word that is repeated
// within the refractory time is a second one only if its probability fell in between and is still high when that time
// is over.
//
// Start and End are estimated from the plateau, the period of the ends of the windows that contain enough of the sound.
// A window of W seconds contains enough from when half of the sound has come in, or the sound fills half of the window,
// until as much is left; so the sound's centre lies W/2 before the plateau's. The plateau of a sound shorter than W is
// W long, however short the sound was, which is then assumed to be W/2 long; the plateau of a longer sound is as long
// as the sound. Hence
//
//   - when the event begins, Start is W/4 before the plateau, and End is that of the window: the sound may go on;
//   - when the event has ended (see Ended), Start and End lie around the centre: W/2 apart for a plateau of W/2 to W,
//     the plateau's length apart for a shorter one and from 3/2 W on, and in between for one in between.
type Detector struct {
	config   Config
	smoother smoother
	tracks   []track // by class index
	p        []float64
	first    float64 // start of the first window
	end      float64 // of the last window; -Inf: there was none
	ended    []Event
	minimum  float64 // probability that an event needs besides its threshold
	refused  int
}

// track is a label and its state.
type track struct {
	label            string
	threshold, level float64 // to begin an event, and of release
	state
}

// state is what Reset sets to zero, but for decided.
type state struct {
	reached bool    // the threshold
	since   float64 // when it was reached
	present bool    // at the release level, smoothed or not
	rise    float64 // when it became present
	last    float64 // when it last was at the release level, not smoothed
	held    bool    // not released since its last event
	doubted bool    // an event would have begun, but for the minimum
	active  bool    // that event has not ended
	event   Event
	floor   float64 // the earliest start of its sound
	decided float64 // end of the window that began it
}

const tolerance = 1e-6 // seconds, for the rounding of times of years

// New returns a Detector for probabilities of the labels, in this order, or the error of Config.Validate.
func New(labels []string, c Config) (*Detector, error) {
	if len(labels) == 0 {
		return nil, fmt.Errorf("%w: no labels", ErrConfig)
	}
	if err := c.Validate(labels); err != nil {
		return nil, err
	}
	d := &Detector{config: c, p: make([]float64, len(labels))}
	d.smoother = smoother{seconds: c.Smoothing, mean: make([]float64, len(labels))}
	for _, label := range labels {
		d.tracks = append(d.tracks, track{label: label})
	}
	d.setThresholds()
	d.Reset()
	return d, nil
}

// SetThresholds replaces Config.Threshold and Config.Thresholds from the next decision on. An error is that of
// Config.Validate, and changes nothing.
func (d *Detector) SetThresholds(threshold float64, byLabel map[string]float64) error {
	c := d.config
	c.Threshold, c.Thresholds = threshold, byLabel
	labels := make([]string, len(d.tracks))
	for i, t := range d.tracks {
		labels[i] = t.label
	}
	if err := c.Validate(labels); err != nil {
		return err
	}
	d.config = c
	d.setThresholds()
	return nil
}

// setThresholds sets those of the tracks.
func (d *Detector) setThresholds() {
	for i := range d.tracks {
		t := &d.tracks[i]
		t.threshold = cmp.Or(d.config.Thresholds[t.label], d.config.Threshold)
		t.level = t.threshold * d.config.Release
	}
}

// Require sets the smoothed probability that an event needs to begin, besides its label's threshold. What reaches its
// threshold and not this before it is released is refused, which Refused counts.
func (d *Detector) Require(p float64) { d.minimum = p }

// Refused returns how many events of the stream were refused (Require).
func (d *Detector) Refused() int { return d.refused }

// Reset begins a new stream.
func (d *Detector) Reset() {
	d.smoother.spans = d.smoother.spans[:0]
	d.end, d.ended, d.refused = math.Inf(-1), d.ended[:0], 0
	for i := range d.tracks {
		d.tracks[i].state = state{decided: math.Inf(-1)}
	}
}

// Push adds the decision on the window from start to end: each label's probability, where nil stands for zeros. now is
// how much of the stream the decision took, at least end. It returns the event that the decision begins, if any.
//
// A decision whose times are not finite, or whose end is not after the last one's, is left out. Probabilities are
// clamped to [0, 1], NaN to 0. Another number of probabilities than of labels panics.
func (d *Detector) Push(start, end, now float64, p []float64) (Event, bool) {
	d.ended = d.ended[:0]
	from, ok := d.advance(start, end)
	if !ok {
		return Event{}, false
	}
	if !(now >= end && now <= math.MaxFloat64) {
		now = end
	}
	d.clamp(p)
	smoothed := d.smoother.push(from, end, d.p)
	for i := range d.tracks {
		d.update(&d.tracks[i], d.p[i], smoothed[i], end, end-start)
	}
	i := d.likeliest(smoothed)
	if i < 0 || !d.begins(&d.tracks[i], end) {
		return Event{}, false
	}
	t := &d.tracks[i]
	if t.doubted = smoothed[i] < d.minimum; t.doubted {
		return Event{}, false
	}
	t.held, t.active, t.decided = true, true, end
	t.floor = max(d.first, t.event.End)
	t.event = Event{Time: now, Start: max(t.rise-(end-start)/4, t.floor), End: end, Label: t.label, P: smoothed[i]}
	return t.event, true
}

// advance sets the end of the last window and returns from when on its probabilities hold.
func (d *Detector) advance(start, end float64) (from float64, ok bool) {
	if !(start <= end) || math.IsInf(start, 0) || math.IsInf(end, 0) || end <= d.end {
		return 0, false
	}
	if from = d.end; math.IsInf(from, -1) {
		d.first, from = start, start
	}
	d.end = end
	return from, true
}

// clamp copies p to d.p, clamped to [0, 1].
func (d *Detector) clamp(p []float64) {
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

// update updates the state of a label for a window of so many seconds that ends at end.
func (d *Detector) update(t *track, p, smoothed, end, window float64) {
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
		d.finish(t, window)
	}
	d.refuse(t)
	t.held = false
	t.present = t.present && p >= t.level
}

// likeliest returns the index of the label with the largest ratio of probability to threshold, background labels apart;
// -1 where all are 0.
func (d *Detector) likeliest(smoothed []float64) int {
	best, largest := -1, 0.0
	for i, t := range d.tracks {
		if ratio := smoothed[i] / t.threshold; ratio > largest && !Background(t.label) {
			best, largest = i, ratio
		}
	}
	return best
}

// begins reports whether the label begins an event with the window that ends at end.
func (d *Detector) begins(t *track, end float64) bool {
	return t.reached && !t.held &&
		end-t.since >= d.config.MinDuration-tolerance && end-t.decided >= d.config.Refractory-tolerance
}

// refuse counts the label's event if the minimum has kept it from beginning.
func (d *Detector) refuse(t *track) {
	if t.doubted {
		t.doubted = false
		d.refused++
	}
}

// finish ends the label's event, whose plateau ended at t.last.
func (d *Detector) finish(t *track, window float64) {
	t.active = false
	plateau := t.last - t.rise
	length := min(plateau, max(window/2, 2*plateau-window*3/2))
	centre := (t.rise + t.last - window) / 2
	t.event.Start = max(centre-length/2, t.floor)
	t.event.End = max(centre+length/2, t.event.Start)
	d.ended = append(d.ended, t.event)
}

// Flush ends the stream, and with it the events that go on: they end where the stream does.
func (d *Detector) Flush() {
	d.ended = d.ended[:0]
	for i := range d.tracks {
		d.refuse(&d.tracks[i])
		if t := &d.tracks[i]; t.active {
			t.active = false
			t.event.End = d.end
			d.ended = append(d.ended, t.event)
		}
	}
	slices.SortStableFunc(d.ended, func(a, b Event) int { return cmp.Compare(a.Start, b.Start) })
}

// Ended returns the events that ended with the last Push or Flush, with Start and End estimated from the whole plateau.
// The list is valid until the next call. Each event ends once, with Flush at the latest.
func (d *Detector) Ended() []Event { return d.ended }
