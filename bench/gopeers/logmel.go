package main

import (
	"math"

	"github.com/mjibson/go-dsp/fft"
	"github.com/mjibson/go-dsp/window"
	"github.com/polyphon/polyphon/bench/serve"
	"gonum.org/v1/gonum/dsp/fourier"
)

// logMelArgs describes log-mel rows with a Hann window, frames centred on every hop-th sample, zeros around the sound
// and HTK's mel scale.
type logMelArgs struct {
	Samples string  `json:"samples"` // file
	Rate    int     `json:"rate"`
	FFT     int     `json:"fft"`
	Window  int     `json:"window"`
	Hop     int     `json:"hop"`
	Mels    int     `json:"mels"`
	MinHz   float64 `json:"min_hz"`
	MaxHz   float64 `json:"max_hz"`
	Floor   float64 `json:"floor"`
}

func prepareGoDSPLogMel(a logMelArgs) *serve.Case {
	fft.SetWorkerPoolSize(1)
	return a.prepare(fft.FFTReal)
}

func prepareGonumLogMel(a logMelArgs) *serve.Case {
	plan := fourier.NewFFT(a.FFT)
	coefficients := make([]complex128, a.FFT/2+1)
	return a.prepare(func(x []float64) []complex128 { return plan.Coefficients(coefficients, x) })
}

// prepare makes the rows as a plain program would, with transform for the spectrum of a frame.
func (a logMelArgs) prepare(transform func([]float64) []complex128) *serve.Case {
	samples := serve.Must(serve.ReadFloats(a.Samples))
	hann, bank := window.Hann(a.Window + 1)[:a.Window], a.bank()
	frame, power := make([]float64, a.FFT), make([]float64, a.FFT/2+1)
	rows := make([]float32, (1+len(samples)/a.Hop)*a.Mels)
	run := func() {
		for t := range len(rows) / a.Mels {
			begin := t*a.Hop - a.Window/2
			for i, w := range hann {
				frame[i] = 0
				if at := begin + i; at >= 0 && at < len(samples) {
					frame[i] = w * float64(samples[at])
				}
			}
			for k, c := range transform(frame)[:len(power)] {
				power[k] = real(c)*real(c) + imag(c)*imag(c)
			}
			for m, triangle := range bank {
				sum := a.Floor
				for i, w := range triangle.weights {
					sum += w * power[triangle.first+i]
				}
				rows[t*a.Mels+m] = float32(math.Log(sum))
			}
		}
	}
	return &serve.Case{Run: run, Result: func() []float32 { return rows }}
}

// triangle is a mel's weights from bin first on.
type triangle struct {
	first   int
	weights []float64
}

func (a logMelArgs) bank() []triangle {
	mel := func(hz float64) float64 { return 2595 * math.Log10(1+hz/700) }
	point := func(i int) float64 {
		at := mel(a.MinHz) + (mel(a.MaxHz)-mel(a.MinHz))*float64(i)/float64(a.Mels+1)
		return 700 * (math.Pow(10, at/2595) - 1)
	}
	bank := make([]triangle, a.Mels)
	for m := range bank {
		left, centre, right := point(m), point(m+1), point(m+2)
		for k := range a.FFT/2 + 1 {
			hz := float64(k) * float64(a.Rate) / float64(a.FFT)
			w := min((hz-left)/(centre-left), (right-hz)/(right-centre))
			if w <= 0 {
				continue
			}
			if bank[m].weights == nil {
				bank[m].first = k
			}
			bank[m].weights = append(bank[m].weights, w)
		}
	}
	return bank
}
