package polyphon

import (
	"cmp"
	"context"
	"io"
	"iter"
	"math"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/inference"
)

// Event is a sound that was detected: a word, say. Times are in seconds since the stream or recording began.
type Event struct {
	detect.Event
	Near bool // it is none: a near miss (WithNear)
	// Samples is, with WithSamples, the event's sound with what surrounds it, mono at the model's rate: at least a
	// window, or less near the beginning or end of the stream. It begins SamplesStart seconds after the stream did. Of
	// an event of more than half a minute it is the end.
	Samples      []float32
	SamplesStart float64
}

// Events yields the events of a recording, or of a live source that needs no other treatment, each once it has ended
// and its Start and End are known as well as they can be. Memory is bounded, however long the source. An error ends the
// sequence: the source's, ctx's, audio.ErrEmpty, audio.ErrFormat, ErrDiverged, ErrClosed.
func (r *Recognizer) Events(ctx context.Context, src audio.Source) iter.Seq2[Event, error] {
	return r.EventsOverall(ctx, src, new(Overall))
}

// EventsOverall is Events that adds the answers from which the events are made, those for whole windows of the sound,
// to whole: at the end it has the labels over the whole recording, without a second run of the network. To a sound no
// longer than a window it adds the answer of Classify.
func (r *Recognizer) EventsOverall(ctx context.Context, src audio.Source, whole *Overall) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		inParts := r.slotsOf(src) != nil && r.stream.Gate == 0
		src, err := audio.Resample(src, r.Model().Features.Rate)
		if err != nil {
			yield(Event{}, err)
			return
		}
		g, err := r.listenGroup(1, Format{}, 0, true)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer g.Close()
		m, t := r.Model(), g.trackers[0]
		samples := make([]float32, max(pieceSamples, m.WindowSamples()+1))
		n, err := audio.ReadFull(src, samples[:m.WindowSamples()+1])
		if err == io.EOF && n <= m.WindowSamples() {
			scores, failed := r.Classify(samples[:n], m.Features.Rate)
			if failed != nil {
				yield(Event{}, failed)
				return
			}
			whole.Add(scores)
		} else {
			t.decided = func(d inference.Decision) {
				whole.Add(r.rank(d.P))
				t.watch(d)
			}
		}
		defer func() { whole.RefusedEvents += t.detector.Refused() }()
		if inParts && n > m.WindowSamples() {
			r.recordingEvents(ctx, &headed{src, samples[:n], err}, t, yield)
			return
		}
		l, begun := &Listener{g}, false
		l.follow(yield, func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if begun {
				n, err = src.Read(samples[:pieceSamples])
			}
			begun = true
			return cmp.Or(l.Push(samples[:n]), err)
		})
	}
}

const (
	pieceSamples  = 4096 // that are read at a time, at most
	maxEventSound = 30   // seconds that are kept of an event's sound
	timeTolerance = 1e-6 // seconds, for rounding

	// Events of a sound that wait for a call of Events, at most, without and with their samples.
	maxEvents           = 1024
	maxEventsWithSounds = 64
)

// tracker makes events of the decisions on one sound.
type tracker struct {
	input     *audio.Converter
	detector  *detect.Detector
	near      nearMisses
	preRoll   float64 // seconds
	rate      int     // hertz
	window    float64
	recording bool                     // events are reported when they have ended, not when they begin
	decided   func(inference.Decision) // nil, or called with each decision on a whole window of the sound
	observe   func(inference.Decision) // nil, or called with each decision (ListenerGroup.Observe)
	drift     driftInput

	events    []Event // not taken yet
	maxEvents int
	samples   int         // of the sound so far
	flushed   bool        // the sound has ended
	latest    []float32   // a ring: sample i of the sound at i modulo its length; nil without WithSamples
	stats     ListenStats // Diverged, FirstErr and Dropped
}

