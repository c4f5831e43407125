package device

import "github.com/polyphon/polyphon/device/internal/simd"

// Filtered products treat what lies step values apart as one row with step channels, whatever the convolution's stride, so
// that all windows advance by one row and reach over taps rows. Rows of outputs are computed in tiles by a filter,
// F(m,r): its r taps are applied to each run of r of the convolution's, and since F(3,3)'s tiles advance by as many rows as
// it has taps, all runs share one transform of the input. The sum over runs and channels is one matrix product a point,
// whose rows overlap as those of a convolution do.

// ceilDiv returns a/b, rounded up.
func ceilDiv(a, b int) int { return (a + b - 1) / b }

// PackWindows transforms the taps of each run and packs the matrices, (runs·step, n) a point, one after the other.
func (d *cpu) PackWindows(dst *Packed, w Buffer, n int, a View) {
	f, k, step := d.chooseFilter(a, n, productReading), a.Cols, a.RowStride
	if f == nil {
		d.Pack(dst, w, k, n)
		dst.Step = step
		return
	}
	dst.K, dst.N, dst.Step, dst.filter = k, n, step, f
	row := step * n // values of a tap
	runs := ceilDiv(k, step*f.taps)
	depth := runs * step
	size := depth * d.padded(n)
	if dst.Data.Len() < f.points*size {
		dst.Data = d.Alloc(f.points * size)
	}
	out, in := values(dst.Data), values(w)
	points := d.memory(f.points * runs * row)
	tile := d.filterTile()
	if missing := runs*f.taps*row - len(in); missing > 0 {
		tile.edge = append(append(tile.edge[:0], in...), make([]float32, missing)...)
		in = tile.edge
	}
	f.transformWeight(tile, *points, in, runs, row)
	for p := range f.points {
		d.packPanels(out[p*size:(p+1)*size], (*points)[p*runs*row:(p+1)*runs*row], depth, n)
	}
	d.filters.Put(tile)
	d.release(points)
}

const (
	// filterTiles is how many tiles of outputs are computed at a time: enough for every row of a matrix tile.
	filterTiles = simd.MaxTileRows
	// filterValues is how many values of one tile wait for their transform at a time: points by columns.
	filterValues = 1024
	// leastFilterCols is how many columns these are at least.
	leastFilterCols = 32
)

// filterTile is the scratch of one thread in a filtered product.
type filterTile struct {
	rows    [filterTiles]int // of the transformed input, where each tile's windows begin
	starts  [simd.MaxTileRows]int
	input   []float32 // the transformed input, a matrix a point
	edge    []float32 // input rows, zeros behind the last
	sums    []float32
	outputs []float32
	between []float32 // the transforms', between their levels
}

// filtered is a filtered MatMul as a task. Its pieces are filterTiles tiles or fewer, counted through all groups, by all
// columns.
type filtered struct {
	output
	d      *cpu
	f      *filter
	a      View
	w      *Packed
	runs   int
	group  int // tiles in a group
	tiles  int // in all groups
	pieces int
}

func (d *cpu) filter(dst, a View, w *Packed, e Epilogue) {
	f := w.filter
	t := filtered{output: output{d.kernels, dst, e}, d: d, f: f, a: a, w: w}
	t.runs = ceilDiv(w.K, w.Step*f.taps)
	t.group = ceilDiv(a.Rows, f.outputs)
	t.tiles = t.group * a.Groups
	t.pieces = ceilDiv(t.tiles, filterTiles)
	spread(d, t.pieces, 2*t.tiles*f.points*t.runs*w.Step*w.N/flopsPerValue, t)
}

// filterTile returns scratch from the pool, to be put back into d.filters.
func (d *cpu) filterTile() *filterTile {
	if t, _ := d.filters.Get().(*filterTile); t != nil {
		return t
	}
	return new(filterTile)
}

func (p filtered) run(first, last int) {
	tile := p.d.filterTile()
	for i := first; i < last; i++ {
		p.piece(tile, i*p.tiles/p.pieces, (i+1)*p.tiles/p.pieces)
	}
	p.d.filters.Put(tile)
}

