package features

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	dsp "github.com/mjibson/go-dsp/fft"
	"github.com/polyphon/polyphon/features/internal/simd"
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

// spectrum returns the power spectrum of x that the kernels find in a lane, the others being silent.
func spectrum(k *simd.Kernels, x []float32, lane int) []float32 {
	n, lanes := len(x), k.Lanes
	samples, power := make([]float32, n*lanes), make([]float32, (n/2+1)*lanes)
	for i, v := range x {
		samples[i*lanes+lane] = v
	}
	newPowerFFT(n, k).run(power, samples, make([]float32, n*lanes))
	got := make([]float32, n/2+1)
	for i := range got {
		got[i] = power[i*lanes+lane]
	}
	return got
}

func TestFFTAgreesWithGoDSP(t *testing.T) {
	for n := 16; n <= 8192; n *= 2 {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		x := noise(n, rng)
		energy := 0.0
		for _, v := range widen(x) {
			energy += v * v
		}
		want := dsp.FFTReal(widen(x))
		for _, k := range simd.Sets() {
			worst, got := 0.0, spectrum(k, x, rng.IntN(k.Lanes))
			for i, z := range want[:n/2+1] {
				worst = max(worst, math.Abs(float64(got[i])-cmplx.Abs(z)*cmplx.Abs(z))/(float64(n)*energy))
			}
			if worst > 2e-8 {
				t.Errorf("%s, %d points: largest error is %.2g of the largest possible power", k.Name, n, worst)
			}
		}
	}
}

// A full-scale tone must not drown bins 100 dB below it: the error of each bin is bounded by the signal's amplitude,
// not by its power.
func TestFFTKeepsQuietBins(t *testing.T) {
	const n = 512
	x, sine := make([]float32, n), tone(1.0/8, n)
	for i, v := range tone(3.0/8+1.0/32, n) {
		x[i] = sine[i] + 1e-5*v
	}
	const quiet = 3*n/8 + n/32
	want := 1e-10 * n * n / 4
	for _, k := range simd.Sets() {
		got := float64(spectrum(k, x, k.Lanes-1)[quiet])
		if relative := math.Abs(got-want) / want; relative > 0.05 {
			t.Errorf("%s: quiet bin has power %g, want %g", k.Name, got, want)
		}
	}
}

// BenchmarkFFT512 transforms as many frames as the kernels do at a time.
func BenchmarkFFT512(b *testing.B) {
	for _, k := range simd.Sets() {
		b.Run(k.Name, func(b *testing.B) {
			plan, x := newPowerFFT(512, k), noise(512*k.Lanes, rand.New(rand.NewPCG(1, 1)))
			dst, work := make([]float32, 257*k.Lanes), make([]float32, 512*k.Lanes)
			for b.Loop() {
				plan.run(dst, x, work)
			}
			reportRate(b, float64(k.Lanes)*fftFLOPs(512), "GFLOP/s")
		})
	}
}

func BenchmarkGoDSPFFT512(b *testing.B) {
	x := widen(noise(512, rand.New(rand.NewPCG(1, 1))))
	for b.Loop() {
		dsp.FFTReal(x)
	}
	reportRate(b, fftFLOPs(512), "GFLOP/s")
}

// fftFLOPs is what the literature counts for a transform of n reals, whatever the algorithm.
func fftFLOPs(n int) float64 { return 2.5 * float64(n) * math.Log2(float64(n)) }

// rowFLOPs counts a row's operations: window, transform, power and mels; the logarithms' are left out.
func rowFLOPs(e *Extractor) float64 {
	c := e.config
	return float64(c.Window) + fftFLOPs(c.FFT) + 3*float64(c.FFT/2+1) + 2*float64(len(e.bank.weights))
}

// reportRate reports how many billions of something a second b does, given how many an iteration does.
func reportRate(b *testing.B, each float64, unit string) {
	b.ReportMetric(each*float64(b.N)/float64(b.Elapsed().Nanoseconds()), unit)
}