func (r *Recognizer) newTracker(f audio.Format, recording bool) (*tracker, error) {
	m := r.Model()
	input, err := audio.NewConverter(f, m.Features.Rate)
	if err != nil {
		return nil, err
	}
	detector, err := detect.New(m.Labels, r.detection)
	if err != nil {
		return nil, err
	}
	detector.Require(r.minConfidence)
	near, err := newNearMisses(m.Labels, r.detection, r.near)
	if err != nil {
		return nil, err
	}
	t := &tracker{
		input: input, detector: detector, rate: m.Features.Rate, window: m.Window,
		near: near, preRoll: r.preRoll, recording: recording, maxEvents: maxEvents, drift: r.newDriftInput(),
	}
	if !recording {
		t.decided = t.watch
	}
	if r.samples {
		t.maxEvents = maxEventsWithSounds
		t.latest = make([]float32, int((maxEventSound+r.preRoll+2*m.Window)*float64(t.rate)))
	}
	return t, nil
}

// record counts samples of the sound, and keeps them for events.
func (t *tracker) record(samples []float32) {
	for i := 0; i < len(samples) && t.latest != nil; {
		i += copy(t.latest[(t.samples+i)%len(t.latest):], samples[i:])
	}
	t.samples += len(samples)
}

// seconds returns how much of the sound has been recorded.
func (t *tracker) seconds() float64 { return float64(t.samples) / float64(t.rate) }

// decide takes a decision.
func (t *tracker) decide(d inference.Decision) {
	if t.observe != nil && d.End < t.seconds()+timeTolerance { // not in the silence that follows the sound
		t.observe(d)
	}
	inside := d.End-d.Start > t.window-timeTolerance && d.End < t.seconds()+timeTolerance
	if t.decided != nil && inside && d.P != nil {
		t.decided(d)
	}
	e, began := t.detector.Push(d.Start, d.End, d.Used, d.P)
	if began && !t.recording {
		t.add(e, false)
	}
	t.addEnded()
	t.near.push(d, began, len(t.detector.Ended()))
	t.addNear()
}

// flush ends the events and near misses that go on.
func (t *tracker) flush() {
	t.detector.Flush()
	t.drift.finish()
	t.addEnded()
	t.near.flush()
	t.addNear()
}

// addNear adds the near misses that have ended.
func (t *tracker) addNear() {
	for _, e := range t.near.ended() {
		t.add(e, true)
	}
}

// watch looks for drift.
func (t *tracker) watch(d inference.Decision) {
	if d.Logits != nil { // not gated
		addToDrift(&t.drift, d.End, d.Logits)
	}
}

// addEnded adds the events of a recording that have ended.
func (t *tracker) addEnded() {
	if t.recording {
		for _, e := range t.detector.Ended() {
			t.add(e, false)
		}
	}
}

// add adds an event, or a near miss. What begins in the silence after the sound is no event, and none goes on into it.
func (t *tracker) add(e detect.Event, near bool) {
	if t.flushed {
		if e.Start >= t.seconds() {
			return
		}
		e.End, e.Time = min(e.End, t.seconds()), min(e.Time, t.seconds())
	}
	event := Event{Event: e, Near: near}
	if t.latest != nil {
		middle := (e.Start + e.End) / 2
		from := min(e.Start, middle-t.window/2) - t.preRoll
		event.Samples, event.SamplesStart = t.between(from, max(e.End, middle+t.window/2))
	}
	if len(t.events) == t.maxEvents {
		t.events = append(t.events[:0], t.events[1:]...)
		t.stats.Dropped++
	}
	t.events = append(t.events, event)
}

// between returns a copy of the samples between two times in seconds, as far as they are there, and the first one's
// time.
func (t *tracker) between(from, to float64) (samples []float32, start float64) {
	first := max(int(math.Round(from*float64(t.rate))), t.samples-len(t.latest), 0)
	end := min(int(math.Round(to*float64(t.rate))), t.samples)
	for i := first; i < end; i++ {
		samples = append(samples, t.latest[i%len(t.latest)])
	}
	return samples, float64(first) / float64(t.rate)
}

// take returns the events since the last call.
func (t *tracker) take() []Event {
	events := t.events
	t.events = nil
	return events
}

func (t *tracker) reset() {
	t.input.Reset()
	t.detector.Reset()
	t.near.reset()
	t.drift.finish()
	t.events, t.samples, t.flushed, t.stats = nil, 0, false, ListenStats{}
}
