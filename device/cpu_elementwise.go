package device

import (
	"math"

	"github.com/polyphon/polyphon/device/internal/simd"
)

// elementwise is a row kernel over views of one shape, as a task whose pieces are blocks of rows that fit into L1.
type elementwise struct {
	kernels *simd.Kernels
	views   [5]View   // destinations and operands, as many as the kernel has
	vectors [3]Buffer // operands with one value a column, where given
	scalar  float32
	call    func(b block)

	blockRows, blocks int // rows in a block, blocks in a group
	tail              int // values of each group after its rows of runCols
}

// block is the operands of one call of kernel set k, in elementwise's order; vectors that were left out have length 0.
type block struct {
	k          *simd.Kernels
	m          [5][]float32
	stride     [5]int
	v          [3][]float32
	scalar     float32
	rows, cols int
}

// row returns row r of matrix i.
func (b *block) row(i, r int) []float32 { return b.m[i][r*b.stride[i]:][:b.cols] }

// call3 calls a kernel of three matrices.
func (b *block) call3(kernel func(x, y, z []float32, rows, cols, xStride, yStride, zStride int)) {
	kernel(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2])
}

const (
	runCols     = 64      // of views without gaps cut into rows: a multiple of what any kernel takes at a time
	blockValues = 1 << 12 // values of each operand in a block
)

// elementwise runs e. With anyShape set, the kernel treats all columns alike: the values may be cut into other rows.
func (d *cpu) elementwise(anyShape bool, e elementwise) {
	e.kernels = d.kernels
	operands := onHost(e.views[:]...)
	if v := &e.views[0]; v.Count() == 0 || v.Cols == 0 {
		return
	}
	merge(&e.views[0], &e.views[1], &e.views[2], &e.views[3], &e.views[4])
	if anyShape {
		e.flatten()
	}
	v := &e.views[0]
	e.blockRows = max(1, blockValues/v.Cols)
	e.blocks = max(1, CeilDiv(v.Rows, e.blockRows))
	parallelFor(d, v.Groups*e.blocks, operands*v.Groups*(v.Rows*v.Cols+e.tail), e)
}

// flatten cuts groups without gaps into rows of runCols and a tail.
func (e *elementwise) flatten() {
	for _, v := range e.views {
		if v.RowStride != v.Cols && v.Rows > 1 {
			return
		}
	}
	size := e.views[0].Rows * e.views[0].Cols
	e.tail = size % runCols
	for i := range e.views {
		v := &e.views[i]
		v.Rows, v.Cols, v.RowStride = size/runCols, runCols, runCols
	}
}

func (e elementwise) run(first, last int) {
	for i := first; i < last; i++ {
		g, r := i/e.blocks, i%e.blocks*e.blockRows
		if rows := min(e.blockRows, e.views[0].Rows-r); rows > 0 {
			e.callOn(g, r, rows, e.views[0].Cols)
		}
		if e.tail > 0 && i%e.blocks == e.blocks-1 {
			e.callOn(g, e.views[0].Rows, 1, e.tail)
		}
	}
}

func (e *elementwise) callOn(g, r, rows, cols int) {
	b := block{k: e.kernels, scalar: e.scalar, rows: rows, cols: cols}
	for i := range e.views {
		if v := &e.views[i]; !v.Empty() {
			b.m[i], b.stride[i] = v.from(g, r, 0, rows, cols), v.RowStride
		}
	}
	for i, v := range e.vectors {
		b.v[i] = optional(v, 0, cols)
	}
	e.call(b)
}

func (d *cpu) Fill(dst View, v float32) {
	d.elementwise(true, elementwise{views: [5]View{dst}, scalar: v, call: func(b block) {
		for r := range b.rows {
			row := b.row(0, r)
			if b.scalar == 0 {
				clear(row)
				continue
			}
			for c := range row {
				row[c] = b.scalar
			}
		}
	}})
}

var negInf = float32(math.Inf(-1))

// floorOf returns the floor that kernels apply: ReLU's or none.
func floorOf(relu bool) float32 {
	if relu {
		return 0
	}
	return negInf
}

func (d *cpu) Affine(dst, x, y View, a, b, c Buffer, relu bool) {
	e := elementwise{
		views: [5]View{dst, x, y}, vectors: [3]Buffer{a, b, c}, scalar: floorOf(relu), call: affine2,
	}
	if y.Empty() {
		e.vectors, e.call = [3]Buffer{a, c}, affine
	}
	d.elementwise(e.vectors[0].Empty() && e.vectors[1].Empty() && e.vectors[2].Empty(), e)
}

func affine(b block) {
	b.k.Affine(b.m[0], b.m[1], b.v[0], b.v[1], b.rows, b.cols, b.stride[0], b.stride[1], b.scalar)
}

func affine2(b block) {
	b.k.Affine2(b.m[0], b.m[1], b.m[2], b.v[0], b.v[1], b.v[2],
		b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], b.scalar)
}

func (d *cpu) Hadamard(dst, x, y View, add bool) {
	call := func(b block) { b.call3(b.k.Hadamard) }
	if add {
		call = func(b block) { b.call3(b.k.HadamardAdd) }
	}
	d.elementwise(true, elementwise{views: [5]View{dst, x, y}, call: call})
}

func (d *cpu) HadamardSum(dst, f, s View, p, q Buffer) {
	d.elementwise(false, elementwise{views: [5]View{dst, f, s}, vectors: [3]Buffer{p, q}, call: func(b block) {
		b.k.HadamardSum(b.m[0], b.m[1], b.m[2], nil, b.v[0], b.v[1],
			b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], negInf)
	}})
}

func (d *cpu) HadamardSumGrad(df, ds, dy, f, s View, a, b, c Buffer) {
	e := elementwise{views: [5]View{df, ds, dy, f, s}, vectors: [3]Buffer{a, b, c}}
	e.call = func(b block) {
		b.k.HadamardSumGrad(b.m[0], b.m[1], b.m[2], b.m[3], b.m[4], b.v[0], b.v[1], b.v[2], b.rows, b.cols,
			b.stride[0], b.stride[1], b.stride[2], b.stride[3], b.stride[4])
	}
	d.elementwise(false, e)
}
