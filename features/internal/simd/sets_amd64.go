//go:build !purego

package simd

import "github.com/polyphon/polyphon/internal/isa"

// Of returns the kernels of an instruction set, which this machine has to run.
func Of(s isa.Set) *Kernels {
	switch s {
	case isa.AVX2:
		return avx2()
	case isa.AVX512:
		return avx512()
	}
	return generic()
}

func avx2() *Kernels {
	return &Kernels{
		Name: "avx2", Lanes: 8,
		Window: windowAVX2, First2: first2AVX2, First4: first4AVX2, Butterflies: butterfliesAVX2, Power: powerAVX2,
		Mels: melsAVX2, Log: logAVX2,
	}
}

func avx512() *Kernels {
	return &Kernels{
		Name: "avx512", Lanes: 16, Narrow: avx2(),
		Window: windowAVX512, First2: first2AVX512, First4: first4AVX512, Butterflies: butterfliesAVX512, Power: powerAVX512,
		Mels: melsAVX512, Log: logAVX512,
	}
}
