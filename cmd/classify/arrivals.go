package main

import (
	"context"
	"io"
	"time"
)

// arrivals is the standard input as it arrives. A goroutine reads what there is, as soon as there is some, into a few buffers;
// when these are full, the sound waits where it comes from. So memory does not grow, Read can be interrupted, and it is
// known when each byte came.
type arrivals struct {
	ctx     context.Context
	filled  chan arrival
	free    chan []byte
	current arrival
	rest    []byte // of current, not yet read
}

// arrival is what one read returned.
type arrival struct {
	data    []byte
	at      time.Time
	drained bool // there was no more to read: nothing waits in the pipe
	err     error
}

const (
	arrivalBytes = 64 << 10 // of a buffer: what a Linux pipe holds
	arrivalsHeld = 4        // buffers
)

// newArrivals begins to read r.
func newArrivals(ctx context.Context, r io.Reader) *arrivals {
	a := &arrivals{ctx: ctx, filled: make(chan arrival, arrivalsHeld), free: make(chan []byte, arrivalsHeld)}
	for range arrivalsHeld {
		a.free <- make([]byte, arrivalBytes)
	}
	go a.readAll(r)
	return a
}

// readAll reads r to its end. Where nothing comes and nobody wants it any more, it goes on waiting: a read of the standard
// input cannot be stopped.
func (a *arrivals) readAll(r io.Reader) {
	for {
		var buffer []byte
		select {
		case buffer = <-a.free:
		case <-a.ctx.Done():
			return
		}
		n, err := readSome(r, buffer)
		select {
		case a.filled <- arrival{data: buffer[:n], at: time.Now(), drained: n < len(buffer), err: err}:
		case <-a.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// readSome returns what one read gives; a reader that keeps returning nothing at all has failed.
func readSome(r io.Reader, buffer []byte) (n int, err error) {
	for range 100 {
		if n, err = r.Read(buffer); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// Read implements io.Reader. It returns the context's error once that is done.
func (a *arrivals) Read(p []byte) (int, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	for len(a.rest) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.current.data != nil {
			a.free <- a.current.data[:arrivalBytes]
		}
		select {
		case a.current = <-a.filled:
		case <-a.ctx.Done():
			a.current = arrival{err: a.ctx.Err()}
		}
		a.rest = a.current.data
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// caughtUp reports whether all that had arrived at a time has been read, and which time.
func (a *arrivals) caughtUp() (at time.Time, ok bool) {
	return a.current.at, len(a.rest) == 0 && a.current.drained
}

// flooded reports whether more arrives at once than a live sound brings while it is being waited for.
func (a *arrivals) flooded() bool { return a.current.data != nil && !a.current.drained }
