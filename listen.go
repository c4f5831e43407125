package polyphon

import (
	"cmp"
	"io"
	"iter"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/inference"
)

// Format says how live sound arrives. The zero value is 16-bit mono PCM at the model's rate.
type Format struct {
	Rate     int            // hertz, within audio.MinRate and audio.MaxRate; 0 stands for the model's
	Channels int            // of each frame, mixed down to mono; 0 stands for 1
	Encoding audio.Encoding // of bytes that are written; 0 stands for audio.S16LE
}

// Listener detects events in one live sound that is pushed as it arrives, in pieces of any size. Its memory is bounded,
// however long the sound. It is used by one goroutine.
type Listener struct{ group *ListenerGroup }

// Listen returns a new Listener. An impossible format gives an error that wraps audio.ErrFormat, a closed Recognizer
// ErrClosed.
func (r *Recognizer) Listen(f Format) (*Listener, error) {
	g, err := r.ListenGroup(1, f)
	if err != nil {
		return nil, err
	}
	return &Listener{g}, nil
}

// Write takes interleaved frames in the format's encoding, cut anywhere, and computes what they complete, as an
// io.Writer. An error is the device's (device.Fault), or ErrEnded.
func (l *Listener) Write(pcm []byte) (int, error) {
	if err := l.group.Write(0, pcm); err != nil {
		return 0, err
	}
	return len(pcm), l.group.Compute()
}

// Push is Write of samples in [-1, 1], interleaved where the format has several channels. Samples that are NaN,
// infinite or beyond ±2³² count as 0, with and without a gate; ListenStats.Odd counts them.
func (l *Listener) Push(samples []float32) error {
	if err := l.group.Push(0, samples); err != nil {
		return err
	}
	return l.group.Compute()
}

// Events returns the events since the last call, each reported as soon as it is certain: its sound may go on, so that
// Start and End are estimates of the moment (detect.Detector). Of more than 1024 events between two calls, 64 with
// WithSamples, the oldest are dropped, which ListenStats.Dropped counts.
func (l *Listener) Events() []Event { return l.group.trackers[0].take() }

// Follow reads sound in the format's encoding from r until it ends, flushes, and yields its events as Events does. An
// error ends the sequence: r's, or one of Write.
func (l *Listener) Follow(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		pcm := make([]byte, 4*pieceSamples)
		l.follow(yield, func() error {
			n, err := r.Read(pcm)
			if _, err := l.Write(pcm[:n]); err != nil {
				return err
			}
			return err
		})
	}
}

// follow calls feed, which pushes a piece of sound, until it returns an error, and yields the events after each piece.
// io.EOF ends the sound, and the sequence without an error.
func (l *Listener) follow(yield func(Event, error) bool, feed func() error) {
	for ended := false; !ended; {
		err := feed()
		if ended = err != nil; err == io.EOF {
			err = l.Flush()
		}
		for _, e := range l.Events() {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(Event{}, err)
		}
	}
}

// Flush ends the sound and computes what is left. The Listener takes nothing more until Reset.
func (l *Listener) Flush() error {
	if err := l.group.Flush(0); err != nil {
		return err
	}
	if err := l.group.Compute(); err != nil {
		return err
	}
	t := l.group.trackers[0]
	t.flush()
	return nil
}

// Reset begins a new sound, as if l were new. After a failure of the device it returns that.
func (l *Listener) Reset() error { return l.group.Reset(0) }

// Stats returns what l has done since its sound began.
func (l *Listener) Stats() ListenStats { return l.group.Stats(0) }

// Close gives l's memory back to the device.
func (l *Listener) Close() error { return l.group.Close() }

// ListenStats counts what a Listener has done since its sound began.
type ListenStats struct {
	Seconds   float64 // of sound that was pushed
	Decisions int
	Frames    int    // rows of features
	Gated     int    // of the Frames, those that the network has not computed because of the gate
	Odd       int    // samples of all channels that were NaN, infinite or beyond ±2³²: they count as 0
	Warning   string // what is odd about the scale of the samples that were pushed, and what to do; "" for nothing
	Refused   int    // events, because they were too doubtful (WithMinConfidence)
	Dropped   int    // events, the oldest, because too many waited for a call of Events
	Diverged  int    // decisions whose probabilities were not finite: they count as zeros
	FirstErr  error  // about the first of these, wrapping ErrDiverged
}

// ListenerGroup is Listeners that share one model and compute together, which costs less than each by itself. Sounds
// are numbered from 0; other numbers panic. Push or Write what each has received, call Compute, and take the Events. A
// ListenerGroup is used by one goroutine.
type ListenerGroup struct {
	group    *inference.Group
	trackers []*tracker
	silence  []float32 // that follows each sound, so that its last word can be reported
	mono     []float32 // scratch
	waiting  int       // samples that were pushed since the latest Compute
	fault    error     // of the device, or of a recording; it stays
}

// maxWaiting is how many samples a sound wait for Compute at most.
const maxWaiting = 1 << 15

// ListenGroup returns a group of n listeners for sounds of one format. Errors are Listen's; fewer than one listener or
// more than 4096 wrap polynet.ErrConfig.
func (r *Recognizer) ListenGroup(n int, f Format) (*ListenerGroup, error) {
	return r.listenGroup(n, f, inference.LiveStep, false)
}

