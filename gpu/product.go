//go:build cuda || hostcuda

package gpu

import (
	"fmt"

	"github.com/polyphon/polyphon/device"
)

// tile is what a block of a product computes: there is a kernel for each.
type tile struct{ height, width int }

// tileFor returns the tile for a product with so many columns, 64 rows high.
func tileFor(cols int) tile {
	if rest := cols % 64; rest != 0 && rest <= 32 {
		return tile{64, 32}
	}
	return tile{64, 64}
}

func (t tile) grid(rows, cols int) size {
	return size{device.CeilDiv(rows, t.height), device.CeilDiv(cols, t.width), 1}
}

const (
	slab         = 16       // as in kernels/product.h
	minBlocks    = 128      // that occupy a GPU, about one a processor
	minRunDepth  = 4 * slab // of the runs that a product is cut into
	minRunRows   = 128
	transABlocks = 512 // of MatMulTransA, a few a processor
)

// MatMul of few rows, as in one clip, uses smaller tiles and cuts the depth into runs, to occupy the whole GPU.
func (g *gpu) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	rows := dst.Count()
	if rows*dst.Cols == 0 {
		return
	}
	t := tileFor(dst.Cols)
	grid := t.grid(rows, dst.Cols)
	if grid.x*grid.y < minBlocks {
		t = tile{32, 32}
		grid = t.grid(rows, dst.Cols)
	}
	runDepth := w.K
	if runs := device.CeilDiv(minBlocks, grid.x*grid.y); runs > 1 {
		runDepth = max(minRunDepth, device.CeilDiv(device.CeilDiv(w.K, runs), slab)*slab)
	}
	grid.z = max(1, device.CeilDiv(w.K, max(runDepth, 1)))
	g.launchProduct("matmul", grid, t, rows*dst.Cols,
		newArgs().views(dst, a, e.Skip).buffers(w.Data, e.Shift, e.Scale, e.Offset).shape(dst).
			ints(w.K).flag(e.Accumulate).flag(e.ReLU).ints(runDepth, grid.z))
}

// MatMulTransA sums over many rows for few results, so the rows are cut into runs, whose sums are added afterwards.
func (g *gpu) MatMulTransA(dw device.Buffer, a, dy device.View) {
	rows := dy.Count()
	if dw.Empty() || rows == 0 {
		return
	}
	t := tileFor(dy.Cols)
	grid := t.grid(a.Cols, dy.Cols)
	runRows := max(minRunRows, device.CeilDiv(rows, device.CeilDiv(transABlocks, grid.x*grid.y)))
	grid.z = device.CeilDiv(rows, runRows)
	g.launchProduct("matmul_trans_a", grid, t, dw.Len(),
		newArgs().views(a, dy).buffers(dw).shape(dy).ints(a.Cols, runRows, grid.z))
}

// launchProduct starts a product's kernel for a precision and tile. Where the grid has several runs, each leaves n sums
// in memory, the last of the arguments, and a second kernel adds them.
func (g *gpu) launchProduct(op string, grid size, t tile, n int, a args) {
	kernel := fmt.Sprintf("%s_%s_%dx%d", op, g.precision, t.height, t.width)
	block := size{t.height * t.width / 32, 1, 1}
	if grid.z == 1 {
		g.launch(kernel, grid, block, append(a, 0))
		return
	}
	g.withScratch(kernel, 4*n*grid.z, func(partial uint64) error {
		a = append(a, partial)
		if err := g.start(kernel, grid, block, a); err != nil {
			return err
		}
		grid, block := linear(n)
		return g.start(op+"_runs", grid, block, a)
	})
}

// withScratch calls f, which starts kernels, with memory of undefined content for them.
func (g *gpu) withScratch(kernel string, bytes int, f func(addr uint64) error) {
	g.enter()
	addr, err := g.heap.alloc(bytes)
	if err == nil {
		err = f(addr)
		g.heap.free(addr)
	}
	g.leave(kernel, err)
}
