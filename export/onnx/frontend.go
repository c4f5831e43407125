package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/features"
)

// maxFourier bounds the weights of the Fourier transform, 4 bytes each.
const maxFourier = 1 << 27

// logMel adds the input LogMel and returns its channels.
func (b *builder) logMel(c features.Config) (string, error) {
	b.graph.inputs = []valueProto{{
		name: string(LogMel), doc: "Log-mel rows, not normalised.",
		dims: []dimension{{name: "batch"}, {name: "time"}, {size: int64(c.Mels)}},
	}}
	x := b.node("Unsqueeze", "input/image", []string{string(LogMel), b.integers("input/image.axis", 1)})
	return b.node("Transpose", "input/channels", []string{x}, ints("perm", 0, 3, 1, 2)), nil
}

// frontEnd adds the input Samples and returns its log-mel channels.
//
// The spectrum is a convolution with a cosine and a sine, both times the window, for each bin that has a weight in some
// mel. A second one, of kernel 1, sums their squares to mels. On speech it takes half the time of ONNX Runtime's STFT.
func (b *builder) frontEnd(c features.Config) (string, error) {
	e, err := features.New(c)
	if err != nil {
		return "", err
	}
	b.graph.inputs = []valueProto{{
		name: string(Samples), doc: fmt.Sprintf("Sound of %d Hz, mono, in [-1, 1].", c.Rate),
		dims: []dimension{{name: "batch"}, {name: "samples"}},
	}}
	spans, weights := e.MelSpans()
	first, end := c.FFT, 0 // the range of the bins that have a weight in some mel
	for s := range slices.Chunk(spans, 3) {
		first, end = min(first, int(s[0])), max(end, int(s[0]+s[1]))
	}
	parts := 2 * (end - first) // cosines, then sines
	if parts*c.Window > maxFourier {
		return "", fmt.Errorf("%w: an FFT of %d points over windows of %d samples would take %.1f GB in a graph",
			features.ErrConfig, c.FFT, c.Window, float64(parts)*float64(c.Window)*4e-9)
	}
	before, after := c.Margins()
	x := b.node("Unsqueeze", "input/image", []string{string(Samples), b.integers("input/image.axes", 1, 2)})
	x = b.convolution(convolution{
		name: "input/spectrum", weight: fourier(c.FFT, e.WindowWeights(), first, end), out: parts, in: 1,
		kernel: c.Window, stride: c.Hop, before: before, after: after,
	}, x)
	x = b.node("Mul", "input/squares", []string{x, x})
	mels := make([]float32, c.Mels*parts)
	for i, s := range slices.Collect(slices.Chunk(spans, 3)) {
		w, at := weights[int(s[2]):][:int(s[1])], i*parts+int(s[0])-first
		copy(mels[at:], w)
		copy(mels[at+parts/2:], w)
	}
	x = b.convolution(convolution{name: "input/mels", weight: mels, out: c.Mels, in: parts, kernel: 1, stride: 1}, x)
	x = b.node("Add", "input/floored", []string{x, b.constant("input/floor", []float32{float32(c.Floor)})})
	return b.node("Log", "input/log_mel", []string{x}), nil
}

// fourier returns a cosine times the window for each of the bins, and then a sine for each.
func fourier(points int, window []float32, first, end int) []float32 {
	weights := make([]float32, 0, 2*(end-first)*len(window))
	for _, phase := range []float64{0, 0.25} {
		for k := first; k < end; k++ {
			for n, w := range window {
				turns := float64(k*n%points)/float64(points) - phase
				weights = append(weights, float32(float64(w)*math.Cos(2*math.Pi*turns)))
			}
		}
	}
	return weights
}
