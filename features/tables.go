package features

// Margins returns how many zeros in front of a recording and behind it its first and its last row reach.
func (c Config) Margins() (front, back int) { return c.before(), c.Window / 2 }

// WindowWeights returns what the samples of a frame are multiplied with: Config.Window values.
func (e *Extractor) WindowWeights() []float32 { return append([]float32(nil), e.window...) }

// MelWeights returns the matrix (Mels, FFT/2+1) that gathers a frame's power spectrum into mel energies.
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

// FourierRoots returns exp(−2πi·k/FFT) for k < FFT/2, real and imaginary parts in turn.
func (e *Extractor) FourierRoots() []float32 {
	var roots []float32
	for k := range e.config.FFT / 2 {
		roots = appendRoot(roots, k, e.config.FFT)
	}
	return roots
}

// MelSpans returns what MelWeights holds without its zeros: three whole numbers a mel, which are its first bin, how many it has,
// and where their weights begin among weights.
func (e *Extractor) MelSpans() (spans, weights []float32) {
	begin := int32(0)
	for m := range e.config.Mels {
		first, bins := e.bank.spans[2*m], e.bank.spans[2*m+1]
		spans = append(spans, float32(first), float32(bins), float32(begin))
		begin += bins
	}
	return spans, append([]float32(nil), e.bank.weights...)
}
