package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func (k *Kernels) winograds() map[string]Winograd {
	return map[string]Winograd{"F(2,3)": k.WinogradF23, "F(3,3)": k.WinogradF33, "F(4,5)": k.WinogradF45}
}

// The matrices compute the convolution, here of whole numbers, which float64 represents exactly.
func TestWinogradMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for name, f := range generic().winograds() {
		d, g := make([]float64, f.Points), make([]float64, f.Taps)
		for i := range d {
			d[i] = float64(rng.IntN(200) - 100)
		}
		for i := range g {
			g[i] = float64(rng.IntN(200) - 100)
		}
		v, u := times(f.InputMatrix, d), times(f.WeightMatrix, g)
		for i := range v {
			v[i] *= u[i]
		}
		for j, y := range times(f.OutputMatrix, v) {
			want := 0.0
			for i, tap := range g {
				want += tap * d[j+i]
			}
			if math.Abs(y-want) > 1e-8 {
				t.Errorf("%s: output %d is %v, want %v", name, j, y, want)
			}
		}
	}
}

func times(a [][]float64, x []float64) []float64 {
	y := make([]float64, len(a))
	for i, row := range a {
		for j, factor := range row {
			y[i] += factor * x[j]
		}
	}
	return y
}

// The transforms of every instruction set agree with the matrices and write only the rows that they should.
func TestWinogradTransforms(t *testing.T) {
	for _, k := range Sets() {
		for name, f := range k.winograds() {
			plain := f.generic()
			for cols := 1; cols <= 40; cols++ {
				t.Run(fmt.Sprintf("%s/%s/%d", k.Name, name, cols), func(t *testing.T) {
					testIntoPoints(t, "Input", f.Input, plain.Input, f, f.Points, f.Outputs, cols)
					testIntoPoints(t, "Weight", f.Weight, plain.Weight, f, f.Taps, f.Taps, cols)
					testIntoPoints(t, "OutputGrad", f.OutputGrad, plain.OutputGrad, f, f.Outputs, f.Outputs, cols)
					testFromPoints(t, "Output", f.Output, plain.Output, f, f.Outputs, cols)
					testFromPoints(t, "WeightGrad", f.WeightGrad, plain.WeightGrad, f, f.Taps, cols)
				})
			}
		}
	}
}

const tiles, gap = 3, 5

func testIntoPoints(t *testing.T, name string, fast, plain IntoPoints, f Winograd, rows, advance, cols int) {
	t.Helper()
	stride, point := cols+gap, tiles*cols+gap
	x := guarded(((tiles-1)*advance+rows-1)*stride + cols)
	got, want := guarded(f.Points*point), guarded(f.Points*point)
	fast(inside(got), inside(x), tiles, cols, stride, point)
	plain(inside(want), inside(x), tiles, cols, stride, point)
	nearly(t, name, got, want)
}

func testFromPoints(t *testing.T, name string, fast, plain FromPoints, f Winograd, rows, cols int) {
	t.Helper()
	stride, point := cols+gap, tiles*(cols+gap)+1
	x := guarded(f.Points * point)
	got, want := guarded(tiles*rows*stride), guarded(tiles*rows*stride)
	fast(inside(got), inside(x), tiles, cols, stride, stride, point)
	plain(inside(want), inside(x), tiles, cols, stride, stride, point)
	nearly(t, name, got, want)
}

const guard = 33

// guarded returns n reproducible values between guard values, which nothing may read or write.
func guarded(n int) []float32 {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	values := make([]float32, n+2*guard)
	for i := range values {
		values[i] = 2*rng.Float32() - 1
	}
	return values
}

func inside(values []float32) []float32 { return values[guard : len(values)-guard] }

func nearly(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Abs(float64(got[i]-w)) > 1e-5 {
			t.Fatalf("%s: value %d is %v, want %v", what, i-guard, got[i], w)
		}
	}
}
