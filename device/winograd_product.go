package device

import "github.com/polyphon/polyphon/device/internal/simd"

// Winograd products treat the step values from one window to the next as one row of step channels, whatever the
// convolution's stride: windows are one row apart and extend over taps rows. The taps are cut into runs of the
// algorithm's, the rows of outputs into tiles. Where there are as many outputs as taps, as in F(3,3), all runs share
// one transform of the input. The sum over runs and channels is one product a point, of overlapping rows.

// PackWindows transforms the taps of each run and packs the matrices, (runs·step, n) a point, one after the other.
func (d *cpu) PackWindows(dst *Packed, w Buffer, n int, a View) {
	f, k, step := d.chooseWinograd(a, n, productReading), a.Cols, a.RowStride
	if f == nil {
		d.Pack(dst, w, k, n)
		dst.Step = step
		return
	}
	row := step * n // values of a tap
	runs := CeilDiv(k, step*f.taps)
	depth := runs * step
	size := depth * d.padded(n)
	if dst.Data.Len() < f.points*size {
		dst.Data = d.Alloc(f.points * size)
	}
	*dst = Packed{K: k, N: n, Step: step, Data: dst.Data, winograd: f}
	out, in := values(dst.Data), values(w)
	points, tile := d.scratch(f.points*runs*row), d.tiles.get()
	if missing := runs*f.taps*row - len(in); missing > 0 {
		tile.edge = append(append(tile.edge[:0], in...), make([]float32, missing)...)
		in = tile.edge
	}
	f.intoPoints(tile, f.inner.Weight, f.outer.Weight, *points, in, runs, runs*f.outer.Taps, row, row, runs*row)
	for p := range f.points {
		packPanels(out[p*size:(p+1)*size], (*points)[p*runs*row:(p+1)*runs*row], depth, n, d.kernels.Width)
	}
	d.tiles.Put(tile)
	d.floats.Put(points)
}

const (
	tilesAtOnce  = simd.MaxTileRows // tiles of outputs that are computed at a time: one for each row of a matrix tile
	sumsAtOnce   = 1024             // sums of one tile, points by columns, that are computed before they are transformed
	minChunkCols = 32               // minimum number of columns in sumsAtOnce
	wordCols     = 128              // the same of integers, whose products take half as long
)

// winogradTiles computes tiles first up to last.
func (p *product) winogradTiles(t *tile, first, last int) {
	f, count := p.w.winograd, last-first
	size := p.transform(t, first, last)
	padded, depth := p.d.padded(p.w.N), p.runs*p.a.RowStride
	chunk := max(minChunkCols, sumsAtOnce/f.points/minChunkCols*minChunkCols)
	if f.words {
		chunk = max(wordCols, chunk)
	}
	t.sums = grown(t.sums, f.points*count*chunk)
	t.outputs = grown(t.outputs, f.outputs*count*chunk)
	blocks := CeilDiv(count, p.d.kernels.TileRows)
	for c := 0; c < p.w.N; c += chunk {
		stride := min(chunk, padded-c)
		for point := range f.points {
			a, b := t.input[point*size:][:size], p.w.Data.host[point*depth*padded:][c*depth:depth*padded]
			for i := range blocks {
				from, to := i*count/blocks, (i+1)*count/blocks
				starts := (*[simd.MaxTileRows]int)(t.rows[from:])
				p.multiply(t.sums[(point*count+from)*stride:], stride, a, starts, b, depth, to-from)
			}
		}
		f.fromPoints(t, f.inner.Output, f.outer.Output, t.outputs, t.sums, count, count*f.outer.Outputs, stride, stride)
		cols := min(chunk, p.w.N-c)
		p.eachGroup(first, last, func(g, tile, done, tiles int) {
			row := tile * f.outputs
			outputs, rows := t.outputs[done*f.outputs*stride:], min(tiles*f.outputs, p.a.Rows-row)
			if p.narrow != nil {
				p.narrow.finish(outputs, stride, g, row, c, rows, cols)
			} else {
				p.finish(outputs, stride, g, row, c, rows, cols)
			}
		})
	}
}

// eachGroup calls do for every group with tiles from first up to last: with the group, the first of these tiles in it,
// the number of tiles in groups before it, and the number in it.
func (p *product) eachGroup(first, last int, do func(g, tile, done, tiles int)) {
	for at := first; at < last; {
		g, tile := at/p.perGroup, at%p.perGroup
		tiles := min(p.perGroup-tile, last-at)
		do(g, tile, at-first, tiles)
		at += tiles
	}
}

// transform fills t.input and t.rows and returns the number of values of a point in t.input.
func (p *product) transform(t *tile, first, last int) int {
	f, step := p.w.winograd, p.a.RowStride
	further := p.runs - 1 // rows of transformed input that a tile reads after its first one
	advance := 1          // from one tile's first row to the next one's
	shared := f.sharesTransform() || p.runs == 1
	if !shared {
		advance = p.runs
	}
	rows := 0
	p.eachGroup(first, last, func(_, _, done, tiles int) {
		for i := range tiles {
			t.rows[done+i] = (rows + i*advance) * step
		}
		rows += (tiles-1)*advance + 1 + further
	})
	size := rows * step
	t.input = grown(t.input, f.points*size)
	p.eachGroup(first, last, func(g, tile, done, tiles int) {
		if shared {
			f.transformWindows(t, t.input[t.rows[done]:], p.a, g, tile*f.outputs, tiles+further, size)
			return
		}
		for i := range tiles {
			for run := range p.runs {
				row := (tile+i)*f.outputs + run*f.taps
				f.transformWindows(t, t.input[t.rows[done+i]+run*step:], p.a, g, row, 1, size)
			}
		}
	})
	return size
}

// transformWindows transforms n tiles of group g of windows a, from a row of input on. Values after the last are zeros.
func (w *winograd) transformWindows(t *tile, v []float32, a View, g, row, n, vPoint int) {
	step := a.RowStride
	from, length := row*step, (a.Rows-1)*step+a.Cols
	x := a.Data.host[g*a.GroupStride:][:length]
	advance := w.outputs * step
	reach := (w.outputs + w.taps - 1) * step
	whole := 0 // tiles inside x
	if last := length - reach - from; last >= 0 {
		whole = min(last/advance+1, n)
	}
	if whole > 0 {
		w.transformInput(t, v, x[from:], whole, step, vPoint)
	}
	if whole < n {
		t.edge = grown(t.edge, (n-whole-1)*advance+reach)
		clear(t.edge[copy(t.edge, x[min(from+whole*advance, length):]):])
		w.transformInput(t, v[whole*step:], t.edge, n-whole, step, vPoint)
	}
}
