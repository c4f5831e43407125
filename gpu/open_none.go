//go:build !cuda && !hostcuda

package gpu

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// Built reports whether this build can compute on a GPU.
const Built = false

// Device is one GPU.
type Device struct{ device.Trainer }

// Precision returns what matrix products round their operands to.
func (d *Device) Precision() Precision { return Float32 }

// Close releases the device.
func (d *Device) Close() error { return nil }

// Open returns an error that says how to build with CUDA.
func Open(n int, p Precision) (*Device, error) {
	return nil, fmt.Errorf("%w: this build has no CUDA; gpu/toolkit.sh go build -tags cuda makes one that has",
		ErrUnavailable)
}
