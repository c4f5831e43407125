package device

// LogMeler is a Device that can make rows of features of sound itself, which saves moving and making them elsewhere.
type LogMeler interface {
	Device
	// SupportsLogMel reports whether LogMel computes s.
	SupportsLogMel(s LogMelSpec) bool
	// LogMel computes row r of group g of dst, one value a mel, from the frame of FFT samples of sound that begins Before samples
	// in front of sample r·Hop of the group's one row: the samples times Window, zeros where there are none; the power of their
	// Fourier transform's bins; of those each mel's sum, weighted by Bank; and
	//
	//	max(−Limit, min((ln(sum + Floor) − Mean) / Std, Limit))
	LogMel(dst, sound View, s LogMelSpec)
}

// LogMelSpec is what LogMel computes with. Buffers are the device's.
type LogMelSpec struct {
	FFT, Hop, Before int    // points, a power of two; samples; samples
	Window           Buffer // at most FFT weights
	Roots            Buffer // exp(−2πi·k/FFT) for k < FFT/2, real and imaginary parts in turn
	Spans            Buffer // three whole numbers a mel: its first bin, how many it has, and where their weights begin in Bank
	Bank             Buffer
	Floor            float32
	Mean, Std        Buffer  // one value a mel
	Limit            float32 // 0: none
}
