package audio

import "math/bits"

// ITU-T G.711: eight bits hold a sign, a 3-bit segment (exponent) and a 4-bit step within it. Linear values here are
// on the 16-bit scale.

const (
	muLawBias = 132   // added to the magnitude so that every segment has the same shape
	muLawClip = 32635 // the largest magnitude that stays in the last segment with the bias
)

// decodeMuLaw returns the linear value of a µ-law byte, -32124 to 32124.
func decodeMuLaw(code byte) int {
	code = ^code
	segment, step := code>>4&7, int(code&15)
	magnitude := (step<<3+muLawBias)<<segment - muLawBias
	if code&0x80 != 0 {
		return -magnitude
	}
	return magnitude
}

// encodeMuLaw returns the µ-law byte whose step holds the magnitude of the linear value v.
func encodeMuLaw(v int16) byte {
	sign, magnitude := byte(0), int(v)
	if v < 0 {
		sign, magnitude = 0x80, -magnitude
	}
	magnitude = min(magnitude, muLawClip) + muLawBias
	segment := bits.Len(uint(magnitude)) - 8
	step := magnitude >> (segment + 3) & 15
	return ^(sign | byte(segment<<4|step))
}

// aLawToggle are the bits that G.711 inverts on the line.
const aLawToggle = 0x55

// decodeALaw returns the linear value of an A-law byte, -32256 to 32256; there is no zero, the smallest are ±8.
func decodeALaw(code byte) int {
	code ^= aLawToggle
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

// encodeALaw returns the A-law byte whose step holds the linear value v.
func encodeALaw(v int16) byte {
	sign, magnitude := byte(0x80), int(v)
	if v < 0 {
		sign, magnitude = 0, -magnitude-1 // -1: each negative step holds its lower bound
	}
	segment := max(bits.Len(uint(magnitude))-8, 0)
	step := magnitude >> (max(segment, 1) + 3) & 15
	return (sign | byte(segment<<4|step)) ^ aLawToggle
}
