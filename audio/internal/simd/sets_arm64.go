//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(s isa.Set) *Kernels {
	k := generic()
	if s == isa.NEON {
		k.Name = string(s)
		k.useNEON()
	}
	return k
}
