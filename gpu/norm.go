//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

type columnSumsArgs struct {
	x, y, dy          view
	shape             shape
	partial, finished uint64
	runRows, runs     int64
	first, second     uint64
}

const (
	runColumns = 32
	leastRun   = 128 // rows: 16 a thread
	mostRuns   = 128 // with a few times 32 columns, enough blocks for any GPU
)

// columnSums starts a kernel that sums columns in runs of rows.
func (g *gpu) columnSums(kernel string, of device.View, a columnSumsArgs) {
	if of.Cols == 0 {
		return
	}
	count, tiles := of.Count(), ceilDiv(of.Cols, runColumns)
	runRows := max(leastRun, ceilDiv(count, mostRuns))
	runs := max(1, ceilDiv(count, runRows))
	a.shape, a.runRows, a.runs = shapeOf(of), int64(runRows), int64(runs)
	g.enter()
	err := g.countTo(tiles)
	if err == nil {
		a.finished = g.finished
		a.partial, err = g.heap.alloc(2 * 8 * runs * of.Cols)
	}
	if err != nil {
		g.leave(kernel, err)
	}
	err = start(g, kernel, size{tiles, runs, 1}, size{runColumns, 8, 1}, &a)
	g.heap.free(a.partial)
	g.leave(kernel, err)
}

// countTo sees to it that there are n counters at finished, all 0.
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
	g.columnSums("moments", x, columnSumsArgs{
		x: viewOf(x), y: viewOf(y), first: mean.Addr(), second: variance.Addr(),
	})
}

func (g *gpu) GradSums(sum, dot device.Buffer, dy, x, y device.View) {
	g.columnSums("grad_sums", dy, columnSumsArgs{
		x: viewOf(x), y: viewOf(y), dy: viewOf(dy), first: sum.Addr(), second: dot.Addr(),
	})
}

type normArgs struct {
	gamma, beta, alpha, mean, variance                   uint64
	runMean, runVar, scale, shift, dgamma, dbeta, dalpha uint64
	sum, dot, a, b, c                                    uint64
	eps, momentum                                        float64
	count, cols                                          int64
}

func normArgsOf(n device.Norm, eps float32, count int) normArgs {
	return normArgs{
		gamma: n.Gamma.Addr(), beta: n.Beta.Addr(), alpha: n.Alpha.Addr(), mean: n.Mean.Addr(), variance: n.Var.Addr(),
		runMean: n.RunMean.Addr(), runVar: n.RunVar.Addr(), scale: n.Scale.Addr(), shift: n.Shift.Addr(),
		dgamma: n.DGamma.Addr(), dbeta: n.DBeta.Addr(), dalpha: n.DAlpha.Addr(),
		eps: float64(eps), count: int64(count), cols: int64(n.Gamma.Len()),
	}
}

func (g *gpu) NormForward(n device.Norm, eps, momentum float32, count int) {
	a := normArgsOf(n, eps, count)
	a.momentum = float64(momentum)
	grid, block := line(n.Gamma.Len())
	launch(g, "norm_forward", grid, block, &a)
}

func (g *gpu) NormBackward(n device.Norm, sum, dot device.Buffer, a, b, c device.Buffer, eps float32, count int) {
	args := normArgsOf(n, eps, count)
	args.sum, args.dot, args.a, args.b, args.c = sum.Addr(), dot.Addr(), a.Addr(), b.Addr(), c.Addr()
	launch(g, "norm_backward", size{1, 1, 1}, size{threads, 1, 1}, &args)
}
