package simd

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestLn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	check := func(x float32) {
		if got, want := ln(float64(x)), math.Log(float64(x)); !(math.Abs(got-want) <= 1e-11) {
			t.Fatalf("ln(%g) = %.15g, want %.15g", x, got, want)
		}
	}
	for exponent := uint32(0); exponent < 255; exponent++ {
		for range 500 {
			check(math.Float32frombits(exponent<<23 | rng.Uint32N(1<<23-1) + 1))
		}
	}
	check(math.SmallestNonzeroFloat32)
	check(math.MaxFloat32)
	check(1)
	check(math.Sqrt2)
}
