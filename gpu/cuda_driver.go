//go:build cuda

package gpu

// #include <cuda.h>
//
// // What libcuda/shim.c has to say where it is linked in: cuInit's result.
// extern int polyphonInitResult __attribute__((weak));
// static int initResult(void) { return &polyphonInitResult ? polyphonInitResult : CUDA_SUCCESS; }
import "C"

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
)

// The kernels for compute capability 7.0 (Volta) and 8.0, from kernels/ptx.sh. The driver compiles them for its GPU.
var (
	//go:embed kernels/compute_70.ptx.gz
	ptx70 []byte
	//go:embed kernels/compute_80.ptx.gz
	ptx80 []byte
)

// cudaDriver works on a GPU's primary context. Contexts belong to threads, so each call locks its goroutine to one.
type cudaDriver struct {
	dev       cu.Device
	label     string
	tensor    bool
	ctx       cu.CUContext
	module    cu.Module
	copies    cu.Stream // from the host, while kernels run
	uploads   chan *stage
	downloads chan *stage

	mu      sync.Mutex // guards what follows
	work    cu.Stream  // kernels, and all other copies
	kernels map[string]cu.Function
	params  []unsafe.Pointer
	batch   batch
}

const (
	uploadStages   = 8
	downloadStages = 4
	stageBytes     = 1 << 20
)

// stage holds a piece of an upload or a download: pinned memory of the host. An upload's is copied to device while
// kernels run, and from there to its destination when the kernels before the upload have ended.
type stage struct {
	host    unsafe.Pointer
	device  cu.DevicePtr
	arrived cu.Event // in device, or in a download's host
	moved   cu.Event // out of device: the stage may be used again
}

// Open returns GPU number n, counted from 0 in the driver's order (CUDA_VISIBLE_DEVICES hides some). An empty p is TF32
// where the GPU has tensor cores for it, else Float32. Where something is missing the error wraps ErrUnavailable.
func Open(n int, p Precision) (*Device, error) {
	if failed := C.initResult(); failed != C.CUDA_SUCCESS {
		return nil, fmt.Errorf("%w: the NVIDIA driver does not start (CUDA error %d); "+
			"nvidia-smi shows whether there is one, and a GPU", ErrUnavailable, failed)
	}
	count, err := cu.NumDevices()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if n < 0 || n >= count {
		return nil, fmt.Errorf("%w: there is no GPU %d, %d in all", ErrUnavailable, n, count)
	}
	d := &cudaDriver{
		kernels: map[string]cu.Function{},
		uploads: make(chan *stage, uploadStages), downloads: make(chan *stage, downloadStages),
		// With CUDA_LAUNCH_BLOCKING the driver waits for each kernel: no graphs.
		batch: batch{graphs: map[string]*graph{}, direct: os.Getenv("CUDA_LAUNCH_BLOCKING") == "1"},
	}
	if err = d.open(n); err == nil {
		var opened *Device
		if opened, err = newDevice(d, p); err == nil {
			return opened, nil
		}
	}
	return nil, errors.Join(err, d.close())
}

func (d *cudaDriver) open(n int) error {
	var major, minor int
	var err error
	if d.dev, err = cu.GetDevice(n); err == nil {
		d.label, err = d.dev.Name()
	}
	if err == nil {
		major, minor, err = d.dev.ComputeCapability()
	}
	if err != nil {
		return fmt.Errorf("%w: GPU %d: %w", ErrUnavailable, n, err)
	}
	if major < 7 {
		return fmt.Errorf("%w: %s has compute capability %d.%d, 7.0 is needed", ErrUnavailable, d.label, major, minor)
	}
	d.tensor = major >= 8
	ctx, err := d.dev.RetainPrimaryCtx()
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, d.label, err)
	}
	d.ctx = ctx
	return d.bound(d.prepare)
}

// bound calls f on a thread with the GPU's context.
func (d *cudaDriver) bound(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(d.ctx); err != nil {
		return err
	}
	err := f()
	switch err {
	case cu.IllegalAddress, cu.MisalignedAddress, cu.IllegalInstruction, cu.LaunchFailed, cu.LaunchTimeout:
		return fmt.Errorf("%w, here or in a kernel before (CUDA_LAUNCH_BLOCKING=1 shows which)", err)
	}
	return err
}

func (d *cudaDriver) prepare() error {
	packed := ptx70
	if d.tensor {
		packed = ptx80
	}
	var ptx []byte
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		ptx, err = io.ReadAll(unpacked)
	}
	if err != nil {
		return fmt.Errorf("gpu: the kernels: %w", err)
	}
	if d.module, err = cu.LoadData(string(ptx)); err != nil {
		return fmt.Errorf("%w: %s does not take the kernels: %w", ErrUnavailable, d.label, err)
	}
	if d.work, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return err
	}
	if d.copies, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return err
	}
	if err := openStages(d.uploads, true); err != nil {
		return err
	}
	return openStages(d.downloads, false)
}

// openStages fills a channel with the stages of uploads or downloads. Where it fails, close releases what it has made.
func openStages(stages chan *stage, upload bool) (err error) {
	for range cap(stages) {
		s := new(stage)
		stages <- s
		if s.host, err = pinned(stageBytes); err != nil {
			return err
		}
		if s.arrived, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return err
		}
		if !upload {
			continue
		}
		if s.device, err = cu.MemAlloc(stageBytes); err != nil {
			return err
		}
		if s.moved, err = cu.MakeEvent(cu.DisableTiming); err != nil {
			return err
		}
	}
	return nil
}

