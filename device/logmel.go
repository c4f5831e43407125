package device

// LogMeler is a Device that can compute log-mel rows from samples itself, which saves computing and uploading them.
type LogMeler interface {
	Device
	// SupportsLogMel reports whether LogMel computes s.
	SupportsLogMel(s LogMelSpec) bool
	// LogMel computes row r of group g of dst, one value a mel, from a frame of FFT samples. The frame begins Before
	// samples before sample r·Hop of the group's one row of samples. Its samples, zeros outside of the row, are weighted
	// by Window; the power of their Fourier transform's bins is summed for each mel, weighted by Bank; the result is
	//
	//	max(−Limit, min((ln(sum + Floor) − Mean) / Std, Limit))
	LogMel(dst, samples View, s LogMelSpec)
}

// LogMelSpec is what LogMel computes. Buffers are the device's.
type LogMelSpec struct {
	FFT, Hop, Before int    // points, a power of two; samples; samples
	Window           Buffer // at most FFT weights
	Roots            Buffer // exp(−2πi·k/FFT) for k < FFT/2, alternating real and imaginary parts
	Spans            Buffer // three whole numbers a mel: first bin, number of bins, index of their weights in Bank
	Bank             Buffer
	Floor            float32
	Mean, Std        Buffer  // one value a mel
	Limit            float32 // 0: none
}
