//go:build !(amd64 || arm64) || purego

package isa

func detected() []Set { return nil }

func dotProducts() bool { return false }
