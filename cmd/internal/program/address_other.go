//go:build !linux

package program

func checkAddressSpace() error { return nil }
