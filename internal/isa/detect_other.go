//go:build !amd64 || purego

package isa

func detected() []Set { return nil }
