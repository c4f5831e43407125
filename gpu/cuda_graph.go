//go:build cuda

package gpu

// #include <cuda.h>
//
// static CUDA_KERNEL_NODE_PARAMS node(CUfunction f, const unsigned *shape, void **params) {
//     CUDA_KERNEL_NODE_PARAMS p = {
//         .func = f, .gridDimX = shape[0], .gridDimY = shape[1], .gridDimZ = shape[2],
//         .blockDimX = shape[3], .blockDimY = shape[4], .blockDimZ = shape[5], .kernelParams = params,
//     };
//     return p;
// }
//
// // args is the kernel's one argument; it is copied.
// static CUresult addKernel(CUgraph g, CUgraphNode *last, CUfunction f, const unsigned *shape, void *args) {
//     void *params[] = {args};
//     CUDA_KERNEL_NODE_PARAMS p = node(f, shape, params);
//     CUgraphNode after = *last;
//     return cuGraphAddKernelNode(last, g, &after, after != NULL, &p);
// }
//
// static CUresult setKernel(CUgraphExec g, CUgraphNode n, CUfunction f, const unsigned *shape, void *args) {
//     void *params[] = {args};
//     CUDA_KERNEL_NODE_PARAMS p = node(f, shape, params);
//     return cuGraphExecKernelNodeSetParams(g, n, &p);
// }
//
// static CUresult instantiate(CUgraphExec *exec, CUgraph g) { return cuGraphInstantiateWithFlags(exec, g, 0); }
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"gorgonia.org/cu"
)

// batch holds kernels that have been queued and not started. They are started together before any other command to the
// GPU, as a graph if there is one: each training step or run of a session queues the same kernels but for a few
// arguments, and starting a graph costs little more than starting one kernel.
type batch struct {
	kernels []queuedKernel
	args    []uint64 // of all kernels, in order
	key     []byte   // identifies the kernels, without their arguments
	graphs  map[string]*graph
	direct  bool // graphs are not supported, or not wanted
}

type queuedKernel struct {
	name  string
	f     cu.Function
	shape [6]C.uint // the grid's and the block's
	words int       // of arguments
}

// graph is a batch that was started before. It has no exec after the first time, since many batches do not recur.
type graph struct {
	exec  C.CUgraphExec
	nodes []C.CUgraphNode
	args  []uint64
}

const (
	maxQueued       = 1024 // kernels
	minGraphKernels = 4
	maxGraphs       = 64
)

func (b *batch) add(k queuedKernel, args []uint64) {
	b.kernels = append(b.kernels, k)
	b.args = append(b.args, args...)
	b.key = binary.NativeEndian.AppendUint64(b.key, uint64(uintptr(unsafe.Pointer(handle(k.f)))))
	for _, n := range k.shape {
		b.key = binary.NativeEndian.AppendUint32(b.key, uint32(n))
	}
}

func (b *batch) clear() { b.kernels, b.args, b.key = b.kernels[:0], b.args[:0], b.key[:0] }

// handle returns the driver's handle, the only field of cu's type, which cu does not export.
func handle(f cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(&f)) }

// flush starts the kernels of the batch. The caller holds the lock.
func (d *cudaDriver) flush() error {
	b := &d.batch
	defer b.clear()
	if !b.direct && len(b.kernels) >= minGraphKernels {
		started, err := d.startGraph()
		if started || err != nil {
			return err
		}
	}
	args := b.args
	for _, k := range b.kernels {
		if err := d.startKernel(k, args[:k.words]); err != nil {
			return fmt.Errorf("kernel %s: %w", k.name, err)
		}
		args = args[k.words:]
	}
	return nil
}

// startKernel starts one kernel by itself.
func (d *cudaDriver) startKernel(k queuedKernel, args []uint64) error {
	// cu copies eight bytes from each pointer: the kernel's one argument, word by word.
	d.params = d.params[:0]
	for i := range args {
		d.params = append(d.params, unsafe.Pointer(&args[i]))
	}
	s := k.shape
	return k.f.Launch(int(s[0]), int(s[1]), int(s[2]), int(s[3]), int(s[4]), int(s[5]), 0, d.work, d.params)
}

// startGraph starts the batch as a graph if it was started before, and nothing where the driver supports no graphs.
func (d *cudaDriver) startGraph() (started bool, err error) {
	b := &d.batch
	g := b.graphs[string(b.key)]
	switch {
	case g == nil:
		if len(b.graphs) >= maxGraphs {
			if err := d.dropGraphs(); err != nil {
				return false, err
			}
		}
		b.graphs[string(b.key)] = new(graph)
		return false, nil
	case g.exec == nil && !b.build(g), !b.update(g):
		b.direct = true
		return false, nil
	}
	stream := d.work
	if failed := C.cuGraphLaunch(g.exec, *(*C.CUstream)(unsafe.Pointer(&stream))); failed != C.CUDA_SUCCESS {
		return false, fmt.Errorf("%d kernels from %s to %s: CUDA error %d",
			len(b.kernels), b.kernels[0].name, b.kernels[len(b.kernels)-1].name, failed)
	}
	return true, nil
}

// build makes the graph of the batch's kernels in their order, and reports whether that was possible.
func (b *batch) build(g *graph) bool {
	var made C.CUgraph
	if C.cuGraphCreate(&made, 0) != C.CUDA_SUCCESS {
		return false
	}
	defer C.cuGraphDestroy(made)
	var last C.CUgraphNode
	args := b.args
	for i := range b.kernels {
		k := &b.kernels[i]
		if C.addKernel(made, &last, handle(k.f), &k.shape[0], unsafe.Pointer(&args[0])) != C.CUDA_SUCCESS {
			return false
		}
		g.nodes = append(g.nodes, last)
		args = args[k.words:]
	}
	g.args = slices.Clone(b.args)
	return C.instantiate(&g.exec, made) == C.CUDA_SUCCESS
}

// update sets the arguments of the graph's kernels to the batch's, and reports whether that was possible.
func (b *batch) update(g *graph) bool {
	at := 0
	for i := range b.kernels {
		k := &b.kernels[i]
		now, was := b.args[at:at+k.words], g.args[at:at+k.words]
		at += k.words
		if slices.Equal(now, was) {
			continue
		}
		if C.setKernel(g.exec, g.nodes[i], handle(k.f), &k.shape[0], unsafe.Pointer(&now[0])) != C.CUDA_SUCCESS {
			return false
		}
		copy(was, now)
	}
	return true
}

// dropGraphs destroys all graphs.
func (d *cudaDriver) dropGraphs() error {
	err := d.work.Synchronize()
	for _, g := range d.batch.graphs {
		if g.exec != nil && C.cuGraphExecDestroy(g.exec) != C.CUDA_SUCCESS {
			err = errors.Join(err, errors.New("a graph cannot be destroyed"))
		}
	}
	clear(d.batch.graphs)
	return err
}
