package device

import "github.com/polyphon/polyphon/device/internal/simd"

// Pack stores panels of 2·Width columns, the last one of Width if that holds the rest, row by row and padded with 0.
func (d *cpu) Pack(dst *Packed, w Buffer, k, n int) {
	size := k * d.padded(n)
	if dst.Data.Len() < size {
		dst.Data = d.Alloc(size)
	}
	*dst = Packed{K: k, N: n, Data: dst.Data}
	packPanels(values(dst.Data), values(w), k, n, d.kernels.Width)
}

// padded returns n columns rounded up to whole vectors of floats, or of any width.
func (d *cpu) padded(n int) int { return padded(n, d.kernels.Width) }
func padded(n, width int) int   { return CeilDiv(n, width) * width }

// packPanels packs the (k, n) matrix in for vectors of so many columns.
func packPanels(out, in []float32, k, n, width int) {
	all := padded(n, width)
	for first := 0; first < n; first += 2 * width {
		panel := min(2*width, all-first)
		cols := min(panel, n-first)
		for r := range k {
			to := out[first*k+r*panel:][:panel]
			clear(to[copy(to, in[r*n+first:][:cols]):])
		}
	}
}

// productCols is how many columns of a product are computed before the epilogue.
const productCols = 256

// tile is the scratch of one thread in a product. The fields after starts and sums are those of Winograd's algorithms.
type tile struct {
	starts [simd.MaxTileRows]int
	sums   []float32
	// Of the transformed input, where each tile's windows begin, and room for as many to be taken from any one on.
	rows    [tilesAtOnce + simd.MaxTileRows]int
	input   []float32 // the transformed input, a matrix a point
	edge    []float32 // a copy of rows with zeros after them
	outputs []float32
	between []float32 // between the levels of a transform
}

// product is MatMul as a task. Its pieces are tiles of rows, or some of Winograd's tiles, counted through all
// groups, by all columns. All have the same number of these, or one less.
type product struct {
	d              *cpu
	dst, a         View
	w              *Packed
	e              Epilogue
	rows           int // or Winograd's tiles, in all groups
	pieces         int
	runs, perGroup int            // Winograd's runs of taps, and tiles in a group
	narrow         *narrowProduct // of integers, whose epilogue it is; nil: of floats
}

func (d *cpu) MatMul(dst, a View, w *Packed, e Epilogue) {
	onHost(dst, a, e.Skip)
	if dst.Count() == 0 || w.N == 0 {
		return
	}
	p := product{d: d, dst: dst, a: a, w: w, e: e}
	depth := w.K // multiplications for a row and column
	if f := w.winograd; f != nil {
		p.runs, p.perGroup = CeilDiv(w.K, w.Step*f.taps), CeilDiv(a.Rows, f.outputs)
		p.rows = p.perGroup * a.Groups
		p.pieces = CeilDiv(p.rows, tilesAtOnce)
		depth = f.points * p.runs * w.Step
	} else {
		merge(&p.dst, &p.a, &p.e.Skip)
		p.rows = dst.Count()
		p.pieces = CeilDiv(p.rows, d.kernels.TileRows)
	}
	parallelFor(d, p.pieces, 2*p.rows*depth*w.N/flopsPerValue, p)
}

func (p product) run(first, last int) {
	t := p.d.tiles.get()
	for i := first; i < last; i++ {
		from, to := i*p.rows/p.pieces, (i+1)*p.rows/p.pieces
		if p.w.winograd != nil {
			p.winogradTiles(t, from, to)
		} else {
			p.tile(t, from, to)
		}
	}
	p.d.tiles.Put(t)
}

// begin sets starts for count rows of a, counted through all groups, from the first one on, whose group and row it
// returns.
func (t *tile) begin(a *View, first, count int) (group, row int) {
	group, row = first/a.Rows, first%a.Rows
	for i, g, r := 0, group, row; i < count; i++ {
		t.starts[i] = g*a.GroupStride + r*a.RowStride
		if r++; r == a.Rows {
			g, r = g+1, 0
		}
	}
	return group, row
}

// tile computes rows first up to last of the result.
func (p *product) tile(t *tile, first, last int) {
	group, row := t.begin(&p.a, first, last-first)
	padded := p.d.padded(p.w.N)
	a, b := p.a.Data.host[:p.a.Extent()], p.w.Data.host[:p.w.K*padded]
	t.sums = grown(t.sums, simd.MaxTileRows*productCols)
	for c := 0; c < p.w.N; c += productCols {
		stride := min(productCols, padded-c)
		p.multiply(t.sums, stride, a, &t.starts, b[c*p.w.K:], p.w.K, last-first)
		cols := min(productCols, p.w.N-c)
		for done, g, r := 0, group, row; done < last-first; g, r = g+1, 0 {
			count := min(p.a.Rows-r, last-first-done)
			p.finish(t.sums[done*stride:], stride, g, r, c, count, cols)
			done += count
		}
	}
}

