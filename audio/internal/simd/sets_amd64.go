//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(s isa.Set) *Kernels {
	k := generic()
	switch s {
	case isa.AVX2:
		k.Name = string(s)
		k.useAVX2()
	case isa.AVX512:
		k.Name = string(s)
		k.useAVX512()
	}
	return k
}
