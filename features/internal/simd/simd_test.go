package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// guard is what memory around a kernel's operands holds: to read it spoils a result, to write to it is seen.
var guard = float32(math.NaN())

const guards = 32

// guarded returns a copy of x between guards, and what checks that they still are.
func guarded(t *testing.T, name string, x []float32) (inner []float32, intact func()) {
	around := slices.Concat(slices.Repeat([]float32{guard}, guards), x, slices.Repeat([]float32{guard}, guards))
	return around[guards:][:len(x):len(x)], func() {
		t.Helper()
		for i, v := range around {
			if (i < guards || i >= guards+len(x)) && v == v {
				t.Errorf("%s: wrote to %d of %d", name, i-guards, len(x))
			}
		}
	}
}

// random returns n values around 0.
func random(n int, rng *rand.Rand) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// lane returns lane l of values that are some lanes wide.
func lane(x []float32, l, lanes int) []float32 {
	var y []float32
	for i := l; i < len(x); i += lanes {
		y = append(y, x[i])
	}
	return y
}

// agree fails where got is further from want than a part of want's largest value.
func agree(t *testing.T, name string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(float64(v)))
	}
	for i, v := range want {
		if !(math.Abs(float64(got[i]-v)) <= 2e-6*largest) {
			t.Fatalf("%s: value %d is %g, want %g", name, i, got[i], v)
		}
	}
}

// eachSet runs test for every set of this machine, the generic one included.
func eachSet(t *testing.T, test func(t *testing.T, k *Kernels, rng *rand.Rand)) {
	for _, k := range Sets() {
		t.Run(k.Name, func(t *testing.T) { test(t, k, rand.New(rand.NewPCG(1, uint64(k.Lanes)))) })
	}
}

func TestWindow(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for n := 1; n <= 100; n++ {
			hop := 1 + rng.IntN(n)
			filled := (n + k.Lanes - 1) / k.Lanes * k.Lanes
			dst, intact := guarded(t, "dst", random(filled*k.Lanes, rng))
			samples, _ := guarded(t, "samples", random((k.Lanes-1)*hop+n, rng))
			weights, _ := guarded(t, "window", random(n, rng))
			k.Window(dst, samples, weights, hop)
			intact()
			for l := range k.Lanes {
				want := make([]float32, filled)
				window(want, samples[l*hop:], weights, hop)
				agree(t, fmt.Sprintf("%d samples every %d, lane %d", n, hop, l), lane(dst, l, k.Lanes), want)
			}
		}
	})
}

func TestFirstStages(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for _, first := range []struct {
			radix        int
			kernel, want func(dst, src []float32, order []uint16)
		}{{2, k.First2, first2}, {4, k.First4, first4}} {
			for n := 1; n <= 37; n++ {
				order := make([]uint16, n)
				for i, o := range rng.Perm(n) {
					order[i] = uint16(o)
				}
				size := 2 * first.radix * n
				src, _ := guarded(t, "src", random(size*k.Lanes, rng))
				dst, intact := guarded(t, "dst", make([]float32, size*k.Lanes))
				first.kernel(dst, src, order)
				intact()
				for l := range k.Lanes {
					want := make([]float32, size)
					first.want(want, lane(src, l, k.Lanes), order)
					agree(t, fmt.Sprintf("radix %d, %d times, lane %d", first.radix, n, l), lane(dst, l, k.Lanes), want)
				}
			}
		}
	})
}

func TestButterflies(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for length := 1; length <= 33; length++ {
			for transforms := 1; transforms <= 3; transforms++ {
				twiddles, _ := guarded(t, "twiddles", random(6*length, rng))
				work, intact := guarded(t, "work", random(8*length*transforms*k.Lanes, rng))
				before := slices.Clone(work)
				k.Butterflies(work, twiddles, length)
				intact()
				for l := range k.Lanes {
					want := lane(before, l, k.Lanes)
					butterflies(want, twiddles, length)
					agree(t, fmt.Sprintf("%d of length %d, lane %d", transforms, length, l), lane(work, l, k.Lanes), want)
				}
			}
		}
	})
}

