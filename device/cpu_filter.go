package device

import "github.com/polyphon/polyphon/device/internal/simd"

// Filtered products treat what lies step values apart as one row with step channels, whatever the convolution's stride, so
// that all windows advance by one row and reach over taps rows. Rows of outputs are computed in tiles by F(m,r)
// (see simd.Filter): the r taps of F are applied to each run of r of the convolution's, and since F(3,3)'s
// tiles advance by as many rows as it has taps, all runs share one transform of the input. The sum over runs and channels
// is one matrix product a point, whose rows overlap as those of a convolution do.

// leastFilterChannels is how few channels, in or out, make the transforms cost more than the multiplications saved.
const leastFilterChannels = 8

// filterFor returns the algorithm for windows that PackWindows prepared, nil where multiplying is as good.
func (d *cpu) filterFor(w *Packed) *simd.Filter {
	if w.Step < leastFilterChannels || w.N < leastFilterChannels {
		return nil
	}
	switch taps := ceilDiv(w.K, w.Step); {
	case taps < 3:
		return nil
	case taps == 4 || taps == 5:
		return &d.kernels.Filter45
	default:
		return &d.kernels.Filter33
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// PackWindows transforms the taps of each run and packs the matrices, (runs·step, n) a point, one after the other.
func (d *cpu) PackWindows(dst *Packed, w Buffer, k, n, step int) {
	dst.K, dst.N, dst.Step = k, n, step
	f := d.filterFor(dst)
	if f == nil {
		d.Pack(dst, w, k, n)
		dst.Step = step
		return
	}
	row := step * n // values of a tap
	runs := ceilDiv(k, step*f.Taps)
	depth := runs * step
	size := depth * d.padded(n)
	if dst.Data.Len() != f.Points*size {
		dst.Data = d.Alloc(f.Points * size)
	}
	out, in := values(dst.Data), values(w)
	taps := d.scratch(runs * f.Taps * row) // zeros behind the last
	copy(*taps, in)
	points := d.scratch(f.Points * runs * row)
	f.Weight(*points, *taps, runs, row, row, runs*row)
	for p := range f.Points {
		d.packPanels(out[p*size:(p+1)*size], (*points)[p*runs*row:(p+1)*runs*row], depth, n)
	}
	d.release(taps)
	d.release(points)
}

const (
	// filterTiles is how many tiles of outputs are computed at a time: enough for every row of a matrix tile.
	filterTiles = simd.MaxTileRows
	// filterCols is how many columns of a filtered product wait for their transform at a time.
	filterCols = 128

	maxPoints  = 8 // of any Filter
	maxOutputs = 4
)

// filterTile is the scratch of one thread in a filtered product.
type filterTile struct {
	rows    [filterTiles]int // of the transformed input, where each tile's windows begin
	starts  [simd.MaxTileRows]int
	input   []float32 // the transformed input, a matrix a point
	edge    []float32 // input rows, zeros behind the last
	sums    [maxPoints * filterTiles * filterCols]float32
	outputs [maxOutputs * filterTiles * filterCols]float32
}

// filtered is a filtered MatMul as a task. Its pieces are filterTiles tiles or fewer, counted through all groups, by all
// columns.
type filtered struct {
	output
	d      *cpu
	f      *simd.Filter
	a      View
	w      *Packed
	runs   int
	group  int // tiles in a group
	tiles  int // in all groups
	pieces int
}

func (d *cpu) filter(f *simd.Filter, dst, a View, w *Packed, e Epilogue) {
	t := filtered{output: output{d.kernels, dst, e}, d: d, f: f, a: a, w: w}
	t.runs = ceilDiv(w.K, w.Step*f.Taps)
	t.group = ceilDiv(a.Rows, f.Outputs)
	t.tiles = t.group * a.Groups
	t.pieces = ceilDiv(t.tiles, filterTiles)
	spread(d, t.pieces, 2*t.tiles*f.Points*t.runs*w.Step*w.N/flopsPerValue, t)
}

func (p filtered) run(first, last int) {
	tile, _ := p.d.filters.Get().(*filterTile)
	if tile == nil {
		tile = new(filterTile)
	}
	for i := first; i < last; i++ {
		p.piece(tile, i*p.tiles/p.pieces, (i+1)*p.tiles/p.pieces)
	}
	p.d.filters.Put(tile)
}

// piece computes tiles first up to last.
func (p *filtered) piece(t *filterTile, first, last int) {
	f, count := p.f, last-first
	points := p.transform(t, first, last)
	padded, depth := p.d.padded(p.w.N), p.runs*p.w.Step
	for c := 0; c < p.w.N; c += filterCols {
		stride := min(filterCols, padded-c)
		for point := range f.Points {
			a := t.input[point*points:][:points]
			b := p.w.Data.host[point*depth*padded:][:depth*padded]
			p.multiply(t, t.sums[point*count*stride:], stride, a, b[c*depth:], depth, count)
		}
		f.Output(t.outputs[:], t.sums[:], count, stride, stride, stride, count*stride)
		cols := min(filterCols, p.w.N-c)
		p.eachGroup(first, last, func(g, tile, done, tiles int) {
			row := tile * f.Outputs
			p.finish(t.outputs[done*f.Outputs*stride:], stride, g, row, c, min(tiles*f.Outputs, p.dst.Rows-row), cols)
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
	rows := 0 // of transformed input
	p.eachGroup(first, last, func(_, _, done, tiles int) {
		for i := range tiles {
			t.rows[done+i] = (rows + i) * step
		}
		rows += tiles + p.runs - 1
	})
	size := rows * step
	t.input = grown(t.input, f.Points*size)
	p.eachGroup(first, last, func(g, tile, done, tiles int) {
		p.transformGroup(t, t.input[t.rows[done]:], size, g, tile, tiles+p.runs-1)
	})
	return size
}

// transformGroup transforms the rows of input that n tiles of group g, from tile on, depend on. Behind the group's last
// window there is nothing, or what is none of its business: zeros stand for it.
func (p *filtered) transformGroup(t *filterTile, v []float32, point, g, tile, n int) {
	f, step := p.f, p.w.Step
	length := (p.a.Rows-1)*step + p.w.K
	x := p.a.Data.host[g*p.a.GroupStride:][:length]
	advance := f.Outputs * step
	whole := 0 // tiles that lie in x
	if last := length - f.Points*step; last >= 0 {
		whole = min(max(last/advance+1-tile, 0), n)
	}
	if whole > 0 {
		f.Input(v, x[tile*advance:], whole, step, step, point)
	}
	if whole < n {
		t.edge = grown(t.edge, (n-whole-1)*advance+f.Points*step)
		from := min((tile+whole)*advance, length)
		clear(t.edge[copy(t.edge, x[from:]):])
		f.Input(v[whole*step:], t.edge, n-whole, step, step, point)
	}
}

// grown returns s with length n, its values undefined.
func grown(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
