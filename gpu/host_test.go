//go:build hostcuda && !cuda

package gpu

import (
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/devicetest"
)

// open returns the host as a device, for the tests that are those of a GPU.
func open(t testing.TB, p Precision) *Device { return hostDevice(t, forward, p) }

func hostDevice(t testing.TB, o order, p Precision) *Device {
	t.Helper()
	d, err := newDevice(&hostDriver{order: o}, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestKernelsAgreeWithRef(t *testing.T) {
	for _, p := range precisions {
		t.Run(string(p), func(t *testing.T) { devicetest.Run(t, hostDevice(t, forward, p), reference(p), 1) })
	}
}

func TestClipNorm(t *testing.T) { devicetest.ClipNorm(t, open(t, Float32)) }

// A kernel whose threads race gives other results in another order.
func TestResultsDoNotDependOnTheOrderOfThreads(t *testing.T) {
	for _, p := range precisions {
		devicetest.Same(t, hostDevice(t, forward, p), hostDevice(t, backward, p), hostDevice(t, shuffled, p))
	}
}

func TestExtremeValues(t *testing.T) {
	devicetest.Extreme(t, hostDevice(t, forward, Float32), device.Ref(), 1)
}
