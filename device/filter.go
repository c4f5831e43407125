package device

import "github.com/polyphon/polyphon/device/internal/simd"

// filter is a minimal filtering algorithm F(outputs, taps) (see simd.Winograd) of one level or two. With two, an outer filter
// is applied to the tiles of an inner one as that is to rows: F(3,3) of F(3,3) is an F(9,9) with 25 points instead
// of 81 multiplications, whose numbers stay as small as F(3,3)'s squared.
type filter struct {
	inner, outer          *simd.Winograd // outer: nil for one level
	outputs, taps, points int
	transforms            float64 // what the transforms of a tile cost, measured in columns of the products between them
}

func newFilter(inner, outer *simd.Winograd, transforms float64) *filter {
	f := &filter{
		inner: inner, outer: outer, outputs: inner.Outputs, taps: inner.Taps, points: inner.Points, transforms: transforms,
	}
	if outer != nil {
		f.outputs *= outer.Outputs
		f.taps *= outer.Taps
		f.points *= outer.Points
	}
	return f
}

// shares reports whether the runs of a convolution's taps share one transform of the input: a run is applied to the tile behind
// the one that the run before it is applied to.
func (f *filter) shares() bool { return f.outputs == f.taps }

// leastFilterChannels is how few channels, in or out, make the transforms cost more than the multiplications saved.
const leastFilterChannels = 8

// chooseFilter returns the filter for products of windows like a with n columns, or nil where multiplying is as good. Costs are
// counted in multiplications of a row by a column of one value; a matrix of weights costs at least as much as the
// given number of rows: that is what reading it takes.
func (d *cpu) chooseFilter(a View, n, reading int) (best *filter) {
	step := a.RowStride
	taps := ceilDiv(a.Cols, step)
	if step < leastFilterChannels || n < leastFilterChannels || taps < 3 {
		return nil
	}
	least := float64(a.Cols * max(a.Count(), reading))
	for _, f := range d.filterChoice {
		runs := ceilDiv(taps, f.taps)
		if !f.shares() && runs > 1 && reading == gradReading {
			continue // a gradient's runs read one transform of the input
		}
		tiles := float64(a.Groups*ceilDiv(a.Rows, f.outputs)) * (1 + f.transforms/float64(n))
		if cost := float64(f.points*runs*step) * (max(tiles, float64(reading)) + filterCall); cost < least {
			best, least = f, cost
		}
	}
	return best
}

const (
	// What reading or writing a matrix of weights costs, in rows that are multiplied by it.
	productReading = 3
	gradReading    = 32 // sums are read and written, and transformed in the end

	// filterCall is what there is to do for each of a filter's matrices besides, in rows.
	filterCall = 0.5
)

// transformInput transforms tiles tiles of rows of cols values in x into a matrix of as many rows for each point, vPoint
// values apart in v. A point of two levels is the outer one's point, then the inner one's.
func (f *filter) transformInput(t *filterTile, v, x []float32, tiles, cols, vPoint int) {
	if f.outer == nil {
		f.inner.Input(v, x, tiles, cols, cols, vPoint)
		return
	}
	rows := (tiles-1)*f.outer.Outputs + f.outer.Points // of the inner tiles
	t.between = grown(t.between, f.inner.Points*rows*cols)
	f.inner.Input(t.between, x, rows, cols, cols, rows*cols)
	f.intoOuter(f.outer.Input, v, t.between, tiles, rows, cols, vPoint)
}

// transformWeight transforms runs of taps, rows of cols values in x, into a matrix of runs rows for each point.
func (f *filter) transformWeight(t *filterTile, v, x []float32, runs, cols int) {
	if f.outer == nil {
		f.inner.Weight(v, x, runs, cols, cols, runs*cols)
		return
	}
	rows := runs * f.outer.Taps
	t.between = grown(t.between, f.inner.Points*rows*cols)
	f.inner.Weight(t.between, x, rows, cols, cols, rows*cols)
	f.intoOuter(f.outer.Weight, v, t.between, runs, rows, cols, runs*cols)
}

// transformOutputGrad transforms tiles of the gradients of outputs, rows of cols values in x a stride apart, into a
// matrix of tiles rows for each point, vPoint values apart in v.
func (f *filter) transformOutputGrad(t *filterTile, v, x []float32, tiles, cols, xStride, vPoint int) {
	if f.outer == nil {
		f.inner.OutputGrad(v, x, tiles, cols, xStride, vPoint)
		return
	}
	rows := tiles * f.outer.Outputs
	t.between = grown(t.between, f.inner.Points*rows*cols)
	f.inner.OutputGrad(t.between, x, rows, cols, xStride, rows*cols)
	f.intoOuter(f.outer.OutputGrad, v, t.between, tiles, rows, cols, vPoint)
}

// intoOuter applies the outer filter to what the inner one made: a matrix of rows rows for each of its points.
func (f *filter) intoOuter(kernel simd.IntoPoints, v, between []float32, tiles, rows, cols, vPoint int) {
	for p := range f.inner.Points {
		kernel(v[p*vPoint:], between[p*rows*cols:], tiles, cols, cols, f.inner.Points*vPoint)
	}
}

// transformOutput turns t.sums, a matrix of tiles rows of cols values for each point, into rows of t.outputs.
func (f *filter) transformOutput(t *filterTile, tiles, cols int) {
	if f.outer == nil {
		f.inner.Output(t.outputs, t.sums, tiles, cols, cols, cols, tiles*cols)
		return
	}
	rows := tiles * f.outer.Outputs
	t.between = grown(t.between, f.inner.Points*rows*cols)
	for p := range f.inner.Points {
		f.outer.Output(t.between[p*rows*cols:], t.sums[p*tiles*cols:], tiles, cols, cols, cols, f.inner.Points*tiles*cols)
	}
	f.inner.Output(t.outputs, t.between, rows, cols, cols, cols, rows*cols)
}

// transformWeightGrad turns the gradients of the points' weights, for each point runs rows of which cols values are
// wanted, into runs of taps such rows in y. Rows lie xStride apart in x.
func (f *filter) transformWeightGrad(t *filterTile, y, x []float32, runs, cols, xStride int) {
	point := runs * xStride
	if f.outer == nil {
		f.inner.WeightGrad(y, x, runs, cols, cols, xStride, point)
		return
	}
	rows := runs * f.outer.Taps
	t.between = grown(t.between, f.inner.Points*rows*cols)
	for p := range f.inner.Points {
		f.outer.WeightGrad(t.between[p*rows*cols:], x[p*point:], runs, cols, cols, xStride, f.inner.Points*point)
	}
	f.inner.WeightGrad(y, t.between, rows, cols, cols, cols, rows*cols)
}
