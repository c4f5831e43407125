// Package gpu runs device's kernels on an NVIDIA GPU, in CUDA C++ of our own (kernels/) through gorgonia.org/cu.
//
// It does so in builds with the tag cuda (toolkit.sh runs go build with what it takes); in others, Open says how to get one. The tag hostcuda compiles the
// same kernels as C++ for the host's processor, slowly, for tests on machines without a GPU.
package gpu

import (
	"errors"
	"fmt"
)

// ErrUnavailable reports that there is no such GPU, no driver for it, or no CUDA in this build.
var ErrUnavailable = errors.New("gpu: not available")

// Variable names the environment variable that chooses the Precision of matrix products: float32, tf32 or bf16.
const Variable = "POLYPHON_GPU"

// Precision is what matrix products round their operands to before they multiply. Sums are float32 whatever it is.
type Precision string

// The precisions. Tensor cores, which compute capability 8.0 (Ampere) brought, do TF32 and BFloat16.
const (
	Float32  Precision = "float32" // 23 bits of mantissa: exact
	TF32     Precision = "tf32"    // 10 bits
	BFloat16 Precision = "bf16"    // 7 bits
)

// ParsePrecision returns the precision of that name.
func ParsePrecision(name string) (Precision, error) {
	switch p := Precision(name); p {
	case Float32, TF32, BFloat16:
		return p, nil
	}
	return "", fmt.Errorf("gpu: precision %q is none of %s, %s, %s", name, Float32, TF32, BFloat16)
}

// Error is a failure of the GPU. The methods of device.Trainer have no errors to return, so they panic with an *Error. It stays:
// the GPU's memory cannot be trusted any more, and every later call panics with the same one.
type Error struct {
	Kernel string // the kernel, or what else was being done
	Err    error
}

// Error says which kernel failed and how. Kernels run behind the caller's back, so that a fault inside one shows when
// something later is started or waited for.
func (e *Error) Error() string { return fmt.Sprintf("gpu: %s: %v", e.Kernel, e.Err) }

// Failed returns what a call of recover returned, if that is the failure of a GPU, or nil where it is nil. Anything else goes on
// panicking.
func Failed(recovered any) error {
	if recovered == nil {
		return nil
	}
	if e, ok := recovered.(*Error); ok {
		return e
	}
	panic(recovered)
}

// Unwrap returns the driver's error.
func (e *Error) Unwrap() error { return e.Err }
