package device

// The weight gradient of a filtered product is a sum of outer products for each point, of the transformed input with
// the transformed gradient of the output; the sums are transformed back into the taps' gradients at the end. It takes as
// many multiplications as the product itself.

// gradValues is how many transformed values a block has, if a single group does not have more. Each thread's share of a
// block a thread should stay in L2 until it has been multiplied.
const gradValues = 1 << 19

// filteredOuter is the state of a filtered MatMulTransA.
type filteredOuter struct {
	d             *cpu
	f             *filter
	a, dy         View
	runs, tiles   int // tiles in a group
	block         int // groups whose products are added up before they are added to the sums
	inputs, grads []float32
	sums          []float32
}

func (d *cpu) addOuterFiltered(f *filter, dw []float32, a, dy View) {
	o := filteredOuter{d: d, f: f, a: a, dy: dy, runs: ceilDiv(a.Cols, a.RowStride*f.taps), tiles: ceilDiv(a.Rows, f.outputs)}
	sums := d.scratch(f.points * o.runs * a.RowStride * dy.Cols)
	o.sums = *sums
	input, grad := (o.tiles+o.runs-1)*a.RowStride, o.tiles*dy.Cols // values of a group and point
	o.block = max(1, gradValues/(f.points*(input+grad)))
	together := min(a.Groups, o.block*d.threads)
	inputs, grads := d.memory(together*f.points*input), d.memory(together*f.points*grad)
	o.inputs, o.grads = *inputs, *grads
	for g := 0; g < a.Groups; g += together {
		o.add(g, min(together, a.Groups-g))
	}
	d.release(inputs)
	d.release(grads)
	row := a.RowStride * dy.Cols
	spread(d, ceilDiv(row, weightGradCols), len(o.sums), weightGradient{&o, dw, row})
	d.release(sums)
}

// add takes in the groups from group on.
func (o *filteredOuter) add(group, groups int) {
	points, step, n := o.f.points, o.a.RowStride, o.dy.Cols
	rows := o.tiles + o.runs - 1
	spread(o.d, groups, groups*points*(rows*step+o.tiles*n), gradTransform{o, group, groups})
	product := pointOuters{make([]outer, 0, points*ceilDiv(groups, o.block)), points}
	for first := 0; first < groups; first += o.block {
		block := min(o.block, groups-first)
		for p := range points {
			a := View{
				Data:   HostBuffer(o.inputs[(p*groups+first)*rows*step:][:block*rows*step]),
				Groups: block, Rows: o.tiles, Cols: o.runs * step, GroupStride: rows * step, RowStride: step,
			}
			dy := View{
				Data:   HostBuffer(o.grads[(p*groups+first)*o.tiles*n:][:block*o.tiles*n]),
				Groups: block, Rows: o.tiles, Cols: n, GroupStride: o.tiles * n, RowStride: n,
			}
			if o.runs == 1 {
				merge(&a, &dy)
			}
			product.outers = append(product.outers, newOuter(o.d.kernels, o.sums[p*a.Cols*n:(p+1)*a.Cols*n], a, dy))
		}
	}
	one := product.outers[0]
	spread(o.d, points*one.pieces(), len(product.outers)*one.work(), product)
}

// gradTransform transforms the windows and the output's gradients as a task whose pieces are groups.
type gradTransform struct {
	*filteredOuter
	group, groups int
}

func (t gradTransform) run(first, last int) {
	tile := t.d.filterTile()
	step, n := t.a.RowStride, t.dy.Cols
	rows := t.tiles + t.runs - 1
	for g := first; g < last; g++ {
		t.f.transformWindows(tile, t.inputs[g*rows*step:], t.a, t.group+g, 0, rows, t.groups*rows*step)
		t.transformGrad(tile, t.grads[g*t.tiles*n:], t.group+g, t.groups*t.tiles*n)
	}
	t.d.filters.Put(tile)
}

// transformGrad transforms the rows of dy in group g. Outputs of the last tile that do not exist have gradient 0.
func (o *filteredOuter) transformGrad(t *filterTile, v []float32, g, vPoint int) {
	outputs, n := o.f.outputs, o.dy.Cols
	dy := o.dy.Data.host[g*o.dy.GroupStride:]
	whole := o.dy.Rows / outputs
	if whole > 0 {
		o.f.transformOutputGrad(t, v, dy, whole, n, o.dy.RowStride, vPoint)
	}
	if whole == o.tiles {
		return
	}
	t.edge = grown(t.edge, outputs*n)
	clear(t.edge)
	for r := whole * outputs; r < o.dy.Rows; r++ {
		copy(t.edge[(r-whole*outputs)*n:][:n], dy[r*o.dy.RowStride:])
	}
	o.f.transformOutputGrad(t, v[whole*n:], t.edge, 1, n, n, vPoint)
}

// pointOuters is the outer products of all points in each block as one task, whose pieces are those of each point.
type pointOuters struct {
	outers []outer // block after block
	points int
}

func (p pointOuters) run(first, last int) {
	pieces := p.outers[0].pieces()
	for first < last {
		point, piece := first/pieces, first%pieces
		count := min(pieces-piece, last-first)
		for i := point; i < len(p.outers); i += p.points {
			p.outers[i].run(piece, piece+count)
		}
		first += count
	}
}

// weightGradCols is how many columns of the sums are transformed at a time.
const weightGradCols = 512

// weightGradient adds the transformed sums to dw, as a task whose pieces are columns: a tap's row has step·n of them.
type weightGradient struct {
	*filteredOuter
	dw  []float32
	row int
}

func (w weightGradient) run(first, last int) {
	tile := w.d.filterTile()
	taps := w.runs * w.f.taps
	for i := first; i < last; i++ {
		from := i * weightGradCols
		cols := min(weightGradCols, w.row-from)
		tile.outputs = grown(tile.outputs, taps*cols)
		w.f.transformWeightGrad(tile, tile.outputs, w.sums[from:], w.runs, cols, w.row)
		for tap := range taps {
			begin := tap*w.row + from
			if count := min(cols, len(w.dw)-begin); count > 0 {
				dst := w.dw[begin : begin+count]
				w.d.kernels.Affine2(dst, dst, tile.outputs[tap*cols:], nil, nil, nil, 1, count, count, count, cols, negInf)
			}
		}
	}
	w.d.filters.Put(tile)
}
