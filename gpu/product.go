//go:build cuda || hostcuda

package gpu

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// tile is what a block of a product computes: a kernel is there for each.
type tile struct{ height, width int }

// tileFor returns the tile for a product's result. Wide ones reuse more of what they read, small ones keep more of the GPU's
// processors busy.
func tileFor(rows, cols int) tile {
	t := tile{64, 64}
	if rest := cols % 64; rest != 0 && rest <= 32 {
		t.width = 32
	}
	if ceilDiv(rows, t.height)*ceilDiv(cols, t.width) < busy {
		t = tile{32, 32}
	}
	return t
}

func (t tile) kernel(op string, p Precision) string {
	return fmt.Sprintf("%s_%s_%dx%d", op, p, t.height, t.width)
}

func (t tile) block() size { return size{t.height * t.width / 32, 1, 1} }

type productArgs struct {
	dst, a, skip            view
	w, shift, scale, offset uint64
	shape                   shape
	depth, accumulate, relu int64
	partial                 uint64
	runDepth, runs          int64
}

// busy is how many blocks keep a GPU busy, about one a processor.
const busy = 128

// MatMul of few rows, as in one clip, has too few tiles for a GPU: their depth is cut into runs, which are added up afterwards.
func (g *gpu) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	if dst.Count()*dst.Cols == 0 {
		return
	}
	t := tileFor(dst.Count(), dst.Cols)
	grid := size{ceilDiv(dst.Count(), t.height), ceilDiv(dst.Cols, t.width), 1}
	runDepth := w.K
	if few := ceilDiv(busy, grid.x*grid.y); few > 1 {
		runDepth = max(leastRunDepth, ceilDiv(ceilDiv(w.K, few), slab)*slab)
	}
	grid.z = max(1, ceilDiv(w.K, max(runDepth, 1)))
	args := productArgs{
		dst: viewOf(dst), a: viewOf(a), skip: viewOf(e.Skip),
		w: w.Data.Addr(), shift: e.Shift.Addr(), scale: e.Scale.Addr(), offset: e.Offset.Addr(),
		shape: shapeOf(dst), depth: int64(w.K), accumulate: flag(e.Accumulate), relu: flag(e.ReLU),
		runDepth: int64(runDepth), runs: int64(grid.z),
	}
	inRuns(g, t.kernel("matmul", g.precision), "matmul_runs", grid, t, dst.Count()*dst.Cols, &args.partial, &args)
}

const (
	slab          = 16 // as in kernels/product.h
	leastRunDepth = 4 * slab
)

type outerArgs struct {
	a, dy                view
	dw, partial          uint64
	shape                shape
	depth, runRows, runs int64
}

// MatMulTransA sums over many rows for few results, so the rows are cut into runs that are added up afterwards.
func (g *gpu) MatMulTransA(dw device.Buffer, a, dy device.View) {
	if dw.Empty() || dy.Count() == 0 {
		return
	}
	const (
		blocks   = 512 // a few a processor
		leastRun = 128 // rows
	)
	rows := dy.Count()
	t := tile{64, 64}
	if rest := dy.Cols % 64; rest != 0 && rest <= 32 {
		t.width = 32
	}
	grid := size{ceilDiv(a.Cols, t.height), ceilDiv(dy.Cols, t.width), 1}
	runRows := max(leastRun, ceilDiv(rows, ceilDiv(blocks, grid.x*grid.y)))
	grid.z = ceilDiv(rows, runRows)
	args := outerArgs{
		a: viewOf(a), dy: viewOf(dy), dw: dw.Addr(), shape: shapeOf(dy),
		depth: int64(a.Cols), runRows: int64(runRows), runs: int64(grid.z),
	}
	inRuns(g, t.kernel("outer", g.precision), "add_runs", grid, t, dw.Len(), &args.partial, &args)
}

// inRuns starts a kernel on tiles. Where the grid has several runs, each leaves n sums in partial, which is a field of args, and
// the kernel add adds them up.
func inRuns[Args any](g *gpu, kernel, add string, grid size, t tile, n int, partial *uint64, args *Args) {
	if grid.z == 1 {
		launch(g, kernel, grid, t.block(), args)
		return
	}
	g.enter()
	var err error
	if *partial, err = g.heap.alloc(4 * n * grid.z); err != nil {
		g.leave(kernel, err)
	}
	if err = start(g, kernel, grid, t.block(), args); err == nil {
		grid, block := line(n)
		err = start(g, add, grid, block, args)
	}
	g.heap.free(*partial)
	g.leave(kernel, err)
}
