// Package live buffers live sound, measures the lag of its processing, and checks that it is what was declared.
package live

import (
	"context"
	"io"
	"time"
)

// Reader reads from another reader as soon as there is something to read, in a goroutine of its own and into a few
// buffers. When these are full, it waits for room. Unlike a read of the standard input, its Read can be interrupted.
type Reader struct {
	ctx     context.Context
	filled  chan arrival
	free    chan []byte // buffers to fill
	current arrival
	rest    []byte // of current, not yet read
	paused  bool   // current came after a pause that Resumed has not reported

	patience time.Duration
	stopped  func()
	goesOn   func(after time.Duration)
}

// arrival is what one read returned. A buffer that is not full was all that there was.
type arrival struct {
	data   []byte
	at     time.Time
	waited time.Duration // for it; until then, all that the source had brought was in earlier arrivals
	err    error
}

const (
	bufferBytes = 64 << 10 // what a Linux pipe holds
	buffers     = 4

	minPause = 200 * time.Millisecond // longer than between the periods of a sound card
)

// NewReader returns a Reader of r and begins to read. When ctx is done, the goroutine ends with its current read of r.
func NewReader(ctx context.Context, r io.Reader) *Reader {
	a := &Reader{
		ctx: ctx, filled: make(chan arrival, buffers), free: make(chan []byte, buffers),
		current: arrival{at: time.Now()},
	}
	for range buffers {
		a.free <- make([]byte, bufferBytes)
	}
	go a.readAll(r)
	return a
}

// readAll reads r to its end.
func (a *Reader) readAll(r io.Reader) {
	for {
		var buffer []byte
		select {
		case buffer = <-a.free:
		case <-a.ctx.Done():
			return
		}
		before := time.Now()
		n, err := io.ReadAtLeast(r, buffer, 1)
		now := time.Now()
		a.filled <- arrival{buffer[:n], now, now.Sub(before), err} // has room for every buffer
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader. It returns the context's error once that is done.
func (a *Reader) Read(p []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	for len(a.rest) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.current.data != nil {
			a.free <- a.current.data[:bufferBytes]
		}
		a.current = a.next()
		a.rest = a.current.data
		a.paused = a.current.waited >= minPause && len(a.rest) > 0
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Watch has Read call stopped when the source has brought nothing for so long, once each time, and goesOn when it
// brings something again, with the time without. It is called before the first Read.
func (a *Reader) Watch(patience time.Duration, stopped func(), goesOn func(after time.Duration)) {
	a.patience, a.stopped, a.goesOn = patience, stopped, goesOn
}

// next waits for the next arrival.
func (a *Reader) next() arrival {
	var silence <-chan time.Time
	if a.stopped != nil && len(a.filled) == 0 {
		timer := time.NewTimer(a.patience - time.Since(a.current.at))
		defer timer.Stop()
		silence = timer.C
	}
	for stopped := false; ; {
		select {
		case next := <-a.filled:
			if stopped && len(next.data) > 0 {
				a.goesOn(next.at.Sub(a.current.at))
			}
			return next
		case <-silence:
			stopped = true
			a.stopped()
		case <-a.ctx.Done():
			return arrival{err: a.ctx.Err()}
		}
	}
}

// Resumed reports, once of each pause of the source, that the latest Read has returned the first of what it brought
// after the pause, and when that arrived. All that was read before had arrived before the pause.
func (a *Reader) Resumed() (at time.Time, ok bool) {
	ok, a.paused = a.paused, false
	return a.current.at, ok
}

// CaughtUp reports whether Read has returned all that had arrived at a moment, and which moment.
func (a *Reader) CaughtUp() (at time.Time, ok bool) {
	return a.current.at, len(a.rest) == 0 && a.current.data != nil && !a.Flooded()
}

// Flooded reports whether more arrives at once than live sound brings, as from a file.
func (a *Reader) Flooded() bool { return len(a.current.data) == bufferBytes }
