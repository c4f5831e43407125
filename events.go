package polyphon

import (
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
	// Samples is the event's sound with what surrounds it, at least a window, mono at the model's rate, with WithSamples. It begins
	// SamplesStart seconds after the stream did. Of an event of more than half a minute it is the end.
	Samples      []float32
	SamplesStart float64
}

// Events yields the events of a recording, or of a live source that needs no other treatment, each once it has ended and its
// Start and End are known as well as they can be. Memory is bounded, however long the source. An error ends the
// sequence: the source's, ctx's, ErrDiverged.
func (r *Recognizer) Events(ctx context.Context, src audio.Source) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := r.events(ctx, src, func(e Event) bool { return yield(e, nil) }); err != nil {
			yield(Event{}, err)
		}
	}
}

func (r *Recognizer) events(ctx context.Context, src audio.Source, yield func(Event) bool) error {
	src, err := audio.Resample(src, r.Model().Features.Rate)
	if err != nil {
		return err
	}
	tracker, err := r.newTracker(true)
	if err != nil {
		return err
	}
	o := inference.StreamOptions{Hop: r.stream.Hop, Gate: r.stream.Gate}
	tracked := &trackedSource{Source: src, tracker: tracker}
	for d, err := range r.decisions(ctx, tracked, o, make([]float32, eventPiece), 0) {
		if err != nil {
			return err
		}
		tracker.decide(d)
		for _, e := range tracker.take() {
			if !yield(e) {
				return nil
			}
		}
	}
	tracker.flush()
	for _, e := range tracker.take() {
		if !yield(e) {
			return nil
		}
	}
	return nil
}

const (
	eventPiece    = 4096 // samples that are read at a time, at most
	maxEventSound = 30   // seconds that are kept of an event's sound
)

// trackedSource is the sound that a tracker follows, and the silence after it.
type trackedSource struct {
	audio.Source
	tracker *tracker
	silence []float32 // what is left of it
}

func (s *trackedSource) Read(dst []float32) (n int, err error) {
	if s.tracker.length > 0 {
		n = copy(dst, s.silence)
		if s.silence = s.silence[n:]; len(s.silence) == 0 {
			err = io.EOF
		}
		return n, err
	}
	n, err = s.Source.Read(dst)
	s.tracker.record(dst[:n])
	if err == io.EOF && s.tracker.samples == 0 {
		return 0, audio.ErrEmpty
	}
	if err == io.EOF {
		s.silence, err = s.tracker.end(), nil
	}
	return n, err
}

// tracker makes events of the decisions of one stream.
type tracker struct {
	detector *detect.Detector
	rate     int // hertz
	window   float64
	tail     []float32 // silence that follows the sound, so that its last word can be reported

	atEnd   bool    // events are reported when they have ended, not when they begin
	events  []Event // not taken yet
	samples int64   // of the sound so far
	length  float64 // seconds of the whole sound, once it has ended
	sound   *ring   // the latest samples; nil without WithSamples
}

func (r *Recognizer) newTracker(atEnd bool) (*tracker, error) {
	m, c := r.Model(), r.detection
	detector, err := detect.New(m.Labels, c)
	if err != nil {
		return nil, err
	}
	t := &tracker{detector: detector, rate: m.Features.Rate, window: m.Window, atEnd: atEnd}
	t.tail = make([]float32, int((m.Window+c.Smoothing+c.MinDuration)*float64(t.rate)))
	if r.samples {
		t.sound = newRing(int((maxEventSound + 2*m.Window) * float64(t.rate)))
	}
	return t, nil
}

// record takes note of samples that are pushed to the stream.
func (t *tracker) record(samples []float32) {
	t.samples += int64(len(samples))
	if t.sound != nil {
		t.sound.push(samples)
	}
}

// end says that the sound has ended, and returns the silence to push after it.
func (t *tracker) end() []float32 {
	t.length = t.seconds()
	return t.tail
}

// seconds returns how much of the sound has been pushed.
func (t *tracker) seconds() float64 { return float64(t.samples) / float64(t.rate) }

// decide takes a decision.
func (t *tracker) decide(d inference.Decision) {
	if e, ok := t.detector.Push(d.Start, d.End, d.Used, d.P); ok && !t.atEnd {
		t.add(e)
	}
	t.addEnded()
}

// flush ends the events that go on, after the last decision.
func (t *tracker) flush() {
	t.detector.Flush()
	t.addEnded()
}

func (t *tracker) addEnded() {
	if t.atEnd {
		for _, e := range t.detector.Ended() {
			t.add(e)
		}
	}
}

// add adds an event. What begins in the silence after the sound is no event, and none goes on into it.
func (t *tracker) add(e detect.Event) {
	if over := t.length > 0; over && e.Start >= t.length {
		return
	} else if over {
		e.End, e.Time = min(e.End, t.length), min(e.Time, t.length)
	}
	event := Event{Event: e}
	if t.sound != nil {
		middle := (e.Start + e.End) / 2
		from, to := min(e.Start, middle-t.window/2), max(e.End, middle+t.window/2)
		event.Samples, event.SamplesStart = t.sound.between(from, to, t.rate)
	}
	t.events = append(t.events, event)
}

// take returns the events since the last call.
func (t *tracker) take() []Event {
	events := t.events
	t.events = nil
	return events
}

func (t *tracker) reset() {
	t.detector.Reset()
	t.events = nil
	t.samples, t.length = 0, 0
	if t.sound != nil {
		t.sound.next = 0
	}
}

// ring holds the latest samples of a stream.
type ring struct {
	samples []float32
	next    int // number of the next sample
}

func newRing(n int) *ring { return &ring{samples: make([]float32, n)} }

func (r *ring) push(samples []float32) {
	for len(samples) > 0 {
		n := copy(r.samples[r.next%len(r.samples):], samples)
		samples = samples[n:]
		r.next += n
	}
}

// between returns a copy of the samples between two times in seconds, as far as they are there, and the first one's time.
func (r *ring) between(from, to float64, rate int) ([]float32, float64) {
	first := max(int(math.Round(from*float64(rate))), r.next-len(r.samples), 0)
	end := min(int(math.Round(to*float64(rate))), r.next)
	var list []float32
	for i := first; i < end; {
		at := i % len(r.samples)
		n := min(end-i, len(r.samples)-at)
		list = append(list, r.samples[at:at+n]...)
		i += n
	}
	return list, float64(first) / float64(rate)
}
