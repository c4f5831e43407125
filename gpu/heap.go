//go:build cuda || hostcuda

package gpu

import (
	"math/bits"

	"github.com/polyphon/polyphon/device"
)

// heap allocates from the driver's memory. Freed blocks are kept for the next request of their size class, so that
// repeated steps never call the driver, which would wait for the GPU. Since the GPU works in the order of the calls, a
// block may be reused while kernels that were started before still use it.
type heap struct {
	driver driver
	chunks map[uint64]bool  // allocated by the driver
	rest   uint64           // unused part of the newest chunk, for small blocks
	left   int              // bytes there
	unused map[int][]uint64 // free blocks by size
	sizes  map[uint64]int   // of the blocks in use
}

const (
	heapAlign = 256 // bytes
	heapChunk = 16 << 20
	ownChunk  = heapChunk / 4 // larger blocks have a chunk of their own
)

func newHeap(d driver) heap {
	return heap{driver: d, chunks: map[uint64]bool{}, unused: map[int][]uint64{}, sizes: map[uint64]int{}}
}

// sizeClass rounds up to one of four sizes between two powers of two: at most a fifth is wasted.
func sizeClass(bytes int) int {
	step := max(heapAlign, 1<<max(0, bits.Len(uint(bytes-1))-3))
	return device.CeilDiv(bytes, step) * step
}

// alloc returns memory of undefined content.
func (h *heap) alloc(bytes int) (addr uint64, err error) {
	class := sizeClass(max(bytes, 1))
	kept := h.unused[class]
	switch {
	case len(kept) > 0:
		addr = kept[len(kept)-1]
		h.unused[class] = kept[:len(kept)-1]
	case class > ownChunk:
		addr, err = h.chunk(class)
	default:
		if class > h.left {
			if addr, err = h.chunk(heapChunk); err != nil {
				return 0, err
			}
			h.rest, h.left = addr, heapChunk
		}
		addr = h.rest
		h.rest, h.left = h.rest+uint64(class), h.left-class
	}
	if err == nil {
		h.sizes[addr] = class
	}
	return addr, err
}

// chunk allocates from the driver. If that has no more memory, it first gets back unused chunks.
func (h *heap) chunk(bytes int) (uint64, error) {
	addr, err := h.driver.alloc(bytes)
	if err != nil && h.shrink() {
		addr, err = h.driver.alloc(bytes)
	}
	if err == nil {
		h.chunks[addr] = true
	}
	return addr, err
}

// shrink returns the free blocks that are chunks of their own to the driver, and reports whether there were any.
func (h *heap) shrink() (any bool) {
	for class, blocks := range h.unused {
		if class <= ownChunk {
			continue
		}
		for _, addr := range blocks {
			h.driver.free(addr)
			delete(h.chunks, addr)
			any = true
		}
		delete(h.unused, class)
	}
	return any
}

func (h *heap) free(addr uint64) {
	class, ok := h.sizes[addr]
	if !ok {
		panic("gpu: Free of memory that Alloc did not return, or a second Free")
	}
	delete(h.sizes, addr)
	h.unused[class] = append(h.unused[class], addr)
}

// release returns all memory to the driver.
func (h *heap) release() {
	for addr := range h.chunks {
		h.driver.free(addr)
	}
	*h = newHeap(h.driver)
}
