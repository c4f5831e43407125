//go:build !cuda && !hostcuda

package gpu

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Device is one GPU.
type Device struct{ device.Device }

// Close gives everything back.
func (d *Device) Close() error { return nil }

// Open says how to get a build that has CUDA.
func Open(n int, p Precision) (*Device, error) {
	return nil, fmt.Errorf("%w: this build has no CUDA; gpu/build.sh makes one that has", ErrUnavailable)
}
