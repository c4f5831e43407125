package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func manyInputs(n int) iter.Seq[input] {
	return func(yield func(input) bool) {
		for i := range n {
			if !yield(input{name: fmt.Sprint(i)}) {
				return
			}
		}
	}
}

// recordAt is a record that differs from others.
func recordAt(second int) record { return record{result: result{Seconds: seconds(second)}} }

// take returns the next record of an item, which must come.
func take(t *testing.T, q *queue, it *item) record {
	t.Helper()
	r, ok, err := q.take(t.Context(), it, func() error { return nil })
	if !ok || err != nil {
		t.Fatalf("no record: %v, %v", ok, err)
	}
	return r
}

// blocked calls f on another goroutine and fails the test if it returns by itself. What the returned function waits for
// is f's end.
func blocked(t *testing.T, what string, f func()) (wait func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
		t.Errorf("%s did not wait", what)
	case <-time.After(20 * time.Millisecond):
	}
	return func() { <-done }
}

func TestQueueKeepsTheOrderOfInputsAndRecords(t *testing.T) {
	const inputs, workers = 3000, 4
	q, ctx := newQueue(manyInputs(inputs), workers), context.Background()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for it := q.next(); it != nil; it = q.next() {
				for i := range 1 + rng.IntN(100) {
					q.put(ctx, it, recordAt(i))
				}
				q.put(ctx, it, record{done: true})
			}
		})
	}
	count := 0
	for it := range q.begun {
		if it.name != fmt.Sprint(count) {
			t.Fatalf("input %s came in place %d", it.name, count)
		}
		count++
		for i := 0; ; i++ {
			r := take(t, q, it)
			if r.done {
				break
			}
			if r.result.Seconds != seconds(i) {
				t.Fatalf("input %s: record %v came in place %d", it.name, r.result.Seconds, i)
			}
		}
	}
	all.Wait()
	expect(t, "inputs", count, inputs)
	expect(t, "records left", q.held, 0)
}

// Long inputs are computed at the same time, as far as memory allows, and the one that is being written always goes on.
func TestQueueBoundsRecords(t *testing.T) {
	q, ctx := newQueue(manyInputs(3), 2), context.Background()
	first, second := q.next(), q.next()
	for i := range maxRecords {
		q.put(ctx, second, recordAt(i))
	}
	wait := blocked(t, "one record more than may wait", func() { q.put(ctx, second, recordAt(0)) })
	waitFirst := blocked(t, "a record of an input that nobody writes", func() {
		for i := range sureRecords {
			q.put(ctx, first, recordAt(i))
		}
	})
	expect(t, "first record", take(t, q, first).result.Seconds, seconds(0)) // now somebody does
	waitFirst()
	q.put(ctx, first, recordAt(sureRecords))
	waitFirst = blocked(t, "one more of an input with enough", func() { q.put(ctx, first, recordAt(sureRecords+1)) })
	for i := range sureRecords + 1 {
		expect(t, "record", take(t, q, first).result.Seconds, seconds(i+1))
	}
	waitFirst()
	take(t, q, second)
	wait()
	expect(t, "records", q.held, maxRecords)

	interrupted, stop := context.WithCancel(ctx)
	wait = blocked(t, "a record without room", func() {
		if q.put(interrupted, second, recordAt(0)) {
			t.Error("a record was put where there was no room")
		}
	})
	stop()
	wait()
}

func TestQueueEnds(t *testing.T) {
	q := newQueue(manyInputs(5), 1)
	it := q.next()
	ctx, stop := context.WithCancel(t.Context())
	q.put(ctx, it, recordAt(1))
	stop()
	expect(t, "a record that is there when the run has ended", take(t, q, it).result.Seconds, seconds(1))
	if _, ok, err := q.take(ctx, it, func() error { return nil }); ok || err != nil {
		t.Errorf("a record of an interrupted input: %v, %v", ok, err)
	}
	broken := errors.New("broken")
	if _, ok, err := q.take(t.Context(), it, func() error { return broken }); ok || err != broken {
		t.Errorf("the error of a writer that is about to wait: %v, %v", ok, err)
	}
	q.close()
	q.close()
	begun := 0
	for range q.begun {
		begun++
	}
	expect(t, "inputs begun", begun, 1)
	if q.next() != nil {
		t.Error("an input was begun after the end")
	}
}
