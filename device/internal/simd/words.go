package simd

import "unsafe"

// Words is the algorithm F(3,3) on integers, exactly: bytes become integers of 16 bits, two in a word, and the products
// of a tile's points integers of 32 bits. It has WinogradF33's InputMatrix; its OutputMatrix is 6 times the one that
// belongs to WordWeights. Sums wrap around, and LastOutput finds what they stand for.
type Words struct {
	// Widen makes 2·len(x) words of 16-bit integers of len(x) words of bytes.
	Widen func(dst, x []float32)
	// Input is that of a Winograd: rows have cols words of two integers.
	Input IntoPoints
	// Output is that of a Winograd. LastOutput divides by 36: its results are right where they are whole numbers from
	// -2²⁹ to 2²⁹ − 1.
	Output, LastOutput FromPoints
	// Input45 and Output45 are those of F(4,5), with weights of WordWeights45. Output45 divides by 360: its results are
	// right where they are whole numbers from -2²⁸ to 2²⁸ − 1.
	Input45  IntoPoints
	Output45 FromPoints
	// Tile computes c = a·b as MatMulTile does, of depth words of two integers, an even number, and any number of vectors.
	Tile func(c []float32, cStride int, a []float32, starts *[MaxTileRows]int, b []float32, depth, rows, vectors int)
	// Factors are what a product of two integers costs, beside that of two bytes, and of a byte by a ternary weight.
	ByteFactor, TernaryFactor float64
}

// WordWeights transforms three taps for Words: a point's weight is at most 9 times the largest tap.
func WordWeights(g [3]int) [5]int {
	sum := g[0] + g[1] + g[2]
	return [5]int{3 * g[0], -3 * sum, 2*g[1] - sum, g[0] + 2*g[1] + 4*g[2], 6 * g[2]}
}

// WordWeights45 transforms five taps for Words' F(4,5): a point's weight is at most 100 times the largest tap.
func WordWeights45(g [5]int) [8]int {
	even, odd := g[0]+g[2]+g[4], g[1]+g[3]
	even2, odd2 := g[0]+4*g[2]+16*g[4], 2*g[1]+8*g[3]
	evenHalf, oddHalf := 16*g[0]+4*g[2]+g[4], 8*g[1]+2*g[3]
	return [8]int{
		-90 * g[0], -20 * (even + odd), -20 * (even - odd), even2 + odd2, even2 - odd2,
		evenHalf + oddHalf, evenHalf - oddHalf, 90 * g[4],
	}
}

// Pairs returns the integers of 16 bits in words.
func Pairs(words []float32) []int16 {
	return unsafe.Slice((*int16)(unsafe.Pointer(unsafe.SliceData(words))), 2*len(words))
}
