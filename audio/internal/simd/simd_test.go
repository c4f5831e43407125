package simd

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/internal/isa"
)

// Dot of every set and length agrees with float64 and reads nothing around its operands, which is NaN.
func TestDot(t *testing.T) {
	const guards = 20
	guarded := func(n int, rng *rand.Rand) []float32 {
		x := make([]float32, n+2*guards)
		for i := range x {
			if x[i] = float32(math.NaN()); i >= guards && i < guards+n {
				x[i] = float32(rng.NormFloat64())
			}
		}
		return x[guards:][:n]
	}
	for _, s := range isa.Sets() {
		k, rng := Of(s), rand.New(rand.NewPCG(1, 2))
		if k.Name != string(s) {
			t.Errorf("the kernels of %s are %s", s, k.Name)
		}
		for n := range 200 {
			a, b := guarded(n, rng), guarded(n, rng)
			want, size := 0.0, 0.0
			for i, v := range a {
				want += float64(v) * float64(b[i])
				size += math.Abs(float64(v) * float64(b[i]))
			}
			got := k.Dot(a, b)
			if !(math.Abs(float64(got)-want) <= 1e-6*size) {
				t.Fatalf("%s: %d products are %g, want %g", s, n, got, want)
			}
			for offset := range 4 { // of what is multiplied, to the bit
				moved := append(make([]float32, offset, offset+n), a...)[offset:]
				if again := k.Dot(moved, b); again != got {
					t.Fatalf("%s: %d products are %g, then %g", s, n, got, again)
				}
			}
		}
	}
}

func TestTheEnvironmentSelectsKernels(t *testing.T) {
	for _, s := range isa.Sets() {
		t.Setenv(isa.Variable, string(s))
		if got := Chosen().Name; got != string(s) {
			t.Errorf("%s=%s gives %s", isa.Variable, s, got)
		}
	}
	t.Setenv(isa.Variable, "abacus")
	if got := Chosen().Name; got != "generic" {
		t.Errorf("an unknown set gives %s", got)
	}
}
