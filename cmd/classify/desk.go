package main

import (
	"context"
	"sync"
)

const (
	soundsAhead = 256 // inputs that may be begun before the one that is being written has ended
	// An input's events may wait to be written when it has few of them, or when all inputs together do: several long inputs can be
	// heard at the same time, and memory stays bounded.
	eventsAhead    = 64
	allEventsAhead = 1 << 14
)

// desk is where workers take the inputs from, each when it is ready for one, and leave what they hear in them for the writer. There
// is no goroutine between the two: to wake one costs more than to read a short file.
type desk struct {
	begun chan *sound   // not yet asked for by the writer, in the order of the inputs
	slots chan struct{} // one for each sound in begun, taken before

	failFast bool // begin no inputs after the first one that fails

	mu     sync.Mutex // guards what follows, and the heard and arrived of all sounds
	rest   []input
	ended  bool          // begun is closed
	heard  int           // events of all sounds
	lifted chan struct{} // closed when events have been taken; nil: nobody waits for that
}

func newDesk(inputs []input) *desk {
	return &desk{begun: make(chan *sound, soundsAhead), slots: make(chan struct{}, soundsAhead), rest: inputs}
}

// next begins the next input. It returns nil behind the last one, or when ctx has ended. Where the writer is too far behind it
// waits for it, or returns false if it is not to wait.
func (d *desk) next(ctx context.Context, wait bool) (s *sound, ok bool) {
	select {
	case d.slots <- struct{}{}:
	default:
		if !wait {
			return nil, false
		}
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.rest) == 0 {
		d.end()
		<-d.slots
		return nil, true
	}
	s = &sound{input: d.rest[0], desk: d}
	d.rest = d.rest[1:]
	d.begun <- s
	return s, true
}

// end says that no more inputs will be begun. The caller holds the lock.
func (d *desk) end() {
	d.rest = nil
	if !d.ended {
		d.ended = true
		close(d.begun)
	}
}

// close is end for those who do not hold the lock.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
}

// sounds yields the sounds that have been begun, in the order of the inputs, until there will be no more.
func (d *desk) sounds(yield func(*sound) bool) {
	for s := range d.begun {
		<-d.slots
		if !yield(s) {
			return
		}
	}
}

// put leaves an event of s for the writer, and reports false when ctx ended while there was no room.
func (d *desk) put(ctx context.Context, s *sound, e event) bool {
	for {
		d.mu.Lock()
		if len(s.heard) < eventsAhead || d.heard < allEventsAhead {
			s.heard = append(s.heard, e)
			d.heard++
			if d.failFast && e.err != nil {
				d.end()
			}
			if s.arrived != nil {
				close(s.arrived)
				s.arrived = nil
			}
			d.mu.Unlock()
			return true
		}
		if d.lifted == nil {
			d.lifted = make(chan struct{})
		}
		lifted := d.lifted
		d.mu.Unlock()
		select {
		case <-lifted:
		case <-ctx.Done():
			return false
		}
	}
}

// take returns the next event of s; or, where there is none, a channel that is closed when there is one.
func (d *desk) take(s *sound) (e event, arrived <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(s.heard) == 0 {
		if s.arrived == nil {
			s.arrived = make(chan struct{})
		}
		return event{}, s.arrived
	}
	e, s.heard[0] = s.heard[0], event{}
	s.heard = s.heard[1:]
	d.heard--
	if d.lifted != nil {
		close(d.lifted)
		d.lifted = nil
	}
	return e, nil
}

// hears reports whether s has events to take.
func (d *desk) hears(s *sound) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(s.heard) > 0
}