// multiply computes up to TileRows rows of stride sums from the rows of a at starts and the panels b.
func (p *product) multiply(sums []float32, stride int, a []float32, starts *[simd.MaxTileRows]int, b []float32,
	depth, rows int) {
	k := p.d.kernels
	if p.narrow != nil {
		k.Words.Tile(sums, stride, a, starts, b, depth, rows, stride/k.Width)
		return
	}
	for panel := 0; panel < stride; panel += 2 * k.Width {
		cols := min(2*k.Width, stride-panel)
		k.MatMulTile(sums[panel:], stride, a, starts, b[panel*depth:], depth, rows, cols/k.Width)
	}
}

// finish applies the epilogue to count rows of sums and writes them from row r of group g and column c on.
func (p *product) finish(sums []float32, stride, g, r, c, count, cols int) {
	k, floor := p.d.kernels, floorOf(p.e.ReLU)
	dst, dstStride := p.dst.from(g, r, c, count, cols), p.dst.RowStride
	shift := optional(p.e.Shift, c, c+cols)
	other := p.e.Skip
	switch {
	case p.e.Accumulate && other.Empty():
		other = p.dst
	case p.e.Accumulate:
		k.Affine2(sums, sums, dst, nil, nil, nil, count, cols, stride, stride, dstStride, negInf)
	case other.Empty():
		k.Affine(dst, sums, nil, shift, count, cols, dstStride, stride, floor)
		return
	}
	skip, skipStride := other.from(g, r, c, count, cols), other.RowStride
	if p.e.Scale.Empty() {
		k.Affine2(dst, sums, skip, nil, nil, shift, count, cols, dstStride, stride, skipStride, floor)
		return
	}
	k.HadamardSum(dst, sums, skip, shift, optional(p.e.Scale, c, c+cols), optional(p.e.Offset, c, c+cols),
		count, cols, dstStride, stride, skipStride, floor)
}

func (d *cpu) MatMulTransA(dw Buffer, a, dy View) {
	sums := values(dw)
	onHost(a, dy)
	if dy.Count() == 0 || a.Cols == 0 || dy.Cols == 0 {
		return
	}
	if f := d.chooseWinograd(a, dy.Cols, gradReading); f != nil {
		d.winogradMatMulTransA(f, sums, a, dy)
		return
	}
	merge(&a, &dy)
	t := newOuter(d.kernels, sums, a, dy)
	parallelFor(d, t.pieces(), t.work(), t)
}

// outerBlock is how many values of a and dy are read for all tiles before the next ones: half of a small L2 cache.
const outerBlock = 1 << 16

// outer is MatMulTransA as a task. Its pieces are tiles of dw, each summed over all rows: threads share no sums.
type outer struct {
	k                      *simd.Kernels
	dw                     []float32
	a, dy                  View
	tiles, panels          int
	blockRows, blockGroups int
}

func newOuter(k *simd.Kernels, dw []float32, a, dy View) outer {
	rowSize := min(a.RowStride, a.Cols) + dy.Cols
	return outer{
		k: k, dw: dw, a: a, dy: dy,
		tiles:       CeilDiv(a.Cols, k.TileRows),
		panels:      CeilDiv(dy.Cols, 2*k.Width),
		blockRows:   max(1, min(dy.Rows, outerBlock/rowSize)),
		blockGroups: max(1, outerBlock/(rowSize*dy.Rows)),
	}
}

func (o outer) pieces() int { return o.tiles * o.panels }
func (o outer) work() int   { return 2 * o.dy.Count() * o.a.Cols * o.dy.Cols / flopsPerValue }

func (o outer) run(first, last int) {
	for g := 0; g < o.dy.Groups; g += o.blockGroups {
		groups := min(o.blockGroups, o.dy.Groups-g)
		for r := 0; r < o.dy.Rows; r += o.blockRows {
			rows := min(o.blockRows, o.dy.Rows-r)
			for i := first; i < last; i++ {
				o.tile(i/o.panels, i%o.panels, g, groups, r, rows)
			}
		}
	}
}

// tile adds the products of a block of rows to one tile of dw.
func (o *outer) tile(tile, panel, g, groups, r, rows int) {
	n, width := o.dy.Cols, 2*o.k.Width
	first, last := tile*o.a.Cols/o.tiles, (tile+1)*o.a.Cols/o.tiles
	col := panel * width
	cols := min(width, n-col)
	a := o.a.Data.host[g*o.a.GroupStride+r*o.a.RowStride+first:]
	dy := o.dy.Data.host[g*o.dy.GroupStride+r*o.dy.RowStride+col:]
	// The last values that the kernel reads: it checks no bounds.
	_ = a[(groups-1)*o.a.GroupStride+(rows-1)*o.a.RowStride+last-first-1]
	_ = dy[(groups-1)*o.dy.GroupStride+(rows-1)*o.dy.RowStride+cols-1]
	o.k.OuterTile(o.dw[first*n+col:(last-1)*n+col+cols], n, a, o.a.RowStride, o.a.GroupStride,
		dy, o.dy.RowStride, o.dy.GroupStride, groups, rows, last-first, cols)
}
