//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(s isa.Set) *Kernels {
	k := generic()
	switch s {
	case isa.AVX2:
		k.Name, k.Lanes = string(s), 8
		k.useAVX2()
	case isa.AVX512:
		k.Name, k.Lanes, k.Narrow = string(s), 16, Of(isa.AVX2)
		k.useAVX512()
	}
	return k
}
