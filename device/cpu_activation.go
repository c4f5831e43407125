package device

import "math"

func (d *cpu) ReLUGrad(dx, dy, y View) {
	d.elementwise(true, elementwise{views: [5]View{dx, dy, y}, call: func(b block) { b.call3(b.k.ReLUGrad) }})
}

// Tanh is a plain loop: networks rarely have it, and it costs little compared to products.
func (d *cpu) Tanh(dst, x View) {
	d.elementwise(true, elementwise{views: [5]View{dst, x}, call: func(b block) {
		for r := range b.rows {
			out := b.row(0, r)
			for c, v := range b.row(1, r) {
				out[c] = float32(math.Tanh(float64(v)))
			}
		}
	}})
}

func (d *cpu) TanhGrad(dx, dy, y View) {
	d.elementwise(true, elementwise{views: [5]View{dx, dy, y}, call: func(b block) {
		for r := range b.rows {
			out, grad := b.row(0, r), b.row(1, r)
			for c, v := range b.row(2, r) {
				out[c] = grad[c] * (1 - v) * (1 + v)
			}
		}
	}})
}
