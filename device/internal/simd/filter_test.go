package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func (k *Kernels) filters() map[string]Filter {
	return map[string]Filter{"F(3,3)": k.Filter33, "F(4,5)": k.Filter45}
}

// The matrices give the convolution that they stand for, of values that float64 holds exactly.
func TestFilterMatrices(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	for name, f := range generic().filters() {
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

// Every kernel set's transforms are the matrices', and write nothing but the rows that they should.
func TestFilterTransforms(t *testing.T) {
	const tiles, gap = 3, 5
	for _, k := range Sets() {
		for name, f := range k.filters() {
			for cols := 1; cols <= 40; cols++ {
				stride := cols + gap
				rows := (tiles-1)*f.Outputs + f.Points
				t.Run(fmt.Sprintf("%s/%s/%d", k.Name, name, cols), func(t *testing.T) {
					x := guarded((rows-1)*stride + cols)
					got, want := guarded(f.Points*(tiles*cols+gap)), guarded(f.Points*(tiles*cols+gap))
					f.Input(inside(got), inside(x), tiles, cols, stride, tiles*cols+gap)
					f.generic().Input(inside(want), inside(x), tiles, cols, stride, tiles*cols+gap)
					nearly(t, "Input", got, want)

					x = guarded((tiles*f.Taps-1)*stride + cols)
					got, want = guarded(f.Points*(tiles*cols+gap)), guarded(f.Points*(tiles*cols+gap))
					f.Weight(inside(got), inside(x), tiles, cols, stride, tiles*cols+gap)
					f.generic().Weight(inside(want), inside(x), tiles, cols, stride, tiles*cols+gap)
					nearly(t, "Weight", got, want)

					m := guarded(f.Points*tiles*stride + gap)
					got, want = guarded(tiles*f.Outputs*stride), guarded(tiles*f.Outputs*stride)
					f.Output(inside(got), inside(m), tiles, cols, stride, stride, tiles*stride+1)
					f.generic().Output(inside(want), inside(m), tiles, cols, stride, stride, tiles*stride+1)
					nearly(t, "Output", got, want)
				})
			}
		}
	}
}

const guard = 33

// guarded returns n reproducible values between others that nobody may touch.
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
