package device_test

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/polyphon/polyphon/device"
)

// Concurrent callers share a device's workers, and each gets the results that it would get alone.
func TestCallersShareThreads(t *testing.T) {
	const rows, cols, callers, rounds = 400, 100, 3, 30
	product := func(d device.Trainer, seed int) []float32 {
		a, w, dst := d.Alloc(rows*cols), d.Alloc(cols*cols), d.Alloc(rows*cols)
		for i, v := range a.Host() {
			a.Host()[i] = v + float32((i*7+seed)%11)
		}
		for i := range w.Host() {
			w.Host()[i] = float32((i*5+seed)%13) - 6
		}
		var packed device.Packed
		d.Pack(&packed, w, cols, cols)
		view := device.Matrix(dst, rows, cols)
		for range rounds {
			d.MatMul(view, device.Matrix(a, rows, cols), &packed, device.Epilogue{})
			d.Hadamard(view, view, view, false)
		}
		return dst.Host()
	}
	kernels := device.Kernels()[len(device.Kernels())-1]
	shared := cpuWith(t, kernels, 4)
	var done sync.WaitGroup
	for seed := range callers {
		alone := cpuWith(t, kernels, 1) // here, since it sets a variable of the environment
		done.Go(func() {
			want := product(alone, seed)
			if got := product(shared, seed); !slices.Equal(got, want) {
				t.Errorf("caller %d gets other values on a shared device", seed)
			}
		})
	}
	done.Wait()
}

// A device needs no closing: idle workers end by themselves.
func TestWorkersEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	d := cpuWith(t, device.Kernels()[0], 8)
	x := device.Matrix(d.Alloc(1<<20), 1<<10, 1<<10)
	for range 10 {
		d.Hadamard(x, x, x, true)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before the device was used", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}
