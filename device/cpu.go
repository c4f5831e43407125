package device

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/polyphon/polyphon/device/internal/simd"
	"github.com/polyphon/polyphon/internal/isa"
)

// ErrKernels reports a kernel set that does not exist or that this machine cannot run.
var ErrKernels = errors.New("device: no such CPU kernels")

// KernelsVariable names the environment variable that makes CPU take the kernel set that it names.
const KernelsVariable = isa.Variable

// CPU returns a device on this machine's processor that uses at most threads threads, or runtime.GOMAXPROCS(0)
// where threads is 0. It takes the fastest kernels that the machine can run, or those that the environment
// variable POLYPHON_CPU names (generic, avx2, avx512); ErrKernels says that they are missing.
//
// The device holds no state: goroutines may share one. Results are the same, bit for bit, for any number of
// threads, but differ in rounding from one kernel set to another. With one thread, everything runs on the
// caller's goroutine.
func CPU(threads int) (Trainer, error) {
	set, err := isa.Chosen()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKernels, err)
	}
	return newCPU(set, threads)
}

// Kernels returns the names of the kernel sets that this machine can run, slowest first.
func Kernels() []string {
	var names []string
	for _, s := range isa.Sets() {
		names = append(names, string(s))
	}
	return names
}

// CPUWith is CPU with the named kernel set.
func CPUWith(kernels string, threads int) (Trainer, error) {
	set, err := isa.Parse(kernels)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKernels, err)
	}
	return newCPU(set, threads)
}

func newCPU(set isa.Set, threads int) (Trainer, error) {
	if threads < 0 {
		return nil, fmt.Errorf("device: %d threads", threads)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	k := simd.Of(set)
	return Checked(&cpu{
		kernels: k, threads: threads,
		filterChoice: []*filter{
			newFilter(&k.WinogradF23, nil, 12), newFilter(&k.WinogradF33, nil, 6), newFilter(&k.WinogradF33, &k.WinogradF33, 20),
			newFilter(&k.WinogradF45, nil, 12),
		},
	}), nil
}

// Serial implements Device.
func (d *cpu) Serial() Device {
	if d.threads == 1 {
		return d
	}
	return &cpu{kernels: d.kernels, threads: 1, filterChoice: d.filterChoice}
}

type cpu struct {
	host
	kernels      *simd.Kernels
	threads      int
	filterChoice []*filter
	tiles        sync.Pool // of *productTile
	filters      sync.Pool // of *filterTile
	floats       sync.Pool // of *[]float32: partial sums
	float64s     sync.Pool // of *[]float64: sums of all rows
	team         team
}

func (d *cpu) Name() string {
	plural := "s"
	if d.threads == 1 {
		plural = ""
	}
	return fmt.Sprintf("cpu (%s, %d thread%s)", d.kernels.Name, d.threads, plural)
}

// scratch returns n zeroed floats from the pool; give them back with release.
func (d *cpu) scratch(n int) *[]float32 {
	p := d.memory(n)
	clear(*p)
	return p
}

// doubles returns n zeroed float64 values; give them back to d.float64s.
func (d *cpu) doubles(n int) *[]float64 {
	p, _ := d.float64s.Get().(*[]float64)
	if p == nil {
		p = new([]float64)
	}
	*p = append((*p)[:0], make([]float64, n)...)
	return p
}

// memory is scratch with undefined values.
func (d *cpu) memory(n int) *[]float32 {
	p, _ := d.floats.Get().(*[]float32)
	if p == nil {
		p = new([]float32)
	}
	if cap(*p) < n {
		*p = make([]float32, n)
	}
	*p = (*p)[:n]
	return p
}

func (d *cpu) release(p *[]float32) { d.floats.Put(p) }

// merge turns views of one shape into views of one group where their rows follow each other at one stride.
func merge(views ...*View) {
	if len(views) == 0 || views[0].Groups <= 1 {
		return
	}
	single := views[0].Rows == 1
	for _, v := range views {
		if !v.Empty() && !single && v.GroupStride != v.Rows*v.RowStride {
			return
		}
	}
	for _, v := range views {
		if single {
			v.RowStride = v.GroupStride
		}
		v.Rows *= v.Groups
		v.Groups = 1
	}
}

// from returns v's values from row r of group g on, over count rows and cols columns starting at column c.
func (v *View) from(g, r, c, count, cols int) []float32 {
	start := g*v.GroupStride + r*v.RowStride + c
	return v.Data.host[start : start+(count-1)*v.RowStride+cols]
}

// optional returns a vector that may be left out as kernels expect it, with length 0 then.
func optional(b Buffer, from, to int) []float32 {
	if b.Empty() {
		return nil
	}
	return b.host[from:to]
}
