//go:build !purego

package isa

import "golang.org/x/sys/cpu"

func detected() []Set { return []Set{NEON} }

func dotProducts() bool { return cpu.ARM64.HasASIMDDP }
