package device

// reduction sums over rows, column by column. Its pieces are chunks of rows, whose sums are added in order in float64.
type reduction struct {
	d        *cpu
	x, y, z  View // y and z optional; of one shape
	sum, dot []float32
	// moments computes a chunk's mean as sum, and its squared deviations from that as dot.
	moments bool

	rows, groups, perGroup int // rows of a group, or whole groups, in a chunk; chunks in a group
}

// A chunk has at most chunkValues values of an operand, for L2, and chunkRows rows, for the accuracy of float32 sums.
const (
	chunkValues = 1 << 14
	chunkRows   = 256
)

// reduce runs r over all chunks and calls combine with each one's number of rows and sums, in order.
func (d *cpu) reduce(r reduction, combine func(rows int, sum, dot []float32)) {
	r.d = d
	operands := onHost(r.x, r.y, r.z)
	merge(&r.x, &r.y, &r.z)
	x := &r.x
	if x.Count() == 0 || x.Cols == 0 {
		return
	}
	rows := max(1, min(chunkRows, chunkValues/x.Cols))
	r.rows = min(x.Rows, rows)
	r.groups = max(1, rows/x.Rows)
	r.perGroup = CeilDiv(x.Rows, r.rows)
	chunks := CeilDiv(x.Groups, r.groups) * r.perGroup
	sums := d.zeros(2 * chunks * x.Cols)
	r.sum, r.dot = (*sums)[:chunks*x.Cols], (*sums)[chunks*x.Cols:]
	parallelFor(d, chunks, operands*x.Count()*x.Cols, r)
	for i := range chunks {
		_, groups, _, rows := r.chunk(i)
		combine(groups*rows, r.sum[i*x.Cols:][:x.Cols], r.dot[i*x.Cols:][:x.Cols])
	}
	d.floats.Put(sums)
}

// chunk returns the groups and rows of chunk i: several whole groups, or a part of one.
func (r *reduction) chunk(i int) (group, groups, row, rows int) {
	group = i / r.perGroup * r.groups
	row = i % r.perGroup * r.rows
	return group, min(r.groups, r.x.Groups-group), row, min(r.rows, r.x.Rows-row)
}

func (r reduction) run(first, last int) {
	for i := first; i < last; i++ {
		group, groups, row, rows := r.chunk(i)
		sum, dot := r.sum[i*r.x.Cols:][:r.x.Cols], r.dot[i*r.x.Cols:][:r.x.Cols]
		for g := group; g < group+groups; g++ {
			r.addSums(sum, dot, g, row, rows)
		}
		if r.moments {
			r.deviations(sum, dot, group, groups, row, rows)
		}
	}
}

func (r *reduction) addSums(sum, dot []float32, g, row, rows int) {
	k, cols := r.d.kernels, r.x.Cols
	x := r.x.from(g, row, 0, rows, cols)
	switch {
	case r.y.Empty():
		k.Sums(sum, x, rows, cols, r.x.RowStride)
	case r.z.Empty():
		k.Dots(sum, dot, x, r.y.from(g, row, 0, rows, cols), rows, cols, r.x.RowStride, r.y.RowStride)
	default:
		k.Dots3(sum, dot, x, r.y.from(g, row, 0, rows, cols), r.z.from(g, row, 0, rows, cols),
			rows, cols, r.x.RowStride, r.y.RowStride, r.z.RowStride)
	}
}

// deviations turns a chunk's sums of x, or of x∘y, into its mean, and dot into the squared deviations from it. The mean
// from the sums is rounded; the deviations from it are small enough to be summed exactly, and correct it.
func (r *reduction) deviations(sum, dot []float32, group, groups, row, rows int) {
	k, cols, n := r.d.kernels, r.x.Cols, float64(groups*rows)
	if !r.y.Empty() {
		copy(sum, dot)
		clear(dot)
	}
	for c := range sum {
		sum[c] /= float32(n)
	}
	rest := r.d.zeros(cols)
	for g := group; g < group+groups; g++ {
		x := r.x.from(g, row, 0, rows, cols)
		if r.y.Empty() {
			k.Deviations(*rest, dot, x, sum, rows, cols, r.x.RowStride)
		} else {
			y := r.y.from(g, row, 0, rows, cols)
			k.Deviations2(*rest, dot, x, y, sum, rows, cols, r.x.RowStride, r.y.RowStride)
		}
	}
	for c, left := range *rest {
		mean := float64(left) / n
		sum[c] = float32(float64(sum[c]) + mean)
		dot[c] = float32(max(0, float64(dot[c])-mean*float64(left)))
	}
	r.d.floats.Put(rest)
}

