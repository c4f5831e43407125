//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set that this machine runs.
func Of(s isa.Set) *Kernels {
	k := generic()
	if s == isa.NEON {
		k.Name, k.Width, k.TileRows = string(s), 8, 6 // a vector of the product is two of the machine's
		k.useNEON()
		k.ByteRows = 6
		k.ByteTile = ByteTile(neonByteTile).panelwise(k.ByteWidth)
		k.TernaryTile = k.ByteTile
	}
	return k
}
