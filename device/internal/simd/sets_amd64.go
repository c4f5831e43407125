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
		k.useAVX2Bytes()
		k.Words.ByteFactor, k.Words.TernaryFactor = 0.95, 1.8
	case isa.AVX512:
		k.Name, k.Width, k.TileRows = string(s), 16, 12
		k.useAVX512()
		if isa.DotProducts() {
			k.ByteWidth, k.ByteRows, k.TernaryTile = 16, 12, vnniByteTile
			k.Bytes = BytePanels{Zeros: true}
			k.Ternary = k.Bytes
			k.useVNNI()
			k.Words.ByteFactor, k.Words.TernaryFactor = 2, 2
		} else {
			k.useAVX2Bytes()
		}
	}
	return k
}

// useAVX2Bytes takes AVX2's products of bytes.
func (k *Kernels) useAVX2Bytes() {
	k.ByteWidth, k.ByteRows = 8, 6
	k.ByteTile, k.TernaryTile = avx2ByteTile, avx2TernaryTile
	k.Bytes, k.Ternary = BytePanels{Pairs: true}, BytePanels{Zeros: true, Unsigned: true}
	k.Words.Widen, k.Flip = avx2WordsWiden, avx2Flip
}
