package device

import (
	"math"

	"github.com/polyphon/polyphon/device/internal/simd"
)

func (d *cpu) Transpose(dst, src View, reverse bool) {
	const edge = 16
	bands := (src.Rows + edge - 1) / edge
	values(dst.Data)
	values(src.Data)
	spread(d, src.Groups*bands, src.Count()*src.Cols, transposition{dst, src, edge, bands, reverse})
}

// transposition is Transpose as a task. Its pieces are bands of edge rows of src, taken in squares.
type transposition struct {
	dst, src    View
	edge, bands int
	reverse     bool
}

func (t transposition) run(first, last int) {
	for i := first; i < last; i++ {
		g, r := i/t.bands, i%t.bands*t.edge
		rows, to := min(t.edge, t.src.Rows-r), g
		if t.reverse {
			to = t.src.Groups - 1 - g
		}
		for c := 0; c < t.src.Cols; c += t.edge {
			cols := min(t.edge, t.src.Cols-c)
			in, out := t.src.from(g, r, c, rows, cols), t.dst.from(to, c, r, cols, rows)
			for j := range cols {
				for k, to := 0, out[j*t.dst.RowStride:][:rows]; k < rows; k++ {
					to[k] = in[k*t.src.RowStride+j]
				}
			}
		}
	}
}

func (d *cpu) AvgPoolGrad(dst, x View, scale float32) {
	values(dst.Data)
	values(x.Data)
	if dst.Rows == 0 {
		return
	}
	spread(d, dst.Groups, dst.Count()*dst.Cols, spreading{dst, x, scale})
}

// spreading is AvgPoolGrad as a task; its pieces are groups.
type spreading struct {
	dst, x View
	scale  float32
}

func (s spreading) run(first, last int) {
	for g := first; g < last; g++ {
		row := s.dst.row(g, 0)
		for c, v := range s.x.row(g, 0) {
			row[c] = s.scale * v
		}
		for r := 1; r < s.dst.Rows; r++ {
			copy(s.dst.row(g, r), row)
		}
	}
}

// line returns b as one row.
func line(b Buffer) View { return Matrix(b, 1, b.Len()) }

// uniform returns a vector for sweeps that may be cut into runs.
func uniform(v float32) Buffer {
	s := make([]float32, runCols)
	for i := range s {
		s[i] = v
	}
	return HostBuffer(s)
}

func (d *cpu) SGD(w, g, m Buffer, rate, momentum, decay float32) {
	d.sweep(3, true, sweep{views: [5]View{line(w), line(m), line(g)}, call: func(k *simd.Kernels, b block) {
		k.SGD(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2],
			rate, momentum, decay)
	}})
}

func (d *cpu) AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	keep := float32(1 - float64(rate)*float64(decay))
	corrected := float32(float64(rate) / (1 - math.Pow(float64(beta1), float64(step))))
	unbias := float32(1 / (1 - math.Pow(float64(beta2), float64(step))))
	rest1, rest2 := float32(1-float64(beta1)), float32(1-float64(beta2))
	d.sweep(4, true, sweep{views: [5]View{line(w), line(m), line(v), line(g)}, call: func(k *simd.Kernels, b block) {
		k.AdamW(b.m[0], b.m[1], b.m[2], b.m[3], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], b.stride[3],
			keep, corrected, rest1, rest2, unbias, eps)
	}})
}

func (d *cpu) ClipNorm(g, norm Buffer, limit float32) {
	squares := 0.0
	add := func(_ int, _, dot []float32) {
		for _, v := range dot {
			squares += float64(v)
		}
	}
	whole := g.Len() / runCols * runCols
	runs := Matrix(g.Slice(0, whole), whole/runCols, runCols)
	rest := line(g.Slice(whole, g.Len()))
	if !runs.Empty() {
		d.reduce(reduction{x: runs, y: runs}, add)
	}
	if !rest.Empty() {
		d.reduce(reduction{x: rest, y: rest}, add)
	}
	length := math.Sqrt(squares)
	values(norm)[0] = float32(length)
	if length > float64(limit) {
		d.sweep(2, true, sweep{views: [5]View{line(g), line(g)}, vectors: [3]Buffer{uniform(float32(float64(limit) / length))},
			call: affine})
	}
}

func (d *cpu) EMAUpdate(dst, src Buffer, t float32) {
	d.sweep(3, true, sweep{views: [5]View{line(dst), line(dst), line(src)},
		vectors: [3]Buffer{uniform(1 - t), uniform(t)}, call: affine2})
}
