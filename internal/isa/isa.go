// Package isa says which of the instruction sets that polyphon has kernels for this machine runs, and which one to use.
package isa

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Set is an instruction set, by the name that people know it by.
type Set string

// The sets, slowest first.
const (
	Generic Set = "generic" // plain Go, which every machine runs
	AVX2    Set = "avx2"    // with FMA
	AVX512  Set = "avx512"  // F, DQ, VL and BW, with AVX2, FMA and BMI2
)

// Variable names the environment variable that forces a set.
const Variable = "POLYPHON_CPU"

// ErrMissing marks a set that does not exist or that this machine does not run.
var ErrMissing = errors.New("no such instruction set on this machine")

// Sets returns the sets that this machine runs, slowest first. Generic is always among them; in builds with the tag purego and
// for processors other than amd64 it is the only one.
func Sets() []Set { return append([]Set{Generic}, detected()...) }

// Parse returns the set of that name. Where this machine does not run it, the error wraps ErrMissing and tells those that it runs.
func Parse(name string) (Set, error) {
	sets := Sets()
	if slices.Contains(sets, Set(name)) {
		return Set(name), nil
	}
	var names []string
	for _, s := range sets {
		names = append(names, string(s))
	}
	return "", fmt.Errorf("%w: %q (there are %s)", ErrMissing, name, strings.Join(names, ", "))
}

// Chosen returns the set that the environment variable POLYPHON_CPU names or, where it is empty, the fastest that this machine
// runs. The error is Parse's.
func Chosen() (Set, error) {
	if name := os.Getenv(Variable); name != "" {
		return Parse(name)
	}
	sets := Sets()
	return sets[len(sets)-1], nil
}
