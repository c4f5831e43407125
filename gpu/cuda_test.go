//go:build cuda

package gpu

import (
	"errors"
	"testing"

	"github.com/polyphon/polyphon/device/devicetest"
)

// open skips a test where there is no GPU, or none that has the precision.
func open(t testing.TB, p Precision) *Device {
	t.Helper()
	d, err := Open(0, p)
	if errors.Is(err, ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestGPUAgreesWithRef(t *testing.T) {
	for _, p := range precisions {
		slack := 8.0
		if p == Float32 {
			slack = 1
		}
		t.Run(string(p), func(t *testing.T) { devicetest.RunAgainst(t, open(t, p), reference(p), slack) })
	}
}

// Nothing depends on which block ends first.
func TestResultsAreTheSameEveryTime(t *testing.T) {
	for _, p := range precisions {
		d := open(t, p)
		devicetest.Same(t, d, d, d)
	}
}

func BenchmarkGPU(b *testing.B) {
	for _, p := range precisions {
		b.Run(string(p), func(b *testing.B) { devicetest.Benchmark(b, open(b, p)) })
	}
}
