// Package memtest measures for tests how much memory a function takes.
package memtest

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"
)

// Budget is what a reader of hostile files may hold above the size of its input, in bytes.
const Budget = 64 << 20

// Within runs f and fails the test if it takes more than Budget above size: at any time, garbage that is about to be
// collected included. What f allocates in all bounds that from above and is looked at first, since it costs nothing; so
// f runs again, up to three times, only where that is too much.
func Within(t testing.TB, size int, f func()) {
	t.Helper()
	limit := uint64(Budget + size)
	if Allocated(f) <= limit {
		return
	}
	peak := Peak(f)
	for range 2 { // a machine with other work lets garbage wait
		if peak > limit {
			peak = min(peak, Peak(f))
		}
	}
	if peak > limit {
		t.Errorf("%d MB of memory for a file of %d bytes", peak>>20, size)
	}
}

// Allocated returns how many bytes f allocates, those that are freed again included.
func Allocated(f func()) uint64 {
	before := read("/gc/heap/allocs:bytes")
	f()
	return read("/gc/heap/allocs:bytes") - before
}

// Peak returns how many bytes f holds at most, as often as they are looked at, with a collector that runs early.
func Peak(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	const objects = "/memory/classes/heap/objects:bytes"
	before := read(objects)
	var peak atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			peak.Store(max(peak.Load(), read(objects)))
			select {
			case <-done:
				return
			case <-time.After(200 * time.Microsecond):
			}
		}
	}()
	f()
	peak.Store(max(peak.Load(), read(objects)))
	close(done)
	<-ended
	return max(peak.Load(), before) - before
}

func read(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
