package program

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestHeld lets what has waited for a longer hold take its own time from that hold's end on.
func TestHeld(t *testing.T) {
	e := &endings{holds: map[*time.Duration]struct{}{}}
	ctx := context.WithValue(t.Context(), endingsKey{}, e)
	check := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: held %v, want %v", what, got, want)
		}
	}
	now := time.Now()
	check("no hold", e.held(now), false)
	results := Hold(ctx, time.Hour)
	check("within the hold", e.held(now), true)
	check("after the hold", e.held(now.Add(-2*time.Hour)), false)
	commands := Hold(ctx, 5*time.Hour)
	check("within the longer hold", e.held(now.Add(-2*time.Hour)), true)
	commands()
	check("after the longer hold's end", e.held(now.Add(-2*time.Hour)), true)
	results()
	check("while the command returns", e.held(now), true)
	e.released = time.Now().Add(-returnTime)
	check("long after all holds' ends", e.held(now.Add(-time.Hour)), false)
	check("a signal after all holds' ends", e.held(time.Now()), false)
}

// TestStatusAfterHold: a command that ends in good order after a signal keeps its own status, however long it takes to
// return after its hold.
func TestStatusAfterHold(t *testing.T) {
	p := &Program{Name: "test"}
	status := p.runUntilSignal(func(ctx context.Context) int {
		release := Hold(ctx, time.Minute)
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			t.Error(err)
		}
		if err := self.Signal(os.Interrupt); err != nil { // as on Windows
			release()
			return 7
		}
		<-ctx.Done()
		release()
		time.Sleep(20 * holdChecks)
		return 7
	})
	if status != 7 {
		t.Errorf("status %d", status)
	}
}

// TestOnHangUp: SIGHUP is taken by a command that wants it, and ends others.
func TestOnHangUp(t *testing.T) {
	e := &endings{holds: map[*time.Duration]struct{}{}}
	ctx := context.WithValue(t.Context(), endingsKey{}, e)
	if e.takes(syscall.SIGHUP) {
		t.Error("SIGHUP is taken without OnHangUp")
	}
	calls := 0
	OnHangUp(ctx, func() { calls++ })
	for range 2 {
		if !e.takes(syscall.SIGHUP) {
			t.Error("SIGHUP is not taken after OnHangUp")
		}
	}
	if e.takes(syscall.SIGTERM) || calls != 2 {
		t.Errorf("%d calls after two SIGHUP and a SIGTERM", calls)
	}
	OnHangUp(t.Context(), nil) // of a program that does not end by signals: nothing
}
