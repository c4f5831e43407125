package device

import "github.com/polyphon/polyphon/device/internal/simd"

// Products of windows of bytes by Winograd's algorithms take words of 16 bits (simd.Words). With two levels, integers
// grow from 8 bits to 13 and 14, and products to 27; the sums that the transforms of outputs make of them wrap around,
// and yet the results are exact.

// maxWordDepth is how many products of bytes a sum may have that simd.Words finds, but F(4,5) only half as many.
const maxWordDepth = (1<<29 - 1) / (128 * 128)

// wordWinogradsOf returns the algorithms on integers with the kernels of k.
func wordWinogradsOf(k *simd.Kernels) []*winograd {
	w := &k.Words
	if w.Tile == nil {
		return nil
	}
	f := simd.Winograd{Outputs: 3, Taps: 3, Points: 5, Input: w.Input, Output: w.Output}
	last := f
	last.Output = w.LastOutput
	f45 := simd.Winograd{Outputs: 4, Taps: 5, Points: 8, Input: w.Input45, Output: w.Output45}
	return withSizes([]*winograd{
		{inner: &last, outer: &oneLevel, transforms: 6, words: true, depth: maxWordDepth},
		{inner: &f45, outer: &oneLevel, transforms: 12, words: true, depth: maxWordDepth / 2},
		{inner: &last, outer: &f, transforms: 20, words: true, depth: maxWordDepth},
	})
}

// chooseWords is chooseWinograd for bytes. Costs count as of products of bytes.
func (d *cpu) chooseWords(a View, n int, ternary bool) (best *winograd) {
	step := 4 * a.RowStride // bytes
	k := 4 * a.Cols
	factor := d.kernels.Words.ByteFactor
	if ternary {
		factor = d.kernels.Words.TernaryFactor
	}
	if step < minWinogradChannels || n < minWinogradChannels || CeilDiv(k, step) < 3 {
		return nil
	}
	lowest := float64(k * max(a.Count(), productReading))
	for _, w := range d.words {
		if k > w.depth {
			continue
		}
		runs := CeilDiv(k, step*w.taps)
		tiles := float64(a.Groups*CeilDiv(a.Rows, w.outputs)) * (1 + w.transforms/float64(n))
		if cost := factor * float64(w.points*runs*step) * (max(tiles, productReading) + winogradCall); cost < lowest {
			best, lowest = w, cost
		}
	}
	return best
}

// packWords transforms the taps of each run and packs the matrices of pairs, (runs·step, n) a point, one after the
// other.
func (d *cpu) packWords(f *winograd, dst *Packed, w []int8, n int, a View) {
	step := 4 * a.RowStride
	runs := CeilDiv(len(w), n*step*f.taps)
	depth, width := runs*step/2, d.kernels.Width
	size := depth * padded(n, width)
	if dst.Data.Len() < f.points*size {
		dst.Data = d.Alloc(f.points * size)
	}
	*dst = Packed{K: 4 * a.Cols, N: n, Step: a.RowStride, Data: dst.Data, winograd: f}
	words := d.scratch(f.points * depth * n)
	pairs := simd.Pairs(*words)
	var taps [9]int
	for run := range runs {
		for at := range step * n { // a channel and a column
			for t := range f.taps {
				taps[t] = 0
				if i := (run*f.taps+t)*step*n + at; i < len(w) {
					taps[t] = int(w[i])
				}
			}
			row, c := run*step+at/n, at%n
			for p, v := range f.wordWeights(&taps) {
				pairs[((p*depth+row/2)*n+c)*2+row%2] = int16(v)
			}
		}
	}
	for p := range f.points {
		packPanels(values(dst.Data)[p*size:(p+1)*size], (*words)[p*depth*n:(p+1)*depth*n], depth, n, width)
	}
	d.floats.Put(words)
}

// wordWeights returns the points of taps, so large that the outputs are 36 times as large, or F(4,5)'s.
func (w *winograd) wordWeights(taps *[9]int) []int {
	var points [25]int
	if w.taps == 5 {
		of5 := simd.WordWeights45([5]int(taps[:5]))
		return points[:copy(points[:], of5[:])]
	}
	if w.outer == &oneLevel {
		for i, v := range simd.WordWeights([3]int(taps[:3])) {
			points[i] = 6 * v
		}
		return points[:5]
	}
	var inner [3][5]int
	for o := range inner {
		inner[o] = simd.WordWeights([3]int(taps[3*o : 3*o+3]))
	}
	for i := range 5 {
		for o, v := range simd.WordWeights([3]int{inner[0][i], inner[1][i], inner[2][i]}) {
			points[5*o+i] = v
		}
	}
	return points[:]
}

// widen makes of a's bytes words of two integers of 16 bits, in memory for twice as many.
func widen(k *simd.Kernels, to []float32, a *View) {
	k.Words.Widen(to, a.Data.host[:a.Extent()])
	a.Data = hostBuffer(to)
	a.Cols, a.RowStride, a.GroupStride = 2*a.Cols, 2*a.RowStride, 2*a.GroupStride
}

// matMulWords is MatMulNarrow by Winograd's algorithm.
func (d *cpu) matMulWords(p narrowProduct) {
	f, a := p.w.winograd, p.a
	wide := d.scratch(2 * a.Extent())
	widen(d.kernels, *wide, &a)
	q := product{d: d, a: a, w: p.w}
	q.runs, q.perGroup = CeilDiv(p.w.K, 4*p.w.Step*f.taps), CeilDiv(a.Rows, f.outputs)
	q.rows = q.perGroup * a.Groups
	q.pieces = CeilDiv(q.rows, tilesAtOnce)
	q.narrow = d.products.get()
	*q.narrow = p
	parallelFor(d, q.pieces, 2*q.rows*f.points*q.runs*a.RowStride*p.w.N/flopsPerValue, q)
	*q.narrow = narrowProduct{}
	d.products.Put(q.narrow)
	d.floats.Put(wide)
}
