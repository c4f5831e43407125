package devicetest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// ClipNorm checks d's ClipNorm on gradients whose squares are no float32, and on some that are not finite.
func ClipNorm(t *testing.T, d device.Trainer) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		value float32 // of all gradients
		n     int
		odd   float32 // the last one, where it is not 0
		limit float32
		norm  float64
	}{
		{1e30, 1, 0, 2, 1e30},
		{1e30, 1000, 0, 2, 1e30 * math.Sqrt(1000)},
		{-1e30, 64, 0, 1e-10, 8e30},
		{3e38, 100_000, 0, 2, math.MaxFloat32},
		{1e19, 200, 0, 0.5, 1e19 * math.Sqrt(200)},
		{0.5, 300, 1e25, 2, 1e25},
		{1e-30, 1, 0, 1e-31, 1e-30},
		{1e-30, 10_000, 0, 2, 1e-28},
		{-1e-30, 10_000, 0, 1e-29, 1e-28},
		{1e-21, 4096, 0, 1e-20, 64e-21},
		{1e-25, 300, 3, 2, 3},
		{0, 70, 0, 2, 0},
		{1, 70, inf, 2, math.Inf(1)},
		{1, 70, -inf, 2, math.Inf(1)},
		{1e30, 130, nan, 2, math.NaN()},
		{1e-30, 3, nan, 1e-31, math.NaN()},
	} {
		g := slices.Repeat([]float32{c.value}, c.n)
		if c.odd != 0 {
			g[c.n-1] = c.odd
		}
		grad, norm := d.Alloc(c.n), d.Alloc(1)
		d.Upload(grad, g)
		d.ClipNorm(grad, norm, c.limit)
		got, length := make([]float32, c.n), make([]float32, 1)
		d.Download(got, grad)
		d.Download(length, norm)
		d.Free(grad)
		d.Free(norm)
		name := fmt.Sprintf("%d gradients of %g and %g", c.n, c.value, c.odd)
		if l := float64(length[0]); !(math.Abs(l-c.norm) <= 1e-5*c.norm) && !same(l, c.norm) {
			t.Errorf("%s: the norm is %g, want %g", name, l, c.norm)
		}
		sum := 0.0 // of squares
		for i, v := range g {
			if sum += float64(v) * float64(v); math.IsInf(c.norm, 0) || math.IsNaN(c.norm) {
				if !same(float64(got[i]), float64(v)) {
					t.Fatalf("%s: gradient %d became %g", name, i, got[i])
				}
			}
		}
		scale := min(1, float64(c.limit)/math.Sqrt(sum))
		for i, v := range g {
			if want := scale * float64(v); scale > 0 && math.Abs(float64(got[i])-want) > 1e-5*math.Abs(want)+1e-44 {
				t.Fatalf("%s: gradient %d is %g, want %g", name, i, got[i], want)
			}
		}
	}
}

// same reports whether two values are equal, or both NaN.
func same(a, b float64) bool { return a == b || a != a && b != b }