// piece computes tiles first up to last.
func (p *filtered) piece(t *filterTile, first, last int) {
	f, count := p.f, last-first
	size := p.transform(t, first, last)
	padded, depth := p.d.padded(p.w.N), p.runs*p.w.Step
	chunk := max(leastFilterCols, filterValues/f.points/leastFilterCols*leastFilterCols)
	t.sums = grown(t.sums, f.points*count*chunk)
	t.outputs = grown(t.outputs, f.outputs*count*chunk)
	for c := 0; c < p.w.N; c += chunk {
		stride := min(chunk, padded-c)
		for point := range f.points {
			b := p.w.Data.host[point*depth*padded:][:depth*padded]
			p.multiply(t, t.sums[point*count*stride:], stride, t.input[point*size:][:size], b[c*depth:], depth, count)
		}
		f.transformOutput(t, count, stride)
		cols := min(chunk, p.w.N-c)
		p.eachGroup(first, last, func(g, tile, done, tiles int) {
			row := tile * f.outputs
			p.finish(t.outputs[done*f.outputs*stride:], stride, g, row, c, min(tiles*f.outputs, p.dst.Rows-row), cols)
		})
	}
}

// multiply computes the sums of one point, count rows of stride columns.
func (p *filtered) multiply(t *filterTile, sums []float32, stride int, a, b []float32, depth, count int) {
	k := p.k
	blocks := ceilDiv(count, k.TileRows)
	for i := range blocks {
		first, last := i*count/blocks, (i+1)*count/blocks
		copy(t.starts[:], t.rows[first:last])
		for panel := 0; panel < stride; panel += 2 * k.Width {
			cols := min(2*k.Width, stride-panel)
			k.MatMulTile(sums[first*stride+panel:], stride, a, &t.starts, b[panel*depth:], depth, last-first, cols/k.Width)
		}
	}
}

// eachGroup calls do for every group that tiles first up to last lie in, with the group, the first of its tiles, how many
// of the tiles are done and how many are the group's.
func (p *filtered) eachGroup(first, last int, do func(g, tile, done, tiles int)) {
	for at := first; at < last; {
		g, tile := at/p.group, at%p.group
		tiles := min(p.group-tile, last-at)
		do(g, tile, at-first, tiles)
		at += tiles
	}
}

// transform fills t.input and t.rows and returns how many values of t.input a point has.
func (p *filtered) transform(t *filterTile, first, last int) int {
	f, step := p.f, p.w.Step
	ahead := p.runs - 1 // rows of transformed input behind its first one that a tile reads
	between := 1        // from one tile's first one to the next one's
	if !f.shares() {
		between = p.runs
	}
	rows := 0
	p.eachGroup(first, last, func(_, _, done, tiles int) {
		for i := range tiles {
			t.rows[done+i] = (rows + i*between) * step
		}
		rows += (tiles-1)*between + 1 + ahead
	})
	size := rows * step
	t.input = grown(t.input, f.points*size)
	p.eachGroup(first, last, func(g, tile, done, tiles int) {
		if f.shares() {
			f.transformWindows(t, t.input[t.rows[done]:], p.a, g, tile*f.outputs, tiles+ahead, size)
			return
		}
		for i := range tiles {
			for run := range p.runs {
				f.transformWindows(t, t.input[t.rows[done+i]+run*step:], p.a, g, (tile+i)*f.outputs+run*f.taps, 1, size)
			}
		}
	})
	return size
}

// transformWindows transforms n tiles of rows of input, from the given one on, of windows a in group g. Behind the group's last
// window there is nothing, or what is none of its business: zeros stand for it.
func (f *filter) transformWindows(t *filterTile, v []float32, a View, g, row, n, vPoint int) {
	step := a.RowStride
	from, length := row*step, (a.Rows-1)*step+a.Cols
	x := a.Data.host[g*a.GroupStride:][:length]
	advance := f.outputs * step
	reach := (f.outputs + f.taps - 1) * step
	whole := 0 // tiles that lie in x
	if last := length - reach - from; last >= 0 {
		whole = min(last/advance+1, n)
	}
	if whole > 0 {
		f.transformInput(t, v, x[from:], whole, step, vPoint)
	}
	if whole < n {
		t.edge = grown(t.edge, (n-whole-1)*advance+reach)
		clear(t.edge[copy(t.edge, x[min(from+whole*advance, length):]):])
		f.transformInput(t, v[whole*step:], t.edge, n-whole, step, vPoint)
	}
}

// grown returns s with length n, its values undefined.
func grown(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