func TestPower(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for n := 2; n <= 64; n += 2 {
			half, _ := guarded(t, "half", random(n+2, rng))
			z, _ := guarded(t, "z", random(2*n*k.Lanes, rng))
			got, intact := guarded(t, "power", make([]float32, (n+1)*k.Lanes))
			k.Power(got, z, half)
			intact()
			for l := range k.Lanes {
				want := make([]float32, n+1)
				power(want, lane(z, l, k.Lanes), half)
				agree(t, fmt.Sprintf("%d points, lane %d", n, l), lane(got, l, k.Lanes), want)
			}
		}
	})
}

func TestMels(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for n := 1; n <= 70; n++ {
			const bins = 50
			var spans []int32
			total := 0
			for range n {
				count := 1 + rng.IntN(20)
				spans = append(spans, int32(rng.IntN(bins-count+1)), int32(count))
				total += count
			}
			stride := (n+k.Lanes-1)/k.Lanes*k.Lanes + rng.IntN(3)
			power, _ := guarded(t, "power", random(bins*k.Lanes, rng))
			weights, _ := guarded(t, "weights", random(total, rng))
			rows, intact := guarded(t, "rows", make([]float32, stride*k.Lanes))
			k.Mels(rows, power, weights, spans, stride)
			intact()
			for l := range k.Lanes {
				want := make([]float32, n)
				mels(want, lane(power, l, k.Lanes), weights, spans, n)
				agree(t, fmt.Sprintf("%d mels, lane %d", n, l), rows[l*stride:][:n], want)
			}
		}
	})
}

func TestLog(t *testing.T) {
	inf := float32(math.Inf(1))
	special := []float32{0, guard, inf, math.MaxFloat32, 1, math.Sqrt2, math.SmallestNonzeroFloat32, 1e-30, 1e30}
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for n := range 100 {
			for _, floor := range []float64{1e-30, 1e-5, 1e6} {
				x := make([]float32, n)
				for i := range x {
					if x[i] = float32(math.Exp(20 * rng.NormFloat64())); rng.IntN(3) == 0 {
						x[i] = special[rng.IntN(len(special))]
					}
				}
				got, intact := guarded(t, "values", x)
				k.Log(got, floor)
				intact()
				for i, v := range x {
					want := math.Log(math.MaxFloat32)
					if v <= math.MaxFloat32 {
						want = math.Log(float64(v) + floor)
					}
					// What is between two floats may become either.
					if math.Abs(float64(got[i])-want) > 1e-7*math.Abs(want)+1e-10 {
						t.Fatalf("value %d of %d: ln(%g + %g) is %.9g, want %.9g", i, n, v, floor, got[i], want)
					}
				}
			}
		}
	})
}

// A value's logarithm is the same wherever it stands.
func TestLogKeepsToItsValue(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		x := make([]float32, 40)
		for i := range x {
			x[i] = float32(rng.ExpFloat64())
		}
		whole := slices.Clone(x)
		k.Log(whole, 1e-3)
		for begin := range x {
			part := slices.Clone(x[begin:])
			k.Log(part, 1e-3)
			if !slices.Equal(part, whole[begin:]) {
				t.Fatalf("logarithms from %d on differ", begin)
			}
		}
	})
}

// Results are those of the plain loop to the bit, for every width, also where they are no numbers.
func TestNormalise(t *testing.T) {
	eachSet(t, func(t *testing.T, k *Kernels, rng *rand.Rand) {
		for cols := 1; cols <= 70; cols++ {
			rows, stride := 1+cols%4, cols+cols%3
			x, intact := guarded(t, "x", random((rows-1)*stride+cols, rng))
			mean, _ := guarded(t, "mean", random(cols, rng))
			std, _ := guarded(t, "std", random(cols, rng))
			for c := range std {
				std[c] = 0.1 + std[c]*std[c]
			}
			x[rng.IntN(cols)], x[rng.IntN(cols)] = float32(math.NaN()), float32(math.Inf(-1))
			want := slices.Clone(x)
			normalise(want, mean, std, rows, cols, stride, 1.5, -1.5)
			k.Normalise(x, mean, std, rows, cols, stride, 1.5, -1.5)
			intact()
			for i, v := range want {
				if x[i] != v && (x[i] == x[i] || v == v) {
					t.Fatalf("%d columns: value %d is %g, want %g", cols, i, x[i], v)
				}
			}
		}
	})
}
