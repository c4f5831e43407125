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
	const busy = 128 // blocks, about one a processor
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
}

func (g *gpu) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	t := tileFor(dst.Count(), dst.Cols)
	grid := size{ceilDiv(dst.Count(), t.height), ceilDiv(dst.Cols, t.width), 1}
	launch(g, t.kernel("matmul", g.precision), grid, t.block(), &productArgs{
		dst: viewOf(dst), a: viewOf(a), skip: viewOf(e.Skip),
		w: w.Data.Addr(), shift: e.Shift.Addr(), scale: e.Scale.Addr(), offset: e.Offset.Addr(),
		shape: shapeOf(dst), depth: int64(w.K), accumulate: flag(e.Accumulate), relu: flag(e.ReLU),
	})
}

type outerArgs struct {
	a, dy                view
	dw, partial          uint64
	shape                shape
	depth, runRows, runs int64
}

// AddOuter sums over many rows for few results, so the rows are cut into runs that are added up afterwards.
func (g *gpu) AddOuter(dw device.Buffer, a, dy device.View) {
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
	kernel := t.kernel("outer", g.precision)
	if grid.z == 1 {
		launch(g, kernel, grid, t.block(), &args)
		return
	}
	g.enter()
	var err error
	if args.partial, err = g.heap.alloc(4 * dw.Len() * grid.z); err != nil {
		g.leave(kernel, err)
	}
	if err = start(g, kernel, grid, t.block(), &args); err == nil {
		grid, block := line(dw.Len())
		err = start(g, "add_runs", grid, block, &args)
	}
	g.heap.free(args.partial)
	g.leave(kernel, err)
}
