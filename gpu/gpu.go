//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/polyphon/polyphon/device"
)

// Built reports whether this build can compute on a GPU.
const Built = true

// Device is one GPU. Its Packed matrices and Buffers are its own.
type Device struct {
	device.Trainer
	g *gpu
}

// Precision returns what matrix products round their operands to.
func (d *Device) Precision() Precision { return d.g.precision }

// Close gives everything back: memory, streams and the context. Nothing of the device may be used any more.
func (d *Device) Close() error {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	d.g.heap.release()
	return d.g.driver.close()
}

// driver is what differs between a GPU and the host that stands in for it. Addresses are of float32 values in the driver's
// memory. Everything happens in the order of the calls, some of it later: only download and close wait for it. upload and download,
// which move much or wait long, may be called beside the others, which are called one at a time.
type driver interface {
	name() string
	tensorCores() bool
	alloc(bytes int) (uint64, error)
	free(addr uint64)
	clear(addr uint64, bytes int) error
	upload(dst uint64, src []float32) error
	download(dst []float32, src uint64) error
	launch(kernel string, grid, block size, args []uint64) error
	close() error
}

// size is a grid's, in blocks, or a block's, in threads.
type size struct{ x, y, z int }

// gpu implements device.Trainer; shapes are checked before it sees them.
type gpu struct {
	mu        sync.Mutex // guards what follows; calls come from several goroutines
	driver    driver
	heap      heap
	precision Precision
	failed    *Error
	finished  uint64 // counters for kernels whose last block does more
	counters  int    // how many
}

// newDevice returns a device on d. Without a precision it takes TF32 where there are tensor cores, else Float32.
func newDevice(d driver, p Precision) (*Device, error) {
	switch {
	case p == "" && d.tensorCores():
		p = TF32
	case p == "":
		p = Float32
	case p != Float32 && !d.tensorCores():
		return nil, fmt.Errorf("%w: %s has no tensor cores for %s, only %s", ErrUnavailable, d.name(), p, Float32)
	}
	g := &gpu{driver: d, precision: p, heap: newHeap(d)}
	return &Device{Trainer: device.Checked(g), g: g}, nil
}

func (g *gpu) Name() string { return fmt.Sprintf("cuda (%s, %s)", g.driver.name(), g.precision) }

// enter begins a call on the driver.
func (g *gpu) enter() {
	g.mu.Lock()
	if g.failed != nil {
		g.mu.Unlock()
		panic(g.failed)
	}
}

// leave ends it; err, if any, is what everything will fail with from now on.
func (g *gpu) leave(doing string, err error) {
	if err != nil {
		g.failed = &Error{doing, err}
	}
	failed := g.failed
	g.mu.Unlock()
	if failed != nil {
		panic(failed)
	}
}

// beside makes a call on the driver that others may be made beside.
func (g *gpu) beside(doing string, call func() error) {
	g.enter()
	g.mu.Unlock()
	if err := call(); err != nil {
		g.mu.Lock()
		g.leave(doing, err)
	}
}

func (g *gpu) Alloc(n int) device.Buffer {
	if n == 0 {
		return device.Buffer{}
	}
	g.enter()
	addr, err := g.heap.alloc(4 * n)
	if err == nil {
		err = g.driver.clear(addr, 4*n)
	}
	g.leave(fmt.Sprintf("allocating %d bytes", 4*n), err)
	return device.AddrBuffer(addr, n)
}

func (g *gpu) Free(b device.Buffer) {
	if b.Empty() {
		return
	}
	g.enter()
	g.heap.free(b.Addr())
	g.leave("", nil)
}

func (g *gpu) Upload(dst device.Buffer, src []float32) {
	if len(src) == 0 {
		return
	}
	g.beside("upload", func() error { return g.driver.upload(dst.Addr(), src) })
}

func (g *gpu) Download(dst []float32, src device.Buffer) {
	if len(dst) == 0 {
		return
	}
	g.beside("download", func() error { return g.driver.download(dst, src.Addr()) })
}

// Pack copies the row-major matrix.
func (g *gpu) Pack(dst *device.Packed, w device.Buffer, k, n int) {
	if dst.Data.Len() != k*n {
		g.Free(dst.Data)
		dst.Data = g.Alloc(k * n)
	}
	dst.K, dst.N, dst.Step = k, n, 0
	grid, block := line(w.Len())
	launch(g, "copy_floats", grid, block, &copyArgs{dst.Data.Addr(), w.Addr(), int64(w.Len())})
}

type copyArgs struct {
	dst, src uint64
	n        int64
}

func (g *gpu) PackWindows(dst *device.Packed, w device.Buffer, n int, a device.View) {
	g.Pack(dst, w, a.Cols, n)
	dst.Step = a.RowStride
}

// launch starts one kernel. args points to the Go struct that lies as the kernel's arguments do: fields of eight bytes.
func launch[Args any](g *gpu, kernel string, grid, block size, args *Args) {
	g.enter()
	g.leave(kernel, start(g, kernel, grid, block, args))
}

// start is launch between enter and leave. A grid without blocks does nothing.
func start[Args any](g *gpu, kernel string, grid, block size, args *Args) error {
	if grid.x == 0 || grid.y == 0 || grid.z == 0 {
		return nil
	}
	words := unsafe.Slice((*uint64)(unsafe.Pointer(args)), unsafe.Sizeof(*args)/8)
	return g.driver.launch(kernel, grid, block, words)
}

// view is a device.View as kernels have it.
type view struct {
	data       uint64
	group, row int64
}

func viewOf(v device.View) view {
	return view{v.Data.Addr(), int64(v.GroupStride), int64(v.RowStride)}
}

type shape struct{ groups, rows, cols int64 }

// shapeOf returns v's shape. Kernels count elements in 32 bits.
func shapeOf(v device.View) shape {
	if v.Groups*v.Rows*v.Cols >= 1<<31 {
		panic(fmt.Sprintf("gpu: a view %v of more than 2³¹ values", v))
	}
	return shape{int64(v.Groups), int64(v.Rows), int64(v.Cols)}
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// threads is a block's, where nothing else decides.
const threads = 256

// line returns the grid and block of a kernel with one thread for each of n things.
func line(n int) (grid, block size) { return size{ceilDiv(n, threads), 1, 1}, size{threads, 1, 1} }

// elements is line for a kernel with one thread an element.
func elements(v device.View) (grid, block size) { return line(v.Groups * v.Rows * v.Cols) }
