package device

import "github.com/polyphon/polyphon/device/internal/simd"

// PackNarrow stores panels as Pack does, of words of four weights that follow each other in a column. Where the kernels
// multiply signed by unsigned bytes, zero is added to the weights, or with Kernels.PanelZeros 128 to the other ones.
func (d *cpu) PackNarrow(dst *Packed, w []int8, n int, ternary bool, a View) {
	if f := d.chooseWords(a, n, ternary); f != nil {
		d.packWords(f, dst, w, n, a)
		dst.zero = zeroPoint(ternary)
		return
	}
	k := 4 * a.Cols
	width := d.kernels.ByteWidth
	depth := d.panelDepth(k)
	size := depth * padded(n, width)
	if dst.Data.Len() < size {
		dst.Data = d.Alloc(size)
	}
	*dst = Packed{K: k, N: n, Step: a.RowStride, Data: dst.Data, zero: zeroPoint(ternary)}
	offset := dst.zero
	if d.kernels.SignedBytes {
		offset = 0
	}
	words := d.scratch(depth * n)
	first := depth - k/4 // of the rows of bytes
	to := simd.Bytes((*words)[first*n:])
	if first > 0 {
		for c := range n {
			sum := int32(0)
			for r := range k {
				sum += int32(w[r*n+c])
			}
			simd.Integers(*words)[c] = -128 * sum
		}
	}
	for r := range k {
		for c, v := range w[r*n:][:n] {
			to[(r/4*n+c)*4+r%4] = int8(int(v) + offset)
		}
	}
	packPanels(values(dst.Data), *words, depth, n, width)
	d.floats.Put(words)
}

// panelDepth returns the rows of panels of k bytes.
func (d *cpu) panelDepth(k int) int {
	if d.kernels.PanelZeros {
		return k/4 + 1
	}
	return k / 4
}

// narrowProduct is MatMulNarrow as a task, whose pieces are tiles of rows by all columns.
type narrowProduct struct {
	d      *cpu
	dst, a View
	w      *Packed
	e      NarrowEpilogue
	rows   int
	pieces int
}

func (d *cpu) MatMulNarrow(dst, a View, w *Packed, e NarrowEpilogue) {
	if a.Groups*a.Rows == 0 || w.N == 0 {
		return
	}
	p := narrowProduct{d: d, dst: dst, a: a, w: w, e: e}
	if w.winograd != nil {
		d.matMulWords(p)
		return
	}
	merge(&p.a, &p.dst, &p.e.Skip, &p.e.Bytes)
	p.rows = p.a.Count()
	p.pieces = CeilDiv(p.rows, d.kernels.ByteRows)
	if d.threads == 1 { // without copies of p, which take as long as a row or two
		p.compute(0, p.pieces)
		return
	}
	parallelFor(d, p.pieces, 2*p.rows*a.Cols*w.N/flopsPerValue, p)
}

func (p narrowProduct) run(first, last int) { p.compute(first, last) }

func (p *narrowProduct) compute(first, last int) {
	t := p.d.tiles.get()
	for i := first; i < last; i++ {
		p.tile(t, i*p.rows/p.pieces, (i+1)*p.rows/p.pieces)
	}
	p.d.tiles.Put(t)
}

// tile computes rows first up to last of the result. Where panels hold w + zero, sums begin with −zero·Σ a.
func (p *narrowProduct) tile(t *tile, first, last int) {
	k := p.d.kernels
	count := last - first
	group, row := t.begin(&p.a, first, count)
	depth, panels, width := p.w.K/4, p.d.panelDepth(p.w.K), k.ByteWidth
	all := padded(p.w.N, width)
	a, b := p.a.Data.host[:p.a.Extent()], p.w.Data.host[:panels*all]
	multiply := k.ByteTile
	if p.w.zero == 1 {
		multiply = k.TernaryTile
	}
	if !k.SignedBytes {
		k.ByteSums(&t.zeros, a, &t.starts, depth, count)
		for i := range t.zeros {
			t.zeros[i] *= -int32(p.w.zero)
		}
	}
	t.sums = grown(t.sums, simd.MaxTileRows*productCols)
	for c := 0; c < p.w.N; c += productCols {
		stride := min(productCols, all-c)
		for panel := 0; panel < stride; panel += 2 * width {
			cols := min(2*width, stride-panel)
			multiply(t.sums[panel:], stride, a, &t.starts, &t.zeros, b[(c+panel)*panels:], depth, count, cols/width)
		}
		cols := min(productCols, p.w.N-c)
		for done, g, r := 0, group, row; done < count; g, r = g+1, 0 {
			rows := min(p.a.Rows-r, count-done)
			p.finish(t.sums[done*stride:], stride, g, r, c, rows, cols)
			done += rows
		}
	}
}

// finish applies the epilogue to count rows of sums, which it may overwrite, from row r of group g and column c on.
func (p *narrowProduct) finish(sums []float32, stride, g, r, c, count, cols int) {
	k, e := p.d.kernels, &p.e
	y, yStride := sums, stride
	if p.dst.Data.n != 0 {
		y, yStride = p.dst.from(g, r, c, count, cols), p.dst.RowStride
	}
	multiply, shift, floor := e.Multiply.host[c:c+cols], e.Shift.columns(c, cols), floorOf(e.ReLU)
	if e.Skip.Data.n == 0 {
		k.Dequantise(y, sums, multiply, shift, count, cols, yStride, stride, floor)
	} else {
		skip, skipStride := e.Skip.from(g, r, c, count, cols), e.Skip.RowStride
		if e.Scale.n == 0 {
			k.DequantiseSum(y, sums, skip, multiply, shift, count, cols, yStride, stride, skipStride, floor)
		} else {
			k.DequantiseHadamardSum(y, sums, skip, multiply, shift, e.Scale.columns(c, cols), e.Offset.columns(c, cols),
				count, cols, yStride, stride, skipStride, floor)
		}
	}
	if e.Bytes.Data.n != 0 {
		bytes := e.Bytes.from(g, r, c/4, count, CeilDiv(cols, 4))
		k.Quantise(bytes, y, count, cols, e.Bytes.RowStride, yStride, 1/e.BytesScale)
	}
}

// quantiser is Quantise as a task, whose pieces are blocks of rows.
type quantiser struct {
	d                 *cpu
	dst, x            View
	inverse           float32
	blockRows, blocks int // rows in a block, blocks in a group
}

func (d *cpu) Quantise(dst, x View, scale float32) {
	onHost(dst, x)
	if x.Count() == 0 || x.Cols == 0 {
		return
	}
	merge(&dst, &x)
	q := quantiser{d: d, dst: dst, x: x, inverse: 1 / scale, blockRows: max(1, blockValues/x.Cols)}
	q.blocks = CeilDiv(x.Rows, q.blockRows)
	parallelFor(d, x.Groups*q.blocks, 2*x.Count()*x.Cols, q)
}

func (q quantiser) run(first, last int) {
	for i := first; i < last; i++ {
		g, r := i/q.blocks, i%q.blocks*q.blockRows
		rows := min(q.blockRows, q.x.Rows-r)
		q.d.kernels.Quantise(q.dst.from(g, r, 0, rows, q.dst.Cols), q.x.from(g, r, 0, rows, q.x.Cols),
			rows, q.x.Cols, q.dst.RowStride, q.x.RowStride, q.inverse)
	}
}
