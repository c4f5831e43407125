package device

// depthwise is Depthwise as a task whose pieces are blocks of rows that fit into L1.
type depthwise struct {
	d                 *cpu
	dst, x            View
	w, init           []float32
	add               bool
	blockRows, blocks int // rows in a block, blocks in a group
}

func (d *cpu) Depthwise(dst, x View, w, shift Buffer, add bool) {
	onHost(dst, x)
	if dst.Count() == 0 || dst.Cols == 0 {
		return
	}
	t := depthwise{d: d, dst: dst, x: x, w: values(w), init: values(shift), add: add}
	if shift.Empty() && !add {
		zeros := d.zeros(dst.Cols)
		defer d.floats.Put(zeros)
		t.init = *zeros
	}
	merge(&t.dst, &t.x)
	t.blockRows = min(t.dst.Rows, max(1, blockValues/dst.Cols))
	t.blocks = CeilDiv(t.dst.Rows, t.blockRows)
	parallelFor(d, t.dst.Groups*t.blocks, dst.Count()*(2*dst.Cols+2*x.Cols/flopsPerValue), t)
}

func (t depthwise) run(first, last int) {
	n := t.dst.Cols
	for i := first; i < last; i++ {
		g, r := i/t.blocks, i%t.blocks*t.blockRows
		rows := min(t.blockRows, t.dst.Rows-r)
		dst, init, initStride := t.dst.from(g, r, 0, rows, n), t.init, 0
		if t.add {
			init, initStride = dst, t.dst.RowStride
		}
		t.d.kernels.Depthwise(dst, t.x.from(g, r, 0, rows, t.x.Cols), t.w, init, rows, n, t.x.Cols/n,
			t.dst.RowStride, t.x.RowStride, n, n, initStride)
	}
}

// A chunk of a depthwise convolution's weight gradient is at least gradRows rows, and they are at most gradChunks.
const (
	gradRows   = 1 << 10
	gradChunks = 16
)

// depthwiseGrad is DepthwiseGrad as a task whose pieces are chunks of groups, whose sums are added in order in float64.
type depthwiseGrad struct {
	d      *cpu
	x, dy  View
	sums   []float32 // (chunks, K, n)
	groups int       // in a chunk
}

func (d *cpu) DepthwiseGrad(dw Buffer, x, dy View) {
	onHost(x, dy)
	if dy.Count() == 0 || dy.Cols == 0 {
		return
	}
	groups := max(CeilDiv(gradRows, dy.Rows), CeilDiv(dy.Groups, gradChunks))
	chunks := CeilDiv(dy.Groups, groups)
	sums := d.zeros(chunks * x.Cols)
	work := dy.Count() * (2*dy.Cols + 2*x.Cols/flopsPerValue)
	parallelFor(d, chunks, work, depthwiseGrad{d: d, x: x, dy: dy, sums: *sums, groups: groups})
	for i, v := range values(dw) {
		total := float64(v)
		for at := i; at < len(*sums); at += x.Cols {
			total += float64((*sums)[at])
		}
		values(dw)[i] = float32(total)
	}
	d.floats.Put(sums)
}

// run convolves the windows' columns with dy: a tap's gradient is a row of the result, and the rows are the taps.
func (t depthwiseGrad) run(first, last int) {
	n := t.dy.Cols
	for i := first; i < last; i++ {
		sum := t.sums[i*t.x.Cols:][:t.x.Cols]
		for g := i * t.groups; g < min((i+1)*t.groups, t.dy.Groups); g++ {
			x, dy := t.x.from(g, 0, 0, t.dy.Rows, t.x.Cols), t.dy.from(g, 0, 0, t.dy.Rows, n)
			t.d.kernels.Depthwise(sum, x, dy, sum, t.x.Cols/n, n, t.dy.Rows, n, n, t.x.RowStride, t.dy.RowStride, n)
		}
	}
}
