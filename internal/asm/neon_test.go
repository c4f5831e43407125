package main

import (
	"slices"
	"testing"
)

// A kernel is tried with as many floats at a time as registers may suffice for, then with fewer.
func TestWidths(t *testing.T) {
	var tried []int
	for _, body := range widths(16, func(_ neon, floats int) { tried = append(tried, floats) }) {
		body(neon{})
	}
	if want := []int{16, 8, 4}; !slices.Equal(tried, want) {
		t.Errorf("tries %v floats, want %v", tried, want)
	}
}
