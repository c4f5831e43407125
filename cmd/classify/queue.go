package main

import (
	"context"
	"iter"
	"sync"
)

// queue hands inputs to workers, and the records that these make of them to writers, in the order of the inputs.
// Several long inputs can be computed at the same time; memory is bounded by the number of records that wait. There is
// no goroutine in between: waking one would cost more than reading a short file.
type queue struct {
	begun chan *item // in the order of the inputs; it has room for all that can be begun and not be written

	mu   sync.Mutex           // guards what follows, and the items
	rest func() (input, bool) // the next that is not begun
	stop func()               // ends rest
	end  func()               // closes begun
	held int                  // records of all items
	room chan struct{}
}

const (
	maxRecords  = 1 << 14 // that wait to be written
	sureRecords = 64      // of an item that is being written, which always goes on
)

// item is an input that a worker has begun.
type item struct {
	input
	records []record // not yet written
	arrived chan struct{}
	writing bool // a writer has begun to take the records
}

// record is something that is found in an input, or its end, or both.
type record struct {
	window *window
	event  *event

	done   bool // the outcome is known
	result result
	err    error
}

// newQueue returns a queue of the inputs. Its workers begin so many at most before they complete one of these.
func newQueue(inputs iter.Seq[input], open int) *queue {
	q := &queue{begun: make(chan *item, maxRecords+sureRecords+open)} // what is complete has a record
	q.rest, q.stop = iter.Pull(inputs)
	q.end = sync.OnceFunc(func() { close(q.begun) })
	return q
}

// next begins the next input; nil after the last one. A worker has to complete inputs in the order in which it begins
// them: then the input that is to be written next never waits for room.
func (q *queue) next() *item {
	q.mu.Lock()
	defer q.mu.Unlock()
	in, ok := q.rest()
	if !ok {
		q.end()
		return nil
	}
	it := &item{input: in}
	q.begun <- it
	return it
}

// close makes next return nil.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stop()
	q.end()
}

// put adds a record of an item. It returns false when ctx ended while there was no room.
func (q *queue) put(ctx context.Context, it *item, r record) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.held >= maxRecords && !(it.writing && len(it.records) < sureRecords) {
		if !q.wait(ctx, &q.room) {
			return false
		}
	}
	it.records = append(it.records, r)
	q.held++
	wake(&it.arrived)
	return true
}

// take returns the next record of an item. Before it waits for one, it calls idle, whose error it returns. ok is false
// when ctx ended and there is none.
func (q *queue) take(ctx context.Context, it *item, idle func() error) (r record, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it.writing = true
	wake(&q.room)
	for len(it.records) == 0 {
		q.mu.Unlock()
		err := idle()
		q.mu.Lock()
		if err != nil || len(it.records) == 0 && !q.wait(ctx, &it.arrived) && len(it.records) == 0 {
			return record{}, false, err
		}
	}
	r, it.records[0] = it.records[0], record{}
	it.records = it.records[1:]
	q.held--
	wake(&q.room)
	return r, true, nil
}

// wait gives up the lock until wake is called for c. It returns false when ctx ended first.
func (q *queue) wait(ctx context.Context, c *chan struct{}) bool {
	if *c == nil {
		*c = make(chan struct{})
	}
	woken := *c
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-woken:
		return true
	case <-ctx.Done():
		return false
	}
}

// wake wakes all who wait for c.
func wake(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}
