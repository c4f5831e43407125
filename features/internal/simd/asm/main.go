// Command asm writes the AVX2 and AVX-512 kernels of package simd.
//
// Everything is generated twice from one description, once a vector width: what turns frames into lanes and back
// (frames.go), the Fourier transform (fft.go) and the logarithm (log.go).
package main

import (
	. "github.com/mmcloughlin/avo/build"
)

//go:generate go run . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg simd

func main() {
	ConstraintExpr("amd64,!purego")
	tailMask, logTable := tailMaskData(), newTable("logTable", logConstants)
	for _, s := range []isa{
		{name: "AVX2", lanes: 8, tailMask: tailMask},
		{name: "AVX512", lanes: 16, tailMask: tailMask},
	} {
		window(s)
		first2(s)
		first4(s)
		butterflies(s)
		power(s)
		mels(s)
		logarithm(s, logTable)
	}
	Generate()
}

// kernel begins a function.
func kernel(s isa, name, signature string, doc ...string) {
	TEXT(name+s.name, NOSPLIT, signature)
	Pragma("noescape")
	doc[0] = name + s.name + " " + doc[0]
	Doc(doc...)
}

// end ends it.
func end() {
	VZEROUPPER()
	RET()
}
