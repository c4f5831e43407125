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
}

// arrival is what one read returned. A buffer that is not full was all that there was.
type arrival struct {
	data []byte
	at   time.Time
	err  error
}

const (
	bufferBytes = 64 << 10 // what a Linux pipe holds
	buffers     = 4
)

// NewReader returns a Reader of r and begins to read. When ctx is done, the goroutine ends with its current read of r.
func NewReader(ctx context.Context, r io.Reader) *Reader {
	a := &Reader{ctx: ctx, filled: make(chan arrival, buffers), free: make(chan []byte, buffers)}
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
		n, err := io.ReadAtLeast(r, buffer, 1)
		a.filled <- arrival{buffer[:n], time.Now(), err} // has room for every buffer
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

// CaughtUp reports whether Read has returned all that had arrived at a moment, and which moment.
func (a *Reader) CaughtUp() (at time.Time, ok bool) {
	return a.current.at, len(a.rest) == 0 && a.current.data != nil && !a.Flooded()
}

// Flooded reports whether more arrives at once than live sound brings, as from a file.
func (a *Reader) Flooded() bool { return len(a.current.data) == bufferBytes }
