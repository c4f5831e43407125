package device

import (
	"math"
	"slices"
)

// asRow returns b as a view of one row.
func asRow(b Buffer) View { return Matrix(b, 1, b.Len()) }

// uniform returns a vector of one value for elementwise operations of any shape.
func uniform(v float32) Buffer { return hostBuffer(slices.Repeat([]float32{v}, runCols)) }

func (d *cpu) SGD(w, g, m Buffer, rate, momentum, decay float32) {
	d.elementwise(true, elementwise{views: [5]View{asRow(w), asRow(m), asRow(g)}, call: func(b block) {
		b.k.SGD(b.m[0], b.m[1], b.m[2], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], rate, momentum, decay)
	}})
}

func (d *cpu) AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	keep := float32(1 - float64(rate)*float64(decay))
	corrected := float32(float64(rate) / (1 - math.Pow(float64(beta1), float64(step))))
	unbias := float32(1 / (1 - math.Pow(float64(beta2), float64(step))))
	rest1, rest2 := float32(1-float64(beta1)), float32(1-float64(beta2))
	d.elementwise(true, elementwise{views: [5]View{asRow(w), asRow(m), asRow(v), asRow(g)}, call: func(b block) {
		b.k.AdamW(b.m[0], b.m[1], b.m[2], b.m[3], b.rows, b.cols, b.stride[0], b.stride[1], b.stride[2], b.stride[3],
			keep, corrected, rest1, rest2, unbias, eps)
	}})
}

func (d *cpu) ClipNorm(g, norm Buffer, limit float32) {
	whole := g.Len() / runCols * runCols
	squares := 0.0
	for _, v := range []View{Matrix(g.Slice(0, whole), whole/runCols, runCols), asRow(g.Slice(whole, g.Len()))} {
		if v.Empty() {
			continue
		}
		d.reduce(reduction{x: v, y: v}, func(_ int, _, dot []float32) {
			for _, s := range dot {
				squares += float64(s)
			}
		})
	}
	// The kernels' squares are float32, which hold those of values in 1e-19 to 1e19 alone. A sum within these bounds
	// has lost nothing that matters, whatever the number of values.
	const least = 1e-20
	if !(squares > least && squares < math.Inf(1)) {
		ref{}.ClipNorm(g, norm, limit)
		return
	}
	length := math.Sqrt(squares)
	values(norm)[0] = asNorm(length)
	if clips(length, limit) {
		scale := uniform(float32(float64(limit) / length))
		d.elementwise(true, elementwise{
			views: [5]View{asRow(g), asRow(g)}, vectors: [3]Buffer{scale}, scalar: negInf, call: affine,
		})
	}
}

func (d *cpu) EMAUpdate(dst, src Buffer, t float32) {
	d.elementwise(true, elementwise{
		views:   [5]View{asRow(dst), asRow(dst), asRow(src)},
		vectors: [3]Buffer{uniform(1 - t), uniform(t)}, scalar: negInf, call: affine2,
	})
}
