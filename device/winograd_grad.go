package device

// The weight gradient of a Winograd product is, for each point, a sum of outer products of the transformed input and
// output gradient, from which the taps' gradients are computed at the end: as many multiplications as the product.

// gradValues is the number of transformed values in a block, at least one group: a thread's share should stay in L2.
const gradValues = 1 << 19

// winogradGrad is the state of a MatMulTransA.
type winogradGrad struct {
	d             *cpu
	f             *winograd
	a, dy         View
	runs, tiles   int // tiles in a group
	block         int // groups whose products are added up before they are added to the sums
	inputs, grads []float32
	sums          []float32
}

func (d *cpu) winogradMatMulTransA(f *winograd, dw []float32, a, dy View) {
	o := winogradGrad{
		d: d, f: f, a: a, dy: dy, runs: CeilDiv(a.Cols, a.RowStride*f.taps), tiles: CeilDiv(a.Rows, f.outputs),
	}
	sums := d.zeros(f.points * o.runs * a.RowStride * dy.Cols)
	o.sums = *sums
	input, grad := (o.tiles+o.runs-1)*a.RowStride, o.tiles*dy.Cols // values of a group and point
	o.block = max(1, gradValues/(f.points*(input+grad)))
	together := min(a.Groups, o.block*d.threads)
	inputs, grads := d.scratch(together*f.points*input), d.scratch(together*f.points*grad)
	o.inputs, o.grads = *inputs, *grads
	for g := 0; g < a.Groups; g += together {
		groups := min(together, a.Groups-g)
		o.transform(g, groups)
		o.multiply(groups)
	}
	d.floats.Put(inputs)
	d.floats.Put(grads)
	o.addTo(dw)
	d.floats.Put(sums)
}

// transform transforms the windows and the gradients of the output of some groups, from group on.
func (o *winogradGrad) transform(group, groups int) {
	step, n := o.a.RowStride, o.dy.Cols
	rows := o.tiles + o.runs - 1
	work := groups * o.f.points * (rows*step + o.tiles*n)
	parallelFor(o.d, groups, work, pieces(func(first, last int) {
		tile := o.d.tiles.get()
		for g := first; g < last; g++ {
			o.f.transformWindows(tile, o.inputs[g*rows*step:], o.a, group+g, 0, rows, groups*rows*step)
			o.transformGrad(tile, o.grads[g*o.tiles*n:], group+g, groups*o.tiles*n)
		}
		o.d.tiles.Put(tile)
	}))
}

// transformGrad transforms the rows of dy in group g. The last tile is filled up with gradients of 0.
func (o *winogradGrad) transformGrad(t *tile, v []float32, g, vPoint int) {
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

// multiply adds the products of the transformed groups to the sums. The pieces are those of each point's outer product.
func (o *winogradGrad) multiply(groups int) {
	points, step, n := o.f.points, o.a.RowStride, o.dy.Cols
	rows := o.tiles + o.runs - 1
	outers := make([]outer, 0, points*CeilDiv(groups, o.block)) // ordered by block, then by point
	for first := 0; first < groups; first += o.block {
		block := min(o.block, groups-first)
		for p := range points {
			a := View{
				Data:   hostBuffer(o.inputs[(p*groups+first)*rows*step:][:block*rows*step]),
				Groups: block, Rows: o.tiles, Cols: o.runs * step, GroupStride: rows * step, RowStride: step,
			}
			dy := View{
				Data:   hostBuffer(o.grads[(p*groups+first)*o.tiles*n:][:block*o.tiles*n]),
				Groups: block, Rows: o.tiles, Cols: n, GroupStride: o.tiles * n, RowStride: n,
			}
			if o.runs == 1 {
				merge(&a, &dy)
			}
			outers = append(outers, newOuter(o.d.kernels, o.sums[p*a.Cols*n:(p+1)*a.Cols*n], a, dy))
		}
	}
	each := outers[0].pieces()
	parallelFor(o.d, points*each, len(outers)*outers[0].work(), pieces(func(first, last int) {
		for first < last {
			point, piece := first/each, first%each
			count := min(each-piece, last-first)
			for i := point; i < len(outers); i += points {
				outers[i].run(piece, piece+count)
			}
			first += count
		}
	}))
}

// addTo adds the transformed sums to dw. The pieces are columns of a tap's row of step·n values.
func (o *winogradGrad) addTo(dw []float32) {
	const chunk = 512 // columns of a piece
	row, taps := o.a.RowStride*o.dy.Cols, o.runs*o.f.taps
	parallelFor(o.d, CeilDiv(row, chunk), len(o.sums), pieces(func(first, last int) {
		tile := o.d.tiles.get()
		for from := first * chunk; from < min(last*chunk, row); from += chunk {
			cols := min(chunk, row-from)
			tile.outputs = grown(tile.outputs, taps*cols)
			o.f.fromPoints(tile, o.f.inner.WeightGrad, o.f.outer.WeightGrad,
				tile.outputs, o.sums[from:], o.runs, o.runs*o.f.outer.Taps, cols, row)
			for tap := range taps {
				begin := tap*row + from
				if count := min(cols, len(dw)-begin); count > 0 {
					dst, change := dw[begin:begin+count], tile.outputs[tap*cols:]
					o.d.kernels.Affine2(dst, dst, change, nil, nil, nil, 1, count, count, count, cols, negInf)
				}
			}
		}
		o.d.tiles.Put(tile)
	}))
}
