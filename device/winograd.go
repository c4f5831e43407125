package device

import "github.com/polyphon/polyphon/device/internal/simd"

// winograd is an algorithm F(outputs, taps) (see simd.Winograd) of one level or two. With two, the outer algorithm is
// applied to the tiles of the inner one as that is to rows: F(3,3) of F(3,3) is an F(9,9) with 25 points instead of 81
// multiplications, whose factors are no larger than the squares of F(3,3)'s.
type winograd struct {
	inner, outer          *simd.Winograd // outer: oneLevel for one level
	outputs, taps, points int
	words                 bool    // of integers: inner's Output divides, as the last one
	depth                 int     // of words: how many products of bytes a sum may have
	transforms            float64 // cost of the transforms of a tile, in columns of the products between them
}

var oneLevel = simd.Winograd{Outputs: 1, Taps: 1, Points: 1}

// winogradsOf returns the algorithms with the kernels of k.
func winogradsOf(k *simd.Kernels) []*winograd {
	all := []*winograd{
		{inner: &k.WinogradF23, outer: &oneLevel, transforms: 12},
		{inner: &k.WinogradF33, outer: &oneLevel, transforms: 6},
		{inner: &k.WinogradF33, outer: &k.WinogradF33, transforms: 20},
		{inner: &k.WinogradF45, outer: &oneLevel, transforms: 12},
	}
	return withSizes(all)
}

// withSizes sets the outputs, taps and points of all levels together.
func withSizes(all []*winograd) []*winograd {
	for _, w := range all {
		w.outputs = w.inner.Outputs * w.outer.Outputs
		w.taps = w.inner.Taps * w.outer.Taps
		w.points = w.inner.Points * w.outer.Points
	}
	return all
}

// sharesTransform reports whether all runs of taps read one transform of the input, each a tile after the one before.
func (w *winograd) sharesTransform() bool { return w.outputs == w.taps }

const (
	minWinogradChannels = 8   // in or out; with fewer, transforms cost more than they save
	productReading      = 3   // the cost of reading a matrix of weights, in rows that are multiplied by it
	gradReading         = 32  // the same of a gradient's sums, which are read, written and transformed at the end
	winogradCall        = 0.5 // the cost of the other work for each of an algorithm's matrices, in rows
)

// chooseWinograd returns the algorithm for products of windows like a with n columns, nil where plain multiplication is
// as fast. Costs count multiplications of a row by a column of one value, a matrix of weights at least as reading rows.
func (d *cpu) chooseWinograd(a View, n, reading int) (best *winograd) {
	step := a.RowStride
	taps := CeilDiv(a.Cols, step)
	if step < minWinogradChannels || n < minWinogradChannels || taps < 3 {
		return nil
	}
	lowest := float64(a.Cols * max(a.Count(), reading))
	for _, w := range d.winograds {
		runs := CeilDiv(taps, w.taps)
		if !w.sharesTransform() && runs > 1 && reading == gradReading {
			continue // winogradGrad needs one transform for all runs
		}
		tiles := float64(a.Groups*CeilDiv(a.Rows, w.outputs)) * (1 + w.transforms/float64(n))
		if cost := float64(w.points*runs*step) * (max(tiles, float64(reading)) + winogradCall); cost < lowest {
			best, lowest = w, cost
		}
	}
	return best
}

// transformInput applies Input to tiles of rows of cols values in x.
func (w *winograd) transformInput(t *tile, v, x []float32, tiles, cols, vPoint int) {
	rows := (tiles-1)*w.outer.Outputs + w.outer.Points
	w.intoPoints(t, w.inner.Input, w.outer.Input, v, x, tiles, rows, cols, cols, vPoint)
}

// transformOutputGrad applies OutputGrad to tiles of the gradients of outputs, rows of cols values in x.
func (w *winograd) transformOutputGrad(t *tile, v, x []float32, tiles, cols, xStride, vPoint int) {
	w.intoPoints(t, w.inner.OutputGrad, w.outer.OutputGrad, v, x, tiles, tiles*w.outer.Outputs, cols, xStride, vPoint)
}

// intoPoints applies inner to rows tiles in x, and outer, if any, to the matrix of rows rows that this gives for each
// of the inner algorithm's points. The result is a matrix of tiles rows of cols values for each point, vPoint values
// apart in v, numbered by the outer algorithm's point, then by the inner one's.
func (w *winograd) intoPoints(t *tile, inner, outer simd.IntoPoints, v, x []float32,
	tiles, rows, cols, xStride, vPoint int) {
	if w.outer == &oneLevel {
		inner(v, x, tiles, cols, xStride, vPoint)
		return
	}
	t.between = grown(t.between, w.inner.Points*rows*cols)
	inner(t.between, x, rows, cols, xStride, rows*cols)
	for p := range w.inner.Points {
		outer(v[p*vPoint:], t.between[p*rows*cols:], tiles, cols, cols, w.inner.Points*vPoint)
	}
}

// fromPoints applies outer, if any, to the matrix of tiles rows in x for each point, of which the first cols values
// count, and inner to the matrix of rows rows that this gives for each of the inner algorithm's points.
func (w *winograd) fromPoints(t *tile, inner, outer simd.FromPoints, y, x []float32, tiles, rows, cols, xStride int) {
	xPoint := tiles * xStride
	if w.outer == &oneLevel {
		inner(y, x, tiles, cols, cols, xStride, xPoint)
		return
	}
	t.between = grown(t.between, w.inner.Points*rows*cols)
	for p := range w.inner.Points {
		outer(t.between[p*rows*cols:], x[p*xPoint:], tiles, cols, cols, xStride, w.inner.Points*xPoint)
	}
	inner(y, t.between, rows, cols, cols, cols, rows*cols)
}
