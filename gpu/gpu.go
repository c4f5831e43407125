//go:build cuda || hostcuda

package gpu

import (
	"fmt"
	"sync"

	"github.com/polyphon/polyphon/device"
)

// Built reports whether this build can compute on a GPU.
const Built = true

// Device is one GPU. Its methods panic with a *device.Fault where the GPU fails.
type Device struct {
	device.Trainer
	g *gpu
}

// Precision returns what matrix products round their operands to.
func (d *Device) Precision() Precision { return d.g.precision }

// Close releases memory, streams and the context. Nothing of the device may be used any more.
func (d *Device) Close() error {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	d.g.heap.release()
	return d.g.driver.close()
}

// driver is what differs between a GPU and the host that stands in for it. Addresses are of float32 values in its
// memory. Everything happens in the order of the calls but asynchronously: only download and close wait. The methods
// are called one at a time, except upload and download, which copy much or wait long.
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

// gpu implements device.Trainer; device.Checked checks the shapes.
type gpu struct {
	mu        sync.Mutex // guards the fields below
	driver    driver
	heap      heap
	precision Precision
	fault     *device.Fault
	finished  uint64 // counters for kernels whose last block does more
	counters  int    // their number
}

// newDevice returns a device on d. An empty precision stands for TF32 where there are tensor cores, else for Float32.
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

// Serial returns g: a GPU does everything in one order.
func (g *gpu) Serial() device.Device { return g }

// enter begins a call on the driver.
func (g *gpu) enter() {
	g.mu.Lock()
	if g.fault != nil {
		g.mu.Unlock()
		panic(g.fault)
	}
}

// leave ends it. An error becomes the device's fault.
func (g *gpu) leave(doing string, err error) {
	if err != nil {
		g.fault = &device.Fault{Kernel: doing, Err: err}
	}
	fault := g.fault
	g.mu.Unlock()
	if fault != nil {
		panic(fault)
	}
}

// unlocked makes a call on the driver at the same time as which others may be made.
func (g *gpu) unlocked(doing string, call func() error) {
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
	if len(src) > 0 {
		g.unlocked("upload", func() error { return g.driver.upload(dst.Addr(), src) })
	}
}

func (g *gpu) Download(dst []float32, src device.Buffer) {
	if len(dst) > 0 {
		g.unlocked("download", func() error { return g.driver.download(dst, src.Addr()) })
	}
}

// Pack copies the row-major matrix.
func (g *gpu) Pack(dst *device.Packed, w device.Buffer, k, n int) {
	if dst.Data.Len() != k*n {
		g.Free(dst.Data)
		dst.Data = g.Alloc(k * n)
	}
	dst.K, dst.N, dst.Step = k, n, 0
	g.launchThreads("copy_floats", w.Len(), newArgs().buffers(dst.Data, w).ints(w.Len()))
}

func (g *gpu) PackWindows(dst *device.Packed, w device.Buffer, n int, a device.View) {
	g.Pack(dst, w, a.Cols, n)
	dst.Step = a.RowStride
}

// launch starts one kernel.
func (g *gpu) launch(kernel string, grid, block size, a args) {
	g.enter()
	g.leave(kernel, g.start(kernel, grid, block, a))
}

// start is launch between enter and leave. A grid without blocks does nothing.
func (g *gpu) start(kernel string, grid, block size, a args) error {
	if grid.x == 0 || grid.y == 0 || grid.z == 0 {
		return nil
	}
	return g.driver.launch(kernel, grid, block, a)
}

// launchThreads starts a kernel with at least n threads.
func (g *gpu) launchThreads(kernel string, n int, a args) {
	grid, block := linear(n)
	g.launch(kernel, grid, block, a)
}

// launchElements starts a kernel with one thread for each element of v.
func (g *gpu) launchElements(kernel string, v device.View, a args) {
	g.launchThreads(kernel, v.Groups*v.Rows*v.Cols, a)
}

// linear returns the grid and block of a kernel with at least n threads.
func linear(n int) (grid, block size) {
	const threads = 256
	return size{device.CeilDiv(n, threads), 1, 1}, size{threads, 1, 1}
}
