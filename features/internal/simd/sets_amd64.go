//go:build !purego

package simd

import "golang.org/x/sys/cpu"

func assembly() []*Kernels {
	var sets []*Kernels
	// Package cpu reports a feature only where the operating system saves its registers.
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA {
		sets = append(sets, avx2())
	}
	if x.HasAVX512F && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512BW && x.HasBMI2 {
		wide := avx512()
		if len(sets) > 0 {
			wide.Narrow = sets[0]
		}
		sets = append(sets, wide)
	}
	return sets
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
		Name: "avx512", Lanes: 16,
		Window: windowAVX512, First2: first2AVX512, First4: first4AVX512, Butterflies: butterfliesAVX512, Power: powerAVX512,
		Mels: melsAVX512, Log: logAVX512,
	}
}
