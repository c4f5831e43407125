package device

import "github.com/polyphon/polyphon/device/internal/simd"

// PackNarrow stores panels as Pack does, of words of four weights, as simd.BytePanels says.
func (d *cpu) PackNarrow(dst *Packed, w []int8, n int, ternary bool, a View) {
	if f := d.chooseWords(a, n, ternary); f != nil {
		d.packWords(f, dst, w, n, a)
		dst.bytes, dst.ternary = true, ternary
		return
	}
	*dst = Packed{K: 4 * a.Cols, N: n, Step: a.RowStride, Data: dst.Data, bytes: true, ternary: ternary}
	p := d.bytePanels(dst)
	width, deep := d.kernels.ByteWidth, 4 // columns of a panel's vector, and rows that a word takes of each of its columns
	if p.Pairs {
		deep = 2
	}
	side := 4 / deep // columns of a word
	words := CeilDiv(n, side)
	first := panelDepth(p, dst.K) - dst.K/4 // of the rows of bytes
	depth := first + dst.K/deep
	size := panelDepth(p, dst.K) * padded(n, width)
	if dst.Data.Len() < size {
		dst.Data = d.Alloc(size)
	}
	matrix := d.scratch(depth * words)
	clear(*matrix)
	if p.Zeros {
		for i, v := range w {
			simd.Integers(*matrix)[i%n] -= 128 * int32(v)
		}
	}
	to := simd.Bytes((*matrix)[first*words:])
	for r := range dst.K {
		for c, v := range w[r*n:][:n] {
			to[4*(r/deep*words+c/side)+c%side*deep+r%deep] = v
		}
	}
	packPanels(values(dst.Data), *matrix, depth, words, width/side)
	d.floats.Put(matrix)
}

// bytePanels returns how panels of w are stored that are no words of 16 bits.
func (d *cpu) bytePanels(w *Packed) simd.BytePanels {
	if w.ternary {
		return d.kernels.Ternary
	}
	return d.kernels.Bytes
}

// panelDepth returns the words that a column takes in panels of k rows.
func panelDepth(p simd.BytePanels, k int) int {
	if p.Zeros {
		return k/4 + 1
	}
	return k / 4
}

// convert makes of rows of bytes those that panels of a format are multiplied by, in t's memory if they are others.
func (t *tile) convert(k *simd.Kernels, format simd.BytePanels, a *View) {
	switch {
	case format.Pairs:
		t.input = grown(t.input, 2*a.Extent())
		widen(k, t.input, a)
	case format.Unsigned:
		t.input = grown(t.input, a.Extent())
		k.Flip(t.input, a.Data.host[:a.Extent()])
		a.Data = hostBuffer(t.input)
	}
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
	t := d.tiles.get()
	t.convert(d.kernels, d.bytePanels(w), &p.a)
	merge(&p.a, &p.dst, &p.e.Skip, &p.e.Bytes)
	p.rows = p.a.Count()
	p.pieces = CeilDiv(p.rows, d.kernels.ByteRows)
	if d.threads == 1 { // without copies of p, which take as long as a row or two
		p.compute(t, 0, p.pieces)
	} else {
		parallelFor(d, p.pieces, 2*p.rows*a.Cols*w.N/flopsPerValue, p)
	}
	d.tiles.Put(t)
}

func (p narrowProduct) run(first, last int) {
	t := p.d.tiles.get()
	p.compute(t, first, last)
	p.d.tiles.Put(t)
}

func (p *narrowProduct) compute(t *tile, first, last int) {
	for i := first; i < last; i++ {
		p.tile(t, i*p.rows/p.pieces, (i+1)*p.rows/p.pieces)
	}
}

// tile computes rows first up to last of the result.
func (p *narrowProduct) tile(t *tile, first, last int) {
	k, format := p.d.kernels, p.d.bytePanels(p.w)
	count := last - first
	group, row := t.begin(&p.a, first, count)
	depth, all := panelDepth(format, p.w.K), padded(p.w.N, k.ByteWidth)
	a, b := p.a.Data.host[:p.a.Extent()], p.w.Data.host[:depth*all]
	multiply := k.ByteTile
	if p.w.ternary {
		multiply = k.TernaryTile
	}
	t.sums = grown(t.sums, simd.MaxTileRows*productCols)
	for c := 0; c < p.w.N; c += productCols {
		stride := min(productCols, all-c)
		multiply(t.sums, stride, a, &t.starts, b[c*depth:], p.a.Cols, count, stride/k.ByteWidth)
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
