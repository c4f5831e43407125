package features

import "slices"

// Margins returns how many zeros before a recording its first row reaches, and after it its last row.
func (c Config) Margins() (before, after int) { return c.before(), c.Window / 2 }

// WindowWeights returns the factors of a frame's samples, Config.Window values.
func (e *Extractor) WindowWeights() []float32 { return slices.Clone(e.window) }

// FourierRoots returns exp(−2πi·k/FFT) for k < FFT/2, real and imaginary parts in turn.
func (e *Extractor) FourierRoots() []float32 {
	var roots []float32
	for k := range e.config.FFT / 2 {
		roots = appendRoot(roots, k, e.config.FFT)
	}
	return roots
}

// MelWeights returns the matrix (Mels, FFT/2+1) that maps a frame's power spectrum to mel energies.
func (e *Extractor) MelWeights() []float32 {
	bins := e.config.FFT/2 + 1
	matrix := make([]float32, e.config.Mels*bins)
	weights := e.bank.weights
	for m := range e.config.Mels {
		first, count := int(e.bank.spans[2*m]), int(e.bank.spans[2*m+1])
		copy(matrix[m*bins+first:], weights[:count])
		weights = weights[count:]
	}
	return matrix
}

// MelSpans returns MelWeights without its zeros. spans holds three whole numbers per mel: its first bin, its number of
// bins, and where their weights begin in weights.
func (e *Extractor) MelSpans() (spans, weights []float32) {
	begin := int32(0)
	for m := range e.config.Mels {
		first, bins := e.bank.spans[2*m], e.bank.spans[2*m+1]
		spans = append(spans, float32(first), float32(bins), float32(begin))
		begin += bins
	}
	return spans, slices.Clone(e.bank.weights)
}
