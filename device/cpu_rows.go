package device

import "github.com/polyphon/polyphon/device/internal/simd"

// A sweep runs one row kernel over views of one shape. Its pieces are blocks of rows that fit into L1.
type sweep struct {
	kernels *simd.Kernels
	views   [5]View   // destinations and operands, as many as the kernel has
	vectors [3]Buffer // one value a column, where given
	call    func(k *simd.Kernels, b block)

	blockRows, blocks int // rows in a block, blocks in a group
	tail              int // values of each group after its rows of runCols
}

// block is what one call of a kernel gets, in the sweep's order: matrices, their strides, and vectors, of length
// 0 where left out.
type block struct {
	m          [5][]float32
	stride     [5]int
	v          [3][]float32
	rows, cols int
}

const (
	// runCols is how views without gaps are cut into rows where columns do not matter: a multiple of what
	// any kernel takes at a time.
	runCols = 64
	// blockValues is how many values of each operand a block has.
	blockValues = 1 << 12
)

// sweep runs s over its first n views. anyShape says that the kernel treats all columns alike, so that runs of
// values may be cut otherwise than into rows.
func (d *cpu) sweep(n int, anyShape bool, s sweep) {
	s.kernels = d.kernels
	for i := range n {
		values(s.views[i].Data)
	}
	s.merge(n)
	if v := s.views[0]; v.Count() == 0 || v.Cols == 0 {
		return
	}
	if anyShape {
		s.flatten(n)
	}
	v := &s.views[0]
	s.blockRows = max(1, blockValues/v.Cols)
	s.blocks = max(1, (v.Rows+s.blockRows-1)/s.blockRows)
	spread(d, v.Groups*s.blocks, n*v.Groups*(v.Rows*v.Cols+s.tail), s)
}

func (s *sweep) merge(n int) {
	var views [5]*View
	for i := range n {
		views[i] = &s.views[i]
	}
	merge(views[:n]...)
}

// flatten cuts groups without gaps into rows of runCols and a tail.
func (s *sweep) flatten(n int) {
	for _, v := range s.views[:n] {
		if v.RowStride != v.Cols && v.Rows > 1 {
			return
		}
	}
	size := s.views[0].Rows * s.views[0].Cols
	s.tail = size % runCols
	for i := range s.views[:n] {
		v := &s.views[i]
		v.Rows, v.Cols, v.RowStride = size/runCols, runCols, runCols
	}
}

func (s sweep) run(first, last int) {
	for i := first; i < last; i++ {
		g, r := i/s.blocks, i%s.blocks*s.blockRows
		if rows := min(s.blockRows, s.views[0].Rows-r); rows > 0 {
			s.callOn(g, r, rows, s.views[0].Cols)
		}
		if s.tail > 0 && i%s.blocks == s.blocks-1 {
			s.callOn(g, s.views[0].Rows, 1, s.tail)
		}
	}
}

func (s *sweep) callOn(g, r, rows, cols int) {
	b := block{rows: rows, cols: cols}
	for i := range s.views {
		v := &s.views[i]
		if v.Empty() {
			continue
		}
		b.m[i], b.stride[i] = v.from(g, r, 0, rows, cols), v.RowStride
	}
	for i, v := range s.vectors {
		b.v[i] = optional(v, 0, cols)
	}
	s.call(s.kernels, b)
}

func (d *cpu) Fill(dst View, v float32) {
	fill := func(_ *simd.Kernels, b block) {
		for r := range b.rows {
			row := b.m[0][r*b.stride[0]:][:b.cols]
			for c := range row {
				row[c] = v
			}
		}
	}
	if v == 0 {
		fill = func(_ *simd.Kernels, b block) {
			for r := range b.rows {
				clear(b.m[0][r*b.stride[0]:][:b.cols])
			}
		}
	}
	d.sweep(1, true, sweep{views: [5]View{dst}, call: fill})
}

func (d *cpu) Affine(dst, x, y View, a, b, c Buffer, relu bool) {
	// Vectors that matter to a kernel are given to it in order; b counts only beside y.
	noVectors := a.Empty() && c.Empty() && (b.Empty() || y.Empty())
	if y.Empty() {
		d.sweep(2, noVectors, sweep{views: [5]View{dst, x}, vectors: [3]Buffer{a, c}, call: pick(relu, affineReLU, affine)})
		return
	}
	d.sweep(3, noVectors, sweep{views: [5]View{dst, x, y}, vectors: [3]Buffer{a, b, c}, call: pick(relu, affine2ReLU, affine2)})
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

func affine(k *simd.Kernels, b block)      { affineFloor(k, b, negInf) }
func affineReLU(k *simd.Kernels, b block)  { affineFloor(k, b, 0) }
func affine2(k *simd.Kernels, b block)     { affine2Floor(k, b, negInf) }
func affine2ReLU(k *simd.Kernels, b block) { affine2Floor(k, b, 0) }

func affineFloor(k *simd.Kernels, b block, floor float32) {
	k.Affine(b.m[0], b.m[1], b.v[0], b.v[1], b.rows, b.cols, b.stride[0], b.stride[1], floor)
}

func affine2Floor(k *simd.Kernels, b block, floor float32) {
	k.Affine2(b.m[0], b.m[1], b.m[2], b.v[0], b.v[1], b.v[2],
		b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], floor)
}

func (d *cpu) Hadamard(dst, x, y View, add bool) {
	d.sweep(3, true, sweep{views: [5]View{dst, x, y}, call: pick(add,
		func(k *simd.Kernels, b block) {
			k.HadamardAdd(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2])
		},
		func(k *simd.Kernels, b block) {
			k.Hadamard(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2])
		})})
}

func (d *cpu) HadamardSum(dst, f, s View, p, q Buffer) {
	d.sweep(3, false, sweep{views: [5]View{dst, f, s}, vectors: [3]Buffer{p, q}, call: func(k *simd.Kernels, b block) {
		k.HadamardSum(b.m[0], b.m[1], b.m[2], nil, b.v[0], b.v[1],
			b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], negInf)
	}})
}

func (d *cpu) HadamardSumGrad(df, ds, dy, f, s View, a, b, c Buffer) {
	d.sweep(5, false, sweep{views: [5]View{df, ds, dy, f, s}, vectors: [3]Buffer{a, b, c}, call: func(k *simd.Kernels, b block) {
		k.HadamardSumGrad(b.m[0], b.m[1], b.m[2], b.m[3], b.m[4],
			b.v[0], b.v[1], b.v[2], b.rows, b.cols,
			b.stride[0], b.stride[1], b.stride[2], b.stride[3], b.stride[4])
	}})
}

func (d *cpu) ReLUGrad(dx, dy, y View) {
	d.sweep(3, true, sweep{views: [5]View{dx, dy, y}, call: func(k *simd.Kernels, b block) {
		k.ReLUGrad(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2])
	}})
}
