//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(s isa.Set) *Kernels {
	k := generic()
	switch s {
	case isa.AVX2:
		k.Name, k.Width, k.TileRows = string(s), 8, 6
		k.useAVX2()
	case isa.AVX512:
		k.Name, k.Width, k.TileRows = string(s), 16, 12
		k.useAVX512()
	}
	return k
}
