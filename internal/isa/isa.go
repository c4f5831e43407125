// Package isa lists the instruction sets that polyphon has kernels for and that this machine runs, and selects one.
package isa

import (
	"fmt"
	"os"
	"slices"
)

// Set is an instruction set, by its name.
type Set string

// The sets, slowest first.
const (
	Generic Set = "generic" // plain Go, which every machine runs
	AVX2    Set = "avx2"    // with FMA
	AVX512  Set = "avx512"  // F, DQ, VL and BW, with AVX2, FMA and BMI2
	NEON    Set = "neon"    // Advanced SIMD, which every arm64 has
)

// Variable is the environment variable that selects a set.
const Variable = "POLYPHON_CPU"

// Sets returns the sets that this machine runs, slowest first. Generic is always among them; in builds with the tag
// purego and for processors other than amd64 and arm64 it is the only one.
func Sets() []Set { return append([]Set{Generic}, detected()...) }

// DotProducts reports whether the machine's fastest set has instructions that add products of four bytes to a sum of 32
// bits: AVX-512's VNNI, which not every machine with AVX-512 has, and arm64's SDOT.
func DotProducts() bool { return dotProducts() }

// Parse returns the set of that name. Where this machine does not run it, the error lists those that it runs.
func Parse(name string) (Set, error) {
	sets := Sets()
	if slices.Contains(sets, Set(name)) {
		return Set(name), nil
	}
	return "", fmt.Errorf("%q is none of this machine's instruction sets %v", name, sets)
}

// Chosen returns the set that POLYPHON_CPU names, with Parse's error, or the fastest of this machine if it is empty.
func Chosen() (Set, error) {
	if name := os.Getenv(Variable); name != "" {
		return Parse(name)
	}
	sets := Sets()
	return sets[len(sets)-1], nil
}
