package main

import "github.com/polyphon/polyphon/internal/asm/arm64"

// winograd generates the kernels of a Winograd.
func (g *neonFile) winograd(w *winograd) {
	into := func(name string, rows, advance int, t transform) {
		g.kernel(w.intoPointsSpec(name), widths(16, func(n neon, floats int) {
			in, out, rowBytes := n.Bytes("xStride"), n.Bytes("vPoint"), n.Bytes("cols")
			n.tiles("v", in, out, rows, w.points, floats, t, func(x, v *arm64.Register) {
				n.addTimes(x, in, advance)
				n.Add(v, rowBytes, 0)
			})
		})...)
	}
	from := func(name string, rows int, t transform) {
		g.kernel(w.fromPointsSpec(name), widths(16, func(n neon, floats int) {
			in, out, rowBytes := n.Bytes("xPoint"), n.Bytes("yStride"), n.Bytes("xStride")
			n.tiles("y", in, out, w.points, rows, floats, t, func(x, y *arm64.Register) {
				n.Add(x, rowBytes, 0)
				n.addTimes(y, out, rows)
			})
		})...)
	}
	into("Input", w.points, w.outputs, w.input)
	into("Weight", w.taps, w.taps, w.weight)
	into("OutputGrad", w.outputs, w.outputs, w.outputGrad)
	from("Output", w.outputs, w.output)
	from("WeightGrad", w.taps, w.weightGrad)
}

// tiles generates the loops of a transform from rows of x to rows of the slice named to: over tiles and, within one,
// over its columns, so many floats at a time, along which a pointer to each row moves by itself.
func (n neon) tiles(to string, inStride, outStride *arm64.Register, inRows, outRows, widest int, t transform,
	next func(x, y *arm64.Register)) {
	x, y, tiles := n.Base("x"), n.Base(to), n.Int("tiles")
	n.Label("tiles")
	in, out := n.rowsFrom(x, inStride, inRows), n.rowsFrom(y, outStride, outRows)
	n.eachFloats("cols", n.Int("cols"), widest, func(floats int, _ string) {
		values := make([]value, inRows)
		for i, p := range in {
			values[i] = n.loadNext(p, floats)
		}
		for i, v := range t(n, values) {
			n.storeNext(v, out[i], floats)
		}
	})
	next(x, y)
	n.Count(tiles, 1)
	n.Jump("BNE", "tiles")
	n.Return()
}