// columnPair returns two vectors of zeros in memory that is to be put back into d.doubles.
func (d *cpu) columnPair(cols int) (memory *[]float64, first, second []float64) {
	memory = d.doubles.get()
	*memory = grown(*memory, 2*cols)
	clear(*memory)
	return memory, (*memory)[:cols], (*memory)[cols:]
}

// Moments merges the chunks' moments as Chan, Golub and LeVeque (1979) do: accurate even where means are large.
func (d *cpu) Moments(mean, variance Buffer, x, y View) {
	count := 0.0
	memory, means, squares := d.columnPair(x.Cols)
	d.reduce(reduction{x: x, y: y, moments: true}, func(rows int, chunkMean, chunkSquares []float32) {
		n := float64(rows)
		for c := range means {
			delta := float64(chunkMean[c]) - means[c]
			means[c] += delta * n / (count + n)
			squares[c] += float64(chunkSquares[c]) + delta*delta*count*n/(count+n)
		}
		count += n
	})
	for c := range means {
		values(mean)[c] = float32(means[c])
		values(variance)[c] = float32(squares[c] / max(1, count))
	}
	d.doubles.Put(memory)
}

func (d *cpu) GradSums(sum, dot Buffer, dy, x, y View) {
	memory, sums, dots := d.columnPair(dy.Cols)
	d.reduce(reduction{x: dy, y: x, z: y}, func(_ int, chunkSum, chunkDot []float32) {
		for c := range sums {
			sums[c] += float64(chunkSum[c])
			dots[c] += float64(chunkDot[c])
		}
	})
	for c := range sums {
		values(sum)[c] = float32(sums[c])
		if !dot.Empty() {
			values(dot)[c] = float32(dots[c])
		}
	}
	d.doubles.Put(memory)
}

func (d *cpu) AvgPool(dst, x View) {
	onHost(dst, x)
	if x.Groups == 0 || x.Cols == 0 {
		return
	}
	parallelFor(d, x.Groups, x.Count()*x.Cols, avgPool{d, dst, x})
}

// avgPool is AvgPool as a task; its pieces are groups.
type avgPool struct {
	d      *cpu
	dst, x View
}

// avgPoolCols is how many columns avgPool sums at a time.
const avgPoolCols = 64

func (a avgPool) run(first, last int) {
	partial := a.d.scratch(avgPoolCols)
	for g := first; g < last; g++ {
		for c := 0; c < a.x.Cols; c += avgPoolCols {
			a.columns((*partial)[:min(avgPoolCols, a.x.Cols-c)], g, c)
		}
	}
	a.d.floats.Put(partial)
}

// columns computes the means of group g's columns from c on, as many as partial has values.
func (a avgPool) columns(partial []float32, g, c int) {
	var total [avgPoolCols]float64
	for r := 0; r < a.x.Rows; r += chunkRows {
		rows := min(chunkRows, a.x.Rows-r)
		clear(partial)
		a.d.kernels.Sums(partial, a.x.from(g, r, c, rows, len(partial)), rows, len(partial), a.x.RowStride)
		for i, v := range partial {
			total[i] += float64(v)
		}
	}
	for i, out := 0, a.dst.row(g, 0)[c:]; i < len(partial); i++ {
		out[i] = float32(total[i] / max(1, float64(a.x.Rows)))
	}
}

func (d *cpu) AvgPoolGrad(dst, x View, scale float32) {
	x.Rows, x.RowStride = dst.Rows, 0
	d.elementwise(false, elementwise{
		views: [5]View{dst, x}, scalar: scale, call: func(b block) {
			for r := range b.rows {
				out := b.row(0, r)
				for c, v := range b.row(1, r) {
					out[c] = b.scalar * v
				}
			}
		},
	})
}
