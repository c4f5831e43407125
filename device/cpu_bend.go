package device

import (
	"math"

	"github.com/polyphon/polyphon/device/internal/simd"
)

// The operations here are plain loops: they are rare in networks, and cost little beside products.

func (d *cpu) Tanh(dst, x View) {
	d.sweep(2, true, sweep{views: [5]View{dst, x}, call: func(_ *simd.Kernels, b block) {
		for r := range b.rows {
			out := b.m[0][r*b.stride[0]:][:b.cols]
			for c, v := range b.m[1][r*b.stride[1]:][:b.cols] {
				out[c] = float32(math.Tanh(float64(v)))
			}
		}
	}})
}

func (d *cpu) TanhGrad(dx, dy, y View) {
	d.sweep(3, true, sweep{views: [5]View{dx, dy, y}, call: func(_ *simd.Kernels, b block) {
		for r := range b.rows {
			out, grad := b.m[0][r*b.stride[0]:][:b.cols], b.m[1][r*b.stride[1]:][:b.cols]
			for c, v := range b.m[2][r*b.stride[2]:][:b.cols] {
				out[c] = grad[c] * (1 - v) * (1 + v)
			}
		}
	}})
}

func (d *cpu) MaxRows(dst, x View, reach int) {
	values(dst.Data)
	values(x.Data)
	spread(d, dst.Groups, dst.Count()*dst.Cols, maxima{dst, x, reach})
}

// maxima is MaxRows as a task; its pieces are groups.
type maxima struct {
	dst, x View
	reach  int
}

func (m maxima) run(first, last int) {
	for g := first; g < last; g++ {
		for r := range m.dst.Rows {
			out, begin := m.dst.row(g, r), max(0, r-m.reach)
			copy(out, m.x.row(g, begin))
			for t := begin + 1; t <= min(r+m.reach, m.x.Rows-1); t++ {
				for c, v := range m.x.row(g, t)[:len(out)] {
					if v > out[c] || v != v {
						out[c] = v
					}
				}
			}
		}
	}
}

func (d *cpu) MaxRowsGrad(dx, dy, x View, reach int) {
	values(dx.Data)
	values(dy.Data)
	values(x.Data)
	spread(d, dx.Groups, dx.Count()*dx.Cols, maximaGrad{dx, dy, x, reach})
}

// maximaGrad is MaxRowsGrad as a task; its pieces are groups.
type maximaGrad struct {
	dx, dy, x View
	reach     int
}

func (m maximaGrad) run(first, last int) {
	for g := first; g < last; g++ {
		for r := range m.dx.Rows {
			clear(m.dx.row(g, r))
		}
		for r := range m.dy.Rows {
			for c, v := range m.dy.row(g, r) {
				m.dx.row(g, largestRow(m.x, g, r, c, m.reach))[c] += v
			}
		}
	}
}