// pinned returns memory of the host that the GPU can read and write.
func pinned(bytes int) (unsafe.Pointer, error) {
	var p unsafe.Pointer
	if failed := C.cuMemHostAlloc(&p, C.size_t(bytes), 0); failed != C.CUDA_SUCCESS {
		return nil, fmt.Errorf("%d bytes of pinned memory: CUDA error %d", bytes, failed)
	}
	return p, nil
}

func (d *cudaDriver) name() string      { return d.label }
func (d *cudaDriver) tensorCores() bool { return d.tensor }

func (d *cudaDriver) alloc(bytes int) (addr uint64, err error) {
	err = d.bound(func() error {
		p, err := cu.MemAlloc(int64(bytes))
		addr = uint64(p)
		return err
	})
	return addr, err
}

func (d *cudaDriver) free(addr uint64) {
	// An error here is that of an earlier kernel, which close reports.
	_ = d.bound(func() error { return d.queued(func() error { return cu.MemFree(cu.DevicePtr(addr)) }) })
}

func (d *cudaDriver) clear(addr uint64, bytes int) error {
	return d.bound(func() error {
		return d.queued(func() error { return cu.MemsetD8Async(cu.DevicePtr(addr), 0, int64(bytes), d.work) })
	})
}

// upload copies into pinned memory while other calls use the driver.
func (d *cudaDriver) upload(dst uint64, src []float32) error {
	return d.inPieces(len(src), d.uploads, func(s *stage, from, to int) error {
		if err := s.moved.Synchronize(); err != nil {
			return err
		}
		bytes := int64(copy(unsafe.Slice((*float32)(s.host), to-from), src[from:])) * 4
		return d.queued(func() error {
			if err := cu.MemcpyHtoDAsync(s.device, s.host, bytes, d.copies); err != nil {
				return err
			}
			if err := s.arrived.Record(d.copies); err != nil {
				return err
			}
			if err := d.work.Wait(s.arrived, 0); err != nil {
				return err
			}
			if err := cu.MemcpyDtoDAsync(cu.DevicePtr(dst)+cu.DevicePtr(4*from), s.device, bytes, d.work); err != nil {
				return err
			}
			return s.moved.Record(d.work)
		})
	})
}

// download waits while other calls use the driver.
func (d *cudaDriver) download(dst []float32, src uint64) error {
	return d.inPieces(len(dst), d.downloads, func(s *stage, from, to int) error {
		err := d.queued(func() error {
			piece := cu.DevicePtr(src) + cu.DevicePtr(4*from)
			if err := cu.MemcpyDtoHAsync(s.host, piece, int64(4*(to-from)), d.work); err != nil {
				return err
			}
			return s.arrived.Record(d.work)
		})
		if err == nil {
			err = s.arrived.Synchronize()
		}
		if err == nil {
			copy(dst[from:to], unsafe.Slice((*float32)(s.host), to-from))
		}
		return err
	})
}

// inPieces calls f for each piece of n values, as many as a stage holds, with one of the stages.
func (d *cudaDriver) inPieces(n int, stages chan *stage, f func(s *stage, from, to int) error) error {
	return d.bound(func() error {
		for from := 0; from < n; from += stageBytes / 4 {
			s := <-stages
			err := f(s, from, min(from+stageBytes/4, n))
			stages <- s
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// queued calls f, which sends commands to the GPU, after those that were queued before.
func (d *cudaDriver) queued(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.flush(); err != nil {
		return err
	}
	return f()
}

func (d *cudaDriver) launch(kernel string, grid, block size, args []uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.kernels[kernel]
	if !ok {
		err := d.bound(func() (err error) {
			f, err = d.module.Function(kernel)
			return err
		})
		if err != nil {
			return err
		}
		d.kernels[kernel] = f
	}
	d.batch.add(queuedKernel{
		name: kernel, f: f, words: len(args),
		shape: [6]C.uint{C.uint(grid.x), C.uint(grid.y), C.uint(grid.z), C.uint(block.x), C.uint(block.y), C.uint(block.z)},
	}, args)
	if d.batch.direct || len(d.batch.kernels) == maxQueued {
		return d.bound(d.flush)
	}
	return nil
}

// close releases what open and prepare have made, even where they failed half-way: zero values were not made.
func (d *cudaDriver) close() error {
	if d.ctx == (cu.CUContext{}) {
		return nil
	}
	err := d.bound(func() error {
		err := errors.Join(d.flush(), unless(d.work == (cu.Stream{}), d.dropGraphs), cu.Synchronize())
		for _, stages := range []chan *stage{d.uploads, d.downloads} {
			for range len(stages) {
				s := <-stages
				err = errors.Join(err, unless(s.host == nil, func() error { return cu.MemFreeHost(s.host) }),
					unless(s.device == 0, func() error { return cu.MemFree(s.device) }), destroy(&s.arrived), destroy(&s.moved))
			}
		}
		return errors.Join(err, unless(d.work == (cu.Stream{}), d.work.Destroy),
			unless(d.copies == (cu.Stream{}), d.copies.Destroy), unless(d.module == (cu.Module{}), d.module.Unload))
	})
	err = errors.Join(err, d.dev.ReleasePrimaryCtx())
	d.ctx = cu.CUContext{}
	if err != nil {
		return fmt.Errorf("gpu: closing %s: %w", d.label, err)
	}
	return nil
}

func destroy(e *cu.Event) error {
	return unless(*e == (cu.Event{}), func() error { return cu.DestroyEvent(e) })
}

// unless calls f where what it releases is there.
func unless(missing bool, f func() error) error {
	if missing {
		return nil
	}
	return f()
}
