package inference

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// probe is a device in the host's memory that counts the memory in use and calls hooks before kernels.
type probe struct {
	device.Device
	*probed
}

type probed struct {
	mu       sync.Mutex
	used     map[*float32]int // buffers, with their lengths
	onMatMul func()           // called by MatMul, if not nil
	onPack   func()           // called by PackWindows, if not nil
}

func newProbe(d device.Device) probe { return probe{d, &probed{used: map[*float32]int{}}} }

func (p probe) Serial() device.Device { return probe{p.Device.Serial(), p.probed} }

func (p probe) Alloc(n int) device.Buffer {
	b := p.Device.Alloc(n)
	p.add(b)
	return b
}

// add notes that a buffer is in use.
func (p probe) add(b device.Buffer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !b.Empty() {
		p.used[unsafe.SliceData(b.Host())] = b.Len()
	}
}

// Free panics as a GPU does for what is not a buffer in use.
func (p probe) Free(b device.Buffer) {
	if b.Empty() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	address := unsafe.SliceData(b.Host())
	if n := p.used[address]; n != b.Len() {
		panic(fmt.Sprintf("%d values of a buffer of %d are freed", b.Len(), n))
	}
	delete(p.used, address)
}

// buffers returns how many buffers are in use, and values in them.
func (p probe) buffers() (count, values int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.used {
		values += n
	}
	return len(p.used), values
}

func (p probe) Pack(dst *device.Packed, w device.Buffer, k, n int) {
	p.Device.Pack(dst, w, k, n)
	p.add(dst.Data)
}

func (p probe) PackWindows(dst *device.Packed, w device.Buffer, n int, a device.View) {
	if p.onPack != nil {
		p.onPack()
	}
	p.Device.PackWindows(dst, w, n, a)
	p.add(dst.Data)
}

func (p probe) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	if p.onMatMul != nil {
		p.onMatMul()
	}
	p.Device.MatMul(dst, a, w, e)
}

// logMelProbe is a probe that computes features, with the extractor's arithmetic.
type logMelProbe struct {
	probe
	model     *polynet.Model
	extractor *features.Extractor
}

func (p logMelProbe) SupportsLogMel(device.LogMelSpec) bool { return true }

func (p logMelProbe) LogMel(dst, sound device.View, _ device.LogMelSpec) {
	for g := range sound.Groups {
		samples := sound.Data.Host()[g*sound.GroupStride:][:sound.Cols]
		rows := p.extractor.Rows(nil, samples, p.extractor.Scratch())
		p.model.Norm.Apply(rows)
		if len(rows) != dst.Rows*dst.Cols || dst.RowStride != dst.Cols {
			panic(fmt.Sprintf("%d features for %v", len(rows), dst))
		}
		copy(dst.Data.Host()[g*dst.GroupStride:], rows)
	}
}