// listenGroup is ListenGroup for computing in steps of so many seconds. Of a recording, events are reported once they
// have ended, and a decision that is not finite ends it.
func (r *Recognizer) listenGroup(n int, f Format, step float64, recording bool) (*ListenerGroup, error) {
	m, o := r.Model(), r.stream
	o.Step = step
	group, err := r.newStreams(n, o)
	if err != nil {
		return nil, err
	}
	format := audio.Format{
		Rate: cmp.Or(f.Rate, m.Features.Rate), Channels: cmp.Or(f.Channels, 1),
		Encoding: cmp.Or(f.Encoding, audio.S16LE),
	}
	g := &ListenerGroup{group: group, silence: r.silence()}
	for range n {
		t, err := r.newTracker(format, recording)
		if err != nil {
			g.Close()
			return nil, err
		}
		g.trackers = append(g.trackers, t)
	}
	return g, nil
}

// silence returns what follows the end of a sound, so that its last event can be reported.
func (r *Recognizer) silence() []float32 {
	m := r.Model()
	seconds := m.Window + r.detection.Smoothing + r.detection.MinDuration
	return make([]float32, int(seconds*float64(m.Features.Rate)))
}

// Write takes bytes of sound i as Listener.Write does; Compute computes what they complete.
func (g *ListenerGroup) Write(i int, pcm []byte) error {
	return g.push(i, func() []float32 { return g.trackers[i].input.Write(g.mono[:0], pcm) })
}

// Push takes samples of sound i as Listener.Push does; Compute computes what they complete.
func (g *ListenerGroup) Push(i int, samples []float32) error {
	return g.push(i, func() []float32 { return g.trackers[i].input.Push(g.mono[:0], samples) })
}

// push takes the mono samples of sound i that convert returns. Where many wait, it computes, so that memory is bounded.
func (g *ListenerGroup) push(i int, convert func() []float32) error {
	if g.trackers[i].flushed {
		return ErrEnded
	}
	g.mono = convert()
	for part := range slices.Chunk(g.mono, maxWaiting) {
		if g.fault != nil {
			break
		}
		g.trackers[i].record(part)
		g.group.Push(i, part)
		if g.waiting += len(part); g.waiting >= maxWaiting*len(g.trackers) {
			g.Compute()
		}
	}
	return g.fault
}

// Flush ends sound i; Compute computes what is left.
func (g *ListenerGroup) Flush(i int) error {
	t := g.trackers[i]
	if t.flushed || g.fault != nil {
		return g.fault
	}
	g.mono = t.input.Flush(g.mono[:0])
	t.record(g.mono)
	g.group.Push(i, g.mono)
	g.group.Push(i, g.silence)
	g.group.Flush(i)
	t.flushed = true
	return nil
}

// Compute computes what the sounds that were pushed complete. A failure of the device stays: every later call returns
// it (device.Fault).
func (g *ListenerGroup) Compute() error {
	g.waiting = 0
	for g.fault == nil {
		i, d, ok, err := nextDecision(g.group)
		if !ok {
			g.fault = err
			break
		}
		t := g.trackers[i]
		if err != nil {
			if t.recording {
				g.fault = err
				break
			}
			t.stats.Diverged++
			t.stats.FirstErr = cmp.Or(t.stats.FirstErr, err)
		}
		t.decide(d)
	}
	return g.fault
}

// GroupEvent is an event of one of a group's sounds.
type GroupEvent struct {
	Sound int // its number in the group
	Event
}

// Events returns the events of all sounds since the last call, as Listener.Events does, sound by sound.
func (g *ListenerGroup) Events() []GroupEvent {
	var events []GroupEvent
	for i, t := range g.trackers {
		for _, e := range t.take() {
			events = append(events, GroupEvent{i, e})
		}
	}
	return events
}

// Observe has Compute call f with each decision on sound i, beginning with the next one; nil ends that.
func (g *ListenerGroup) Observe(i int, f func(Decision)) { g.trackers[i].observe = f }

// SetThresholds replaces the thresholds of sound i, of all labels and of some of them, from its next decision on, also
// after a Reset. An error wraps detect.ErrConfig and changes nothing.
func (g *ListenerGroup) SetThresholds(i int, threshold float64, byLabel map[string]float64) error {
	return g.trackers[i].detector.SetThresholds(threshold, byLabel)
}

// Reset begins a new sound in place of sound i, as Listener.Reset does.
func (g *ListenerGroup) Reset(i int) (err error) {
	defer catchFault(&err)
	if g.fault != nil {
		return g.fault
	}
	g.trackers[i].reset()
	g.group.Reset(i)
	return nil
}

// Stats returns what has been done with sound i since it began.
func (g *ListenerGroup) Stats(i int) ListenStats {
	s, done := g.trackers[i].stats, g.group.Stats(i)
	s.Seconds, s.Decisions, s.Frames, s.Gated = g.trackers[i].seconds(), done.Decisions, done.Frames, done.Gated
	s.Refused = g.trackers[i].detector.Refused()
	s.Odd, s.Warning = g.trackers[i].input.Odd(), g.trackers[i].input.Warning()
	return s
}

// Close gives the group's memory back to the device.
func (g *ListenerGroup) Close() (err error) {
	defer catchFault(&err)
	g.group.Close()
	return nil
}
