//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

func (g *gpu) Depthwise(dst, x device.View, w, shift device.Buffer, add bool) {
	if dst.Cols == 0 {
		return
	}
	g.launchElements("depthwise", dst,
		newArgs().views(dst, x).buffers(w, shift).shape(dst).ints(x.Cols/dst.Cols).flag(add))
}

// DepthwiseGrad cuts the rows into runs, as MatMulTransA does, whose sums are added afterwards.
func (g *gpu) DepthwiseGrad(dw device.Buffer, x, dy device.View) {
	rows := dy.Count()
	if dw.Empty() || rows == 0 {
		return
	}
	taps := x.Cols / dy.Cols
	grid := size{device.CeilDiv(dy.Cols, runColumns) * taps, 1, 1}
	runRows := max(minRunRows, device.CeilDiv(rows, device.CeilDiv(transABlocks, grid.x)))
	grid.y = device.CeilDiv(rows, runRows)
	g.withScratch("depthwise_grad", 4*dw.Len()*grid.y, func(partial uint64) error {
		a := append(newArgs().views(x, dy).buffers(dw).shape(dy).ints(taps, runRows, grid.y), partial)
		if err := g.start("depthwise_grad", grid, size{runColumns, 8, 1}, a); err != nil {
			return err
		}
		grid, block := linear(dw.Len())
		return g.start("matmul_trans_a_runs", grid, block, a)
	})
}
