//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

type fillArgs struct {
	dst   view
	shape shape
	value float64
}

func (g *gpu) Fill(dst device.View, v float32) {
	grid, block := elements(dst)
	launch(g, "fill", grid, block, &fillArgs{viewOf(dst), shapeOf(dst), float64(v)})
}

type transposeArgs struct {
	dst, src view
	shape    shape
	reverse  int64
}

func (g *gpu) Transpose(dst, src device.View, reverse bool) {
	grid := size{ceilDiv(src.Cols, 32) * ceilDiv(src.Rows, 32) * src.Groups, 1, 1}
	launch(g, "transpose", grid, size{32, 8, 1}, &transposeArgs{viewOf(dst), viewOf(src), shapeOf(src), flag(reverse)})
}

type affineArgs struct {
	dst, x, y view
	a, b, c   uint64
	shape     shape
	relu      int64
}

func (g *gpu) Affine(dst, x, y device.View, a, b, c device.Buffer, relu bool) {
	grid, block := elements(dst)
	launch(g, "affine", grid, block, &affineArgs{viewOf(dst), viewOf(x), viewOf(y), a.Addr(), b.Addr(), c.Addr(), shapeOf(dst), flag(relu)})
}

type hadamardArgs struct {
	dst, x, y view
	shape     shape
	add       int64
}

func (g *gpu) Hadamard(dst, x, y device.View, add bool) {
	grid, block := elements(dst)
	launch(g, "hadamard", grid, block, &hadamardArgs{viewOf(dst), viewOf(x), viewOf(y), shapeOf(dst), flag(add)})
}

type hadamardSumArgs struct {
	dst, f, s view
	p, q      uint64
	shape     shape
}

func (g *gpu) HadamardSum(dst, f, s device.View, p, q device.Buffer) {
	grid, block := elements(dst)
	launch(g, "hadamard_sum", grid, block, &hadamardSumArgs{viewOf(dst), viewOf(f), viewOf(s), p.Addr(), q.Addr(), shapeOf(dst)})
}

type hadamardSumGradArgs struct {
	df, ds, dy, f, s view
	a, b, c          uint64
	shape            shape
}

func (g *gpu) HadamardSumGrad(df, ds, dy, f, s device.View, a, b, c device.Buffer) {
	grid, block := elements(df)
	launch(g, "hadamard_sum_grad", grid, block, &hadamardSumGradArgs{
		viewOf(df), viewOf(ds), viewOf(dy), viewOf(f), viewOf(s), a.Addr(), b.Addr(), c.Addr(), shapeOf(df),
	})
}

type reluGradArgs struct {
	dx, dy, y view
	shape     shape
}

func (g *gpu) ReLUGrad(dx, dy, y device.View) {
	grid, block := elements(dx)
	launch(g, "relu_grad", grid, block, &reluGradArgs{viewOf(dx), viewOf(dy), viewOf(y), shapeOf(dx)})
}

type tanhArgs struct {
	dst, x view
	shape  shape
}

func (g *gpu) Tanh(dst, x device.View) {
	grid, block := elements(dst)
	launch(g, "tanh_forward", grid, block, &tanhArgs{viewOf(dst), viewOf(x), shapeOf(dst)})
}

func (g *gpu) TanhGrad(dx, dy, y device.View) {
	grid, block := elements(dx)
	launch(g, "tanh_grad", grid, block, &reluGradArgs{viewOf(dx), viewOf(dy), viewOf(y), shapeOf(dx)})
}

type maxRowsArgs struct {
	dst, x, dy view
	shape      shape
	reach      int64
}

func (g *gpu) MaxRows(dst, x device.View, reach int) {
	grid, block := elements(dst)
	launch(g, "max_rows", grid, block, &maxRowsArgs{viewOf(dst), viewOf(x), view{}, shapeOf(dst), int64(reach)})
}

func (g *gpu) MaxRowsGrad(dx, dy, x device.View, reach int) {
	grid, block := elements(dx)
	launch(g, "max_rows_grad", grid, block, &maxRowsArgs{viewOf(dx), viewOf(x), viewOf(dy), shapeOf(dx), int64(reach)})
}

type meanRowsArgs struct {
	dst, x view
	shape  shape
}

func (g *gpu) AvgPool(dst, x device.View) {
	grid := size{ceilDiv(x.Cols, 32) * x.Groups, 1, 1}
	launch(g, "mean_rows", grid, size{32, 8, 1}, &meanRowsArgs{viewOf(dst), viewOf(x), shapeOf(x)})
}

type spreadRowsArgs struct {
	dst, x view
	shape  shape
	scale  float64
}

func (g *gpu) AvgPoolGrad(dst, x device.View, scale float32) {
	grid, block := elements(dst)
	launch(g, "spread_rows", grid, block, &spreadRowsArgs{viewOf(dst), viewOf(x), shapeOf(dst), float64(scale)})
}

type crossEntropyArgs struct {
	dlogits, logits, targets view
	losses                   uint64
	shape                    shape
	scale                    float64
}

func (g *gpu) CrossEntropy(dlogits device.View, losses device.Buffer, logits, targets device.View, scale float32) {
	grid, block := line(32 * logits.Count())
	launch(g, "cross_entropy", grid, block, &crossEntropyArgs{
		viewOf(dlogits), viewOf(logits), viewOf(targets), losses.Addr(), shapeOf(logits), float64(scale),
	})
}

// Serial implements device.Device: a GPU computes everything in one order.
func (g *gpu) Serial() device.Device { return g }
