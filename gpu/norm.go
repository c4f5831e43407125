//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

const (
	runColumns = 32  // as in kernels/norm.cu
	maxRuns    = 128 // of rows: with a few times 32 columns, enough blocks for any GPU
)

// columnSums starts a kernel that sums the columns of views of one shape in runs of rows.
func (g *gpu) columnSums(kernel string, x, y, dy, like device.View, first, second device.Buffer) {
	if like.Cols == 0 {
		return
	}
	count, tiles := like.Count(), device.CeilDiv(like.Cols, runColumns)
	runRows := max(minRunRows, device.CeilDiv(count, maxRuns))
	runs := max(1, device.CeilDiv(count, runRows))
	a := newArgs().views(x, y, dy).shape(like).ints(runRows, runs).buffers(first, second)
	g.withScratch(kernel, 2*8*runs*like.Cols, func(partial uint64) error {
		if err := g.countTo(tiles); err != nil {
			return err
		}
		return g.start(kernel, size{tiles, runs, 1}, size{runColumns, 8, 1}, append(a, g.finished, partial))
	})
}

// countTo provides at least n counters at finished, all 0.
func (g *gpu) countTo(n int) error {
	if n <= g.counters {
		return nil
	}
	if g.counters > 0 {
		g.heap.free(g.finished)
	}
	g.counters = 0
	addr, err := g.heap.alloc(4 * n)
	if err == nil {
		err = g.driver.clear(addr, 4*n)
	}
	if err == nil {
		g.finished, g.counters = addr, n
	}
	return err
}

func (g *gpu) Moments(mean, variance device.Buffer, x, y device.View) {
	g.columnSums("moments", x, y, device.View{}, x, mean, variance)
}

func (g *gpu) GradSums(sum, dot device.Buffer, dy, x, y device.View) {
	g.columnSums("grad_sums", x, y, dy, dy, sum, dot)
}

// normArgs returns the argument of both directions of a norm.
func normArgs(n device.Norm, sum, dot, a, b, c device.Buffer, eps, momentum float32, count int) args {
	return newArgs().buffers(n.Gamma, n.Beta, n.Alpha, n.Mean, n.Var, n.RunMean, n.RunVar, n.Scale, n.Shift,
		n.DGamma, n.DBeta, n.DAlpha, sum, dot, a, b, c).
		floats(float64(eps), float64(momentum)).ints(count, n.Gamma.Len())
}

func (g *gpu) NormForward(n device.Norm, eps, momentum float32, count int) {
	var none device.Buffer
	g.launchThreads("norm_forward", n.Gamma.Len(), normArgs(n, none, none, none, none, none, eps, momentum, count))
}

// NormBackward runs in one block, since DAlpha is a sum over all columns.
func (g *gpu) NormBackward(n device.Norm, sum, dot device.Buffer, a, b, c device.Buffer, eps float32, count int) {
	g.launchThreads("norm_backward", 1, normArgs(n, sum, dot, a, b, c, eps, 0, count))
}
