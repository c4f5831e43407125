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
