//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

func (g *gpu) Fill(dst device.View, v float32) {
	g.launchElements("fill", dst, newArgs().views(dst).shape(dst).floats(float64(v)))
}

func (g *gpu) Transpose(dst, src device.View, reverse bool) {
	grid := size{device.CeilDiv(src.Cols, 32) * device.CeilDiv(src.Rows, 32) * src.Groups, 1, 1}
	g.launch("transpose", grid, size{32, 8, 1}, newArgs().views(dst, src).shape(src).flag(reverse))
}

func (g *gpu) Affine(dst, x, y device.View, a, b, c device.Buffer, relu bool) {
	g.launchElements("affine", dst, newArgs().views(dst, x, y).buffers(a, b, c).shape(dst).flag(relu))
}

func (g *gpu) Hadamard(dst, x, y device.View, add bool) {
	g.launchElements("hadamard", dst, newArgs().views(dst, x, y).shape(dst).flag(add))
}

func (g *gpu) HadamardSum(dst, f, s device.View, p, q device.Buffer) {
	g.launchElements("hadamard_sum", dst, newArgs().views(dst, f, s).buffers(p, q).shape(dst))
}

func (g *gpu) HadamardSumGrad(df, ds, dy, f, s device.View, a, b, c device.Buffer) {
	g.launchElements("hadamard_sum_grad", df, newArgs().views(df, ds, dy, f, s).buffers(a, b, c).shape(df))
}

func (g *gpu) ReLUGrad(dx, dy, y device.View) {
	g.launchElements("relu_grad", dx, newArgs().views(dx, dy, y).shape(dx))
}

func (g *gpu) Tanh(dst, x device.View) {
	g.launchElements("tanh_forward", dst, newArgs().views(dst, x).shape(dst))
}

func (g *gpu) TanhGrad(dx, dy, y device.View) {
	g.launchElements("tanh_grad", dx, newArgs().views(dx, dy, y).shape(dx))
}

func (g *gpu) AvgPool(dst, x device.View) {
	grid := size{device.CeilDiv(x.Cols, 32) * x.Groups, 1, 1}
	g.launch("avg_pool", grid, size{32, 8, 1}, newArgs().views(dst, x).shape(x))
}

func (g *gpu) AvgPoolGrad(dst, x device.View, scale float32) {
	g.launchElements("avg_pool_grad", dst, newArgs().views(dst, x).shape(dst).floats(float64(scale)))
}

func (g *gpu) Loss(
	dlogits device.View, losses device.Buffer, logits, targets device.View, l device.Loss, scale float32,
) {
	g.launchThreads("loss", 32*logits.Count(), newArgs().views(dlogits, logits, targets).buffers(losses).
		shape(logits).ints(int(l.Kind)).floats(float64(l.Gamma), float64(scale)))
}
