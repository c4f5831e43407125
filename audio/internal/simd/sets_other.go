//go:build !(amd64 || arm64) || purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(isa.Set) *Kernels { return generic() }
