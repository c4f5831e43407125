package audio

// ITU-T G.711: eight bits hold a sign, a 3-bit segment (exponent) and a 4-bit step within it. Linear values here are on
// the 16-bit scale.

// decodeMuLaw returns the linear value of a µ-law byte, -32124 to 32124.
func decodeMuLaw(code byte) int {
	const bias = 132 // added to the magnitude so that every segment has the same shape
	code = ^code
	segment, step := code>>4&7, int(code&15)
	magnitude := (step<<3+bias)<<segment - bias
	if code&0x80 != 0 {
		return -magnitude
	}
	return magnitude
}

// decodeALaw returns the linear value of an A-law byte, -32256 to 32256; there is no zero, the smallest are ±8.
func decodeALaw(code byte) int {
	code ^= 0x55 // the bits that are transmitted inverted
	segment, step := code>>4&7, int(code&15)
	magnitude := step<<4 + 8
	if segment > 0 {
		magnitude = (magnitude + 256) << (segment - 1)
	}
	if code&0x80 == 0 {
		return -magnitude
	}
	return magnitude
}
