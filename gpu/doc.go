// Package gpu runs device's kernels on an NVIDIA GPU, in CUDA C++ of our own (kernels/) through gorgonia.org/cu.
//
// It does so in builds with the tag cuda, for which toolkit.sh prepares go build; in others, Open returns an error. The
// tag hostcuda compiles the same kernels as C++ for the host's processor, slowly, for tests on machines without a GPU.
package gpu

import (
	"errors"
	"fmt"
)

// ErrUnavailable reports that there is no such GPU, no driver for it, or no CUDA in this build.
var ErrUnavailable = errors.New("gpu: not available")

// Variable is the environment variable with the Precision of products, float32, tf32 or bf16, which commands read.
const Variable = "POLYPHON_GPU"

// Precision is what matrix products round their operands to before they multiply. Sums are float32 in any case.
type Precision string

// The precisions. Tensor cores, from compute capability 8.0 (Ampere) on, compute TF32 and BFloat16.
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
