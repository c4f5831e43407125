package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/polyphon/polyphon/polynet"
)

func manyInputs(n int) []input {
	list := make([]input, n)
	for i := range list {
		list[i].name = fmt.Sprint(i)
	}
	return list
}

// endingAt is an event that can be told from others.
func endingAt(second int) event { return event{window: polynet.Window{End: float64(second)}} }

// blocked calls f on another goroutine and fails the test if it returns by itself. What the returned function waits for is f's end.
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

func TestDeskKeepsTheOrderOfInputsAndEvents(t *testing.T) {
	const inputs, workers = 3000, 4
	d, ctx := newDesk(manyInputs(inputs)), context.Background()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for {
				s, ok := d.next(ctx, rng.IntN(2) == 0)
				if !ok {
					continue
				}
				if s == nil {
					return
				}
				for i := range 1 + rng.IntN(100) {
					d.put(ctx, s, endingAt(i))
				}
				d.put(ctx, s, event{done: true})
			}
		})
	}
	count := 0
	for s := range d.sounds {
		if s.name != fmt.Sprint(count) {
			t.Fatalf("input %s came in place %d", s.name, count)
		}
		count++
		for i := 0; ; i++ {
			e, arrived := d.take(s)
			if arrived != nil {
				<-arrived
				e, _ = d.take(s)
			}
			if e.done {
				break
			}
			if e.window.End != float64(i) {
				t.Fatalf("input %s: event %g came in place %d", s.name, e.window.End, i)
			}
		}
	}
	all.Wait()
	expect(t, "inputs", count, inputs)
	expect(t, "events left", d.heard, 0)
}

// Long sounds are heard at the same time, as far as memory allows, and the one that is being written always goes on.
func TestDeskBoundsEvents(t *testing.T) {
	d, ctx := newDesk(manyInputs(3)), context.Background()
	first, _ := d.next(ctx, true)
	second, _ := d.next(ctx, true)
	for i := range allEventsAhead {
		d.put(ctx, second, endingAt(i))
	}
	wait := blocked(t, "one event more than may wait", func() { d.put(ctx, second, endingAt(0)) })
	for i := range eventsAhead {
		d.put(ctx, first, endingAt(i))
	}
	waitFirst := blocked(t, "one more of an input with enough", func() { d.put(ctx, first, endingAt(eventsAhead)) })
	for i := range eventsAhead + 1 {
		e, arrived := d.take(first)
		if arrived != nil {
			<-arrived
			e, _ = d.take(first)
		}
		expect(t, "event", e.window.End, float64(i))
	}
	waitFirst()
	d.take(second)
	wait()
	expect(t, "events", d.heard, allEventsAhead)

	interrupted, stop := context.WithCancel(ctx)
	wait = blocked(t, "an event without room", func() {
		if d.put(interrupted, second, endingAt(0)) {
			t.Error("an event was put where there was no room")
		}
	})
	stop()
	wait()
}

func TestDeskBoundsInputs(t *testing.T) {
	d, ctx := newDesk(manyInputs(soundsAhead+2)), context.Background()
	for range soundsAhead {
		if s, ok := d.next(ctx, false); s == nil || !ok {
			t.Fatal("an input was not begun")
		}
	}
	if _, ok := d.next(ctx, false); ok {
		t.Errorf("%d inputs are ahead of the writer", soundsAhead+1)
	}
	wait := blocked(t, "one input more", func() {
		if s, ok := d.next(ctx, true); s == nil || !ok {
			t.Error("the input was not begun")
		}
	})
	for range d.sounds {
		break
	}
	wait()

	interrupted, stop := context.WithCancel(ctx)
	wait = blocked(t, "an interrupted worker", func() {
		if s, _ := d.next(interrupted, true); s != nil {
			t.Error("an input was begun when the run had been interrupted")
		}
	})
	stop()
	wait()
	d.close()
	rest := 0
	for range d.sounds {
		rest++
	}
	expect(t, "inputs begun", rest, soundsAhead)
	for range soundsAhead + 1 {
		if s, ok := d.next(ctx, false); s != nil || !ok {
			t.Fatal("an input was begun behind the end")
		}
	}
}
