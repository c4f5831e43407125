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

// MelSpans returns the weights of a frame's power spectrum that sum up to mel energies. spans holds three whole numbers
// per mel: its first bin of FFT/2+1, its number of bins, and where their weights begin in weights.
func (e *Extractor) MelSpans() (spans, weights []float32) {
	begin := int32(0)
	for span := range slices.Chunk(e.bank.spans, 2) {
		spans = append(spans, float32(span[0]), float32(span[1]), float32(begin))
		begin += span[1]
	}
	return spans, slices.Clone(e.bank.weights)
}
