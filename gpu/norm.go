//go:build cuda || hostcuda

package gpu

import "github.com/polyphon/polyphon/device"

type columnSumsArgs struct {
	x, y, dy      view
	shape         shape
	partial       uint64
	runRows, runs int64
	first, second uint64
}

const (
	runColumns = 32
	leastRun   = 64  // rows
	mostRuns   = 256 // enough blocks for any GPU
)

// columnSums starts the kernel that sums runs of rows and then the one that adds the runs.
func (g *gpu) columnSums(runs, sums string, of device.View, a columnSumsArgs) {
	count := of.Count()
	runRows := max(leastRun, ceilDiv(count, mostRuns))
	a.shape, a.runRows, a.runs = shapeOf(of), int64(runRows), int64(ceilDiv(count, runRows))
	g.enter()
	var err error
	if a.partial, err = g.heap.alloc(2 * 8 * int(a.runs) * of.Cols); err != nil {
		g.leave(runs, err)
	}
	if err = start(g, runs, size{ceilDiv(of.Cols, runColumns), int(a.runs), 1}, size{runColumns, 8, 1}, &a); err == nil {
		grid, block := line(of.Cols)
		err = start(g, sums, grid, block, &a)
	}
	g.heap.free(a.partial)
	g.leave(sums, err)
}

func (g *gpu) Moments(mean, variance device.Buffer, x, y device.View) {
	g.columnSums("moment_runs", "moments", x, columnSumsArgs{
		x: viewOf(x), y: viewOf(y), first: mean.Addr(), second: variance.Addr(),
	})
}

func (g *gpu) GradSums(sum, dot device.Buffer, dy, x, y device.View) {
	g.columnSums("grad_runs", "grad_sums", dy, columnSumsArgs{
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
