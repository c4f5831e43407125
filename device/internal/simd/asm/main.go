// Command asm writes the AVX2 and AVX-512 kernels of package simd.
//
// Everything is generated twice from one description, once a vector width: the row kernels (rows.go) from a
// table of loop bodies, the two matrix kernels (tiles.go) for every tile size, the transforms of minimal filtering
// (filter.go) from straight code.
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

//go:generate go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg simd

func main() {
	ConstraintExpr("amd64,!purego")
	tailMask := tailMaskData()
	for _, s := range []isa{
		{name: "AVX2", width: 8, tileRows: 6, blocks: []int{2, 1}, tailMask: tailMask},
		{name: "AVX512", width: 16, tileRows: 12, blocks: []int{4, 2, 1}},
	} {
		matMulTile(s)
		outerTile(s)
		peak(s)
		for _, f := range filters {
			f.generate(s)
		}
		for _, k := range rowKernels {
			k.generate(s)
		}
	}
	Generate()
}
