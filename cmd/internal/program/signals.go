package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/internal/atomicfile"
)

// endings are what a command that is running is to know of an end that comes from outside. The context of Main has one.
type endings struct {
	mu       sync.Mutex
	holds    map[*time.Duration]struct{} // how long each wants to go on
	released time.Time                   // when the last hold ended
	aborts   []func()
	hangUp   func() // nil: SIGHUP ends the command
}

type endingsKey struct{}

// Hold lets the command go on for so long after a signal, at most, to bring to its end what the end of ctx breaks off.
// Without it the process ends at once. release ends the hold; from then on the time of the other holds counts anew,
// since what they are for may have had to wait for that hold's end, and after the last one the command has returnTime
// left to return.
func Hold(ctx context.Context, limit time.Duration) (release func()) {
	e, ok := ctx.Value(endingsKey{}).(*endings)
	if !ok {
		return func() {}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.holds[&limit] = struct{}{}
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.holds, &limit)
		e.released = time.Now()
	}
}

// OnAbort has f called when the process ends before the command does.
func OnAbort(ctx context.Context, f func()) {
	if e, ok := ctx.Value(endingsKey{}).(*endings); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.aborts = append(e.aborts, f)
	}
}

// OnHangUp has f called at each SIGHUP, which then does not end the command.
func OnHangUp(ctx context.Context, f func()) {
	if e, ok := ctx.Value(endingsKey{}).(*endings); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.hangUp = f
	}
}

// takes reports whether a signal is one that the command takes for something else than its end.
func (e *endings) takes(s os.Signal) bool {
	e.mu.Lock()
	f := e.hangUp
	e.mu.Unlock()
	if s != syscall.SIGHUP || f == nil {
		return false
	}
	f()
	return true
}

// held reports whether the command may still go on after a signal of that time.
func (e *endings) held(signalled time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	since, limit := signalled, time.Duration(0)
	if e.released.After(since) {
		since, limit = e.released, returnTime
	}
	for hold := range e.holds {
		limit = max(limit, *hold)
	}
	return time.Since(since) < limit
}

// abort leaves nothing half done behind.
func (e *endings) abort() {
	atomicfile.Abandon()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.aborts {
		f()
	}
}

// endSignals are the signals that end a command. A SIGHUP that nohup ignores stays ignored.
func endSignals() []os.Signal {
	list := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
}

const (
	holdChecks = 5 * time.Millisecond // how often it is checked whether a hold has ended
	returnTime = 2 * time.Second      // from the end of the last hold to the end of the command
)

// runUntilSignal calls run in a context that the first signal ends, and returns its status. When run does not end
// within its holds, or a second signal comes, it does not wait for run any more: whatever that is waiting for, be it a
// pipe, a disk or a folder with a million files, the program ends.
func (p *Program) runUntilSignal(run func(context.Context) int) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals()...)
	e := &endings{holds: map[*time.Duration]struct{}{}}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), endingsKey{}, e))
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- run(ctx) }()
	for ended := false; !ended; {
		select {
		case status := <-done:
			return status
		case s := <-signals:
			ended = !e.takes(s)
		}
	}
	cancel()
	for begun, twice := time.Now(), false; !twice && e.held(begun); {
		select {
		case status := <-done:
			return status
		case <-signals:
			twice = true
		case <-time.After(holdChecks):
		}
	}
	select {
	case status := <-done:
		return status
	default:
	}
	e.abort()
	fmt.Fprintf(os.Stderr, "%s: interrupted\n", p.Name)
	return StatusInterrupted
}
