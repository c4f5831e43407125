//go:build hostcuda && !cuda

package gpu

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall
// #cgo linux LDFLAGS: -lstdc++
// #include <stdlib.h>
// #include <string.h>
// #include "host_kernels.h"
import "C"

import (
	"embed"
	"errors"
	"fmt"
	"unsafe"
)

// The kernels' sources, embedded only so that Go compiles them again when they change.
//
//go:embed kernels
var sources embed.FS

// order is the order in which a block's threads run; see kernels/host.h.
type order int

const (
	forward order = iota
	backward
	shuffled
)

// hostDriver runs the kernels on the host's processor, in its memory.
type hostDriver struct{ order order }

// Open returns the host's processor, which stands in for a GPU.
func Open(n int, p Precision) (*Device, error) {
	if n != 0 {
		return nil, fmt.Errorf("%w: the host stands in for GPU 0 alone", ErrUnavailable)
	}
	return newDevice(&hostDriver{}, p)
}

func (*hostDriver) name() string      { return "host" }
func (*hostDriver) tensorCores() bool { return true }

// alloc returns memory full of NaN, as it may be on a GPU.
func (*hostDriver) alloc(bytes int) (uint64, error) {
	p := C.aligned_alloc(heapAlign, C.size_t(bytes))
	if p == nil {
		return 0, errors.New("out of memory")
	}
	C.memset(p, 0xff, C.size_t(bytes))
	return uint64(uintptr(p)), nil
}

func (*hostDriver) free(addr uint64) { C.free(pointer(addr)) }

func (*hostDriver) clear(addr uint64, bytes int) error {
	C.memset(pointer(addr), 0, C.size_t(bytes))
	return nil
}

func (*hostDriver) upload(dst uint64, src []float32) error {
	copy(unsafe.Slice((*float32)(pointer(dst)), len(src)), src)
	return nil
}

func (*hostDriver) download(dst []float32, src uint64) error {
	copy(dst, unsafe.Slice((*float32)(pointer(src)), len(dst)))
	return nil
}

func (d *hostDriver) launch(kernel string, grid, block size, args []uint64) error {
	name := C.CString(kernel)
	defer C.free(unsafe.Pointer(name))
	problem := C.launchOnHost(name, extent(grid), extent(block),
		unsafe.Pointer(&args[0]), C.size_t(8*len(args)), C.int(d.order))
	if problem != nil {
		return errors.New(C.GoString(problem))
	}
	return nil
}

func (*hostDriver) close() error { return nil }

func extent(s size) C.struct_extent { return C.struct_extent{C.uint(s.x), C.uint(s.y), C.uint(s.z)} }

// pointer turns an address in C's memory, which is not the garbage collector's, into a pointer.
func pointer(addr uint64) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
