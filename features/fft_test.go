package features

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	dsp "github.com/mjibson/go-dsp/fft"
)

// noise returns n samples, uniform in [-1, 1).
func noise(n int, rng *rand.Rand) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return x
}

// tone returns n samples of a cosine of the given frequency in cycles a sample.
func tone(frequency float64, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Cos(2 * math.Pi * frequency * float64(i)))
	}
	return x
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func TestFFTAgreesWithGoDSP(t *testing.T) {
	for n := 16; n <= 8192; n *= 2 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			x := noise(n, rand.New(rand.NewPCG(uint64(n), 1)))
			plan, got, work := newPowerFFT(n), make([]float32, n/2+1), make([]point, n/2)
			plan.run(got, x, work)
			energy, worst := 0.0, 0.0
			for _, v := range widen(x) {
				energy += v * v
			}
			for k, z := range dsp.FFTReal(widen(x))[:n/2+1] {
				want := cmplx.Abs(z) * cmplx.Abs(z)
				worst = max(worst, math.Abs(float64(got[k])-want)/(float64(n)*energy))
			}
			if worst > 2e-8 {
				t.Errorf("largest error is %.2g of the largest possible power", worst)
			}
		})
	}
}

// A full-scale tone must not drown bins 100 dB below it: the error of each bin is bounded by the signal's amplitude, not
// by its power.
func TestFFTKeepsQuietBins(t *testing.T) {
	const n = 512
	x, sine := make([]float32, n), tone(1.0/8, n)
	for i, v := range tone(3.0/8+1.0/32, n) {
		x[i] = sine[i] + 1e-5*v
	}
	got := make([]float32, n/2+1)
	newPowerFFT(n).run(got, x, make([]point, n/2))
	const quiet = 3*n/8 + n/32
	want := 1e-10 * n * n / 4
	if relative := math.Abs(float64(got[quiet])-want) / want; relative > 0.05 {
		t.Errorf("quiet bin has power %g, want %g", got[quiet], want)
	}
}

func BenchmarkFFT512(b *testing.B) {
	plan, x := newPowerFFT(512), noise(512, rand.New(rand.NewPCG(1, 1)))
	dst, work := make([]float32, 257), make([]point, 256)
	for b.Loop() {
		plan.run(dst, x, work)
	}
}

func BenchmarkGoDSPFFT512(b *testing.B) {
	x := widen(noise(512, rand.New(rand.NewPCG(1, 1))))
	for b.Loop() {
		dsp.FFTReal(x)
	}
}
