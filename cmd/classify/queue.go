package main

import (
	"context"
	"sync"

	"github.com/polyphon/polyphon"
)

// queue hands inputs to workers and the records that these make of them to writers, in the order of the inputs. Several
// long inputs can be computed at the same time; memory is bounded by the number of records that wait. There is no
// goroutine in between: waking one would cost more than reading a short file.
type queue struct {
	begun chan *item // in the order of the inputs; it has room for all

	mu     sync.Mutex // guards what follows, and what the items say
	rest   []input    // not begun
	closed bool       // no more will be begun
	held   int        // records of all items
	room   notice     // for records
}

const (
	maxRecords  = 1 << 14 // that wait to be written
	sureRecords = 64      // of an item that is being written, which always goes on
)

// item is an input that a worker has begun.
type item struct {
	input
	records []record // not yet written
	arrived notice   // more of them
	writing bool     // a writer has begun to take them
}

// record is a result of an input, or a sign of life. The last one is done.
type record struct {
	window  polyphon.Window // where it has scores
	event   *event
	length  seconds // of the sound so far
	done    bool
	warning string // when done
	err     error  // the same
}

// notice wakes the goroutines that wait for something. It is guarded by the queue's lock.
type notice struct{ c chan struct{} }

// wait returns a channel that is closed by the next send.
func (s *notice) wait() <-chan struct{} {
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *notice) send() {
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

func newQueue(inputs []input) *queue {
	return &queue{begun: make(chan *item, len(inputs)), rest: inputs}
}

// next begins the next input; nil after the last one. A worker begins inputs in the order in which it completes them, so
// that the one that is to be written next is never held up by one that waits for room.
func (q *queue) next() *item {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rest) == 0 {
		q.end()
		return nil
	}
	it := &item{input: q.rest[0]}
	q.rest = q.rest[1:]
	q.begun <- it
	return it
}

// close makes next return nil.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end()
}

func (q *queue) end() {
	q.rest = nil
	if !q.closed {
		q.closed = true
		close(q.begun)
	}
}

// put adds a record of an item. It returns false when ctx ended while there was no room.
func (q *queue) put(ctx context.Context, it *item, r record) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.held >= maxRecords && !(it.writing && len(it.records) < sureRecords) {
		if !q.await(ctx, &q.room) {
			return false
		}
	}
	it.records = append(it.records, r)
	it.arrived.send()
	q.held++
	return true
}

// take returns the next record of an item. Before it waits for one, it calls idle, whose error it returns. ok is false
// when ctx ended and there is none.
func (q *queue) take(ctx context.Context, it *item, idle func() error) (r record, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !it.writing {
		it.writing = true
		q.room.send()
	}
	for ended := false; len(it.records) == 0; {
		if ended {
			return record{}, false, nil
		}
		q.mu.Unlock()
		err := idle()
		q.mu.Lock()
		if err != nil {
			return record{}, false, err
		}
		if len(it.records) == 0 {
			ended = !q.await(ctx, &it.arrived)
		}
	}
	r, it.records[0] = it.records[0], record{}
	it.records = it.records[1:]
	q.room.send()
	q.held--
	return r, true, nil
}

// await waits for a notice without holding the lock. It returns false when ctx ended first.
func (q *queue) await(ctx context.Context, s *notice) bool {
	arrived := s.wait()
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-arrived:
		return true
	case <-ctx.Done():
		return false
	}
}
