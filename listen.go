package polyphon

import (
	"fmt"
	"io"
	"iter"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// Format says how live sound arrives.
type Format struct {
	Rate     int            // hertz, within audio.MinRate and audio.MaxRate; 0 stands for the model's
	Channels int            // of each frame, mixed down to mono; 0 stands for 1
	Encoding audio.Encoding // of bytes that are written; 0 stands for audio.S16LE
}

// Listener detects events in one live sound that is pushed as it arrives, in pieces of any size. It is used by one goroutine.
type Listener struct{ group *ListenerGroup }

// Listen returns a new Listener. An impossible format gives an error that wraps audio.ErrFormat.
func (r *Recognizer) Listen(f Format) (*Listener, error) {
	g, err := r.ListenGroup(1, f)
	if err != nil {
		return nil, err
	}
	return &Listener{g}, nil
}

// Write takes interleaved frames in the format's encoding, cut anywhere, and computes what they complete. It always takes all
// of pcm; an error is the device's (device.Fault).
func (l *Listener) Write(pcm []byte) (int, error) {
	if err := l.group.Write(0, pcm); err != nil {
		return 0, err
	}
	return len(pcm), l.group.Compute()
}

// Push is Write of samples in [-1, 1], interleaved where the format has several channels.
func (l *Listener) Push(samples []float32) error {
	if err := l.group.Push(0, samples); err != nil {
		return err
	}
	return l.group.Compute()
}

// Events returns the events since the last call, each reported as soon as it is certain: its sound may go on, so that Start and
// End are estimates of the moment (detect.Detector).
func (l *Listener) Events() []Event { return l.group.trackers[0].take() }

// Follow reads sound in the format's encoding from r until it ends, and yields its events as Events does. An error ends
// the sequence: r's, or the device's.
func (l *Listener) Follow(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		pcm := make([]byte, followedBytes)
		for ended := false; !ended; {
			n, err := r.Read(pcm)
			if _, fault := l.Write(pcm[:n]); fault != nil {
				err = fault
			}
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
}

// followedBytes is how much Follow reads at a time, at most.
const followedBytes = 1 << 14

// Flush says that the sound has ended, and computes what is left. A Listener takes nothing more until Reset.
func (l *Listener) Flush() error {
	if err := l.group.Flush(0); err != nil {
		return err
	}
	return l.group.Compute()
}

// Reset begins a new sound, as if l were new.
func (l *Listener) Reset() error { return l.group.Reset(0) }

// Stats returns what l has done since it began.
func (l *Listener) Stats() ListenStats { return l.group.Stats(0) }

// Close gives l's memory back to the device.
func (l *Listener) Close() error { return l.group.Close() }

// ListenStats counts what a Listener has done since it began.
type ListenStats struct {
	Seconds   float64 // of sound that was pushed
	Decisions int
	Frames    int   // rows of features
	Gated     int   // of the Frames, those that the network has not computed because of the gate
	Diverged  int   // decisions whose probabilities were not finite: they count as zeros
	FirstErr  error // about the first of these, wrapping ErrDiverged
}

// ListenerGroup is Listeners that share one model and compute together, which costs less than each by itself. Sounds are
// numbered from 0. A ListenerGroup is used by one goroutine.
type ListenerGroup struct {
	group    *inference.Group
	trackers []*tracker
	inputs   []*audio.Converter
	stats    []ListenStats
	flushed  []bool
	mono     []float32 // scratch
	fault    error     // of the device; it stays
}

// ListenGroup returns a group of n listeners for sounds of one format. Errors are Listen's; too many listeners wrap
// polynet.ErrConfig.
func (r *Recognizer) ListenGroup(n int, f Format) (g *ListenerGroup, err error) {
	defer catchFault(&err)
	if r.isClosed() {
		return nil, ErrClosed
	}
	if n < 1 {
		return nil, fmt.Errorf("%w: %d listeners", polynet.ErrConfig, n)
	}
	rate := r.Model().Features.Rate
	if f.Rate == 0 {
		f.Rate = rate
	}
	f.Channels = max(f.Channels, 1)
	if f.Encoding == 0 {
		f.Encoding = audio.S16LE
	}
	g = &ListenerGroup{stats: make([]ListenStats, n), flushed: make([]bool, n)}
	for i := range n {
		input, err := audio.NewConverter(audio.Format{Rate: f.Rate, Channels: f.Channels, Encoding: f.Encoding}, rate)
		if err != nil {
			return nil, err
		}
		t, err := r.newTracker(false)
		if err != nil {
			return nil, err
		}
		t.pushTo = func(samples []float32) { g.group.Push(i, samples) }
		g.inputs, g.trackers = append(g.inputs, input), append(g.trackers, t)
	}
	g.group, err = r.plan.Group(n, inference.StreamOptions{Hop: r.stream.Hop, Step: inference.LiveStep, Gate: r.stream.Gate})
	return g, err
}

// Len returns the number of listeners.
func (g *ListenerGroup) Len() int { return len(g.trackers) }

// Write takes bytes of sound i as Listener.Write does; Compute computes what they complete.
func (g *ListenerGroup) Write(i int, pcm []byte) error {
	return g.push(i, func(mono []float32) []float32 { return g.inputs[i].Write(mono, pcm) })
}

// Push takes samples of sound i as Listener.Push does; Compute computes what they complete.
func (g *ListenerGroup) Push(i int, samples []float32) error {
	return g.push(i, func(mono []float32) []float32 { return g.inputs[i].Push(mono, samples) })
}

// push takes the mono samples that convert appends. A large piece is computed in parts, so that memory stays bounded.
func (g *ListenerGroup) push(i int, convert func(mono []float32) []float32) error {
	if g.flushed[i] {
		return fmt.Errorf("polyphon: sound %d has ended; Reset begins another", i)
	}
	g.mono = convert(g.mono[:0])
	rest := g.mono
	for len(rest) > maxPushed {
		g.trackers[i].push(rest[:maxPushed])
		rest = rest[maxPushed:]
		if err := g.Compute(); err != nil {
			return err
		}
	}
	if g.fault == nil {
		g.trackers[i].push(rest)
	}
	return g.fault
}

// maxPushed is how many samples wait for Compute at most in one piece.
const maxPushed = 1 << 15

// Flush says that sound i has ended; Compute computes what is left.
func (g *ListenerGroup) Flush(i int) error {
	if g.flushed[i] || g.fault != nil {
		return g.fault
	}
	g.mono = g.inputs[i].Flush(g.mono[:0])
	g.trackers[i].push(g.mono)
	g.trackers[i].endSound()
	g.group.Flush(i)
	g.flushed[i] = true
	return nil
}

// Compute computes what the sounds that were pushed complete. A failure of the device stays: every later call returns it.
func (g *ListenerGroup) Compute() error {
	for g.fault == nil {
		i, d, ok, err := g.next()
		switch {
		case err != nil && g.fault == nil: // not finite
			if g.stats[i].Diverged++; g.stats[i].Diverged == 1 {
				g.stats[i].FirstErr = err
			}
			fallthrough
		case ok:
			g.trackers[i].decide(d)
		}
		if !ok {
			break
		}
	}
	return g.fault
}

// next returns the next decision of a sound. A device's failure becomes g.fault.
func (g *ListenerGroup) next() (i int, d inference.Decision, ok bool, err error) {
	defer catchFault(&g.fault)
	return g.group.Next()
}

// GroupEvent is an event of one of a group's sounds.
type GroupEvent struct {
	Sound int
	Event
}

// Events returns the events since the last call, as Listener.Events does.
func (g *ListenerGroup) Events() []GroupEvent {
	var events []GroupEvent
	for i, t := range g.trackers {
		for _, e := range t.take() {
			events = append(events, GroupEvent{i, e})
		}
	}
	return events
}

// Reset begins a new sound in place of sound i.
func (g *ListenerGroup) Reset(i int) (err error) {
	defer catchFault(&err)
	if g.fault != nil {
		return g.fault
	}
	g.inputs[i].Reset()
	g.trackers[i].reset()
	g.group.Reset(i)
	g.stats[i], g.flushed[i] = ListenStats{}, false
	return nil
}

// Stats returns what has been done with sound i since it began.
func (g *ListenerGroup) Stats(i int) ListenStats {
	s, done := g.stats[i], g.group.Stats(i)
	s.Seconds, s.Decisions, s.Frames, s.Gated = g.trackers[i].seconds(), done.Decisions, done.Frames, done.Gated
	return s
}

// Close gives the group's memory back to the device.
func (g *ListenerGroup) Close() (err error) {
	defer catchFault(&err)
	g.group.Close()
	return nil
}
