//go:build !purego

package isa

func detected() []Set { return []Set{NEON} }
