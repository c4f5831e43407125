//go:build !purego

package isa

import "golang.org/x/sys/cpu"

func detected() []Set {
	// Package cpu reports a feature only where the operating system saves its registers.
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasFMA {
		return nil
	}
	if !x.HasAVX512F || !x.HasAVX512DQ || !x.HasAVX512VL || !x.HasAVX512BW || !x.HasBMI2 {
		return []Set{AVX2}
	}
	return []Set{AVX2, AVX512}
}

func dotProducts() bool { return cpu.X86.HasAVX512VNNI }
