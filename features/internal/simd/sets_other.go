//go:build !amd64 || purego

package simd

func assembly() []*Kernels { return nil }
