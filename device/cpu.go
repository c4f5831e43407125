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

// KernelsVariable is the environment variable that selects CPU's kernel set by name.
const KernelsVariable = isa.Variable

// CPU returns a device on this machine's processor that uses at most threads threads, or runtime.GOMAXPROCS(0)
// where threads is 0. It takes the fastest kernels that the machine can run, or those that the environment
// variable POLYPHON_CPU names (generic, avx2, avx512, neon), with an error that wraps ErrKernels if there are none.
//
// Goroutines may share the device. Results are the same, bit for bit, for any number of threads, but differ in
// rounding from one kernel set to another. With one thread, everything runs on the caller's goroutine.
func CPU(threads int) (Trainer, error) {
	set, err := isa.Chosen()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKernels, err)
	}
	if threads < 0 {
		return nil, fmt.Errorf("device: %d threads", threads)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	k := simd.Of(set)
	return Checked(&cpu{kernels: k, threads: threads, winograds: winogradsOf(k), words: wordWinogradsOf(k)}), nil
}

// Kernels returns the names of the kernel sets that this machine can run, slowest first.
func Kernels() []string {
	var names []string
	for _, s := range isa.Sets() {
		names = append(names, string(s))
	}
	return names
}

type cpu struct {
	host
	kernels   *simd.Kernels
	threads   int
	winograds []*winograd
	words     []*winograd // of integers

	tiles    pool[tile]
	floats   pool[[]float32]
	products pool[narrowProduct]
	doubles  pool[[]float64]
	workers  workerPool
}

func (d *cpu) Name() string {
	plural := "s"
	if d.threads == 1 {
		plural = ""
	}
	return fmt.Sprintf("cpu (%s, %d thread%s)", d.kernels.Name, d.threads, plural)
}

func (d *cpu) Serial() Device {
	if d.threads == 1 {
		return d
	}
	return &cpu{kernels: d.kernels, threads: 1, winograds: d.winograds, words: d.words}
}

// pool holds values that are used again: get one, and Put it back.
type pool[T any] struct{ sync.Pool }

// get returns a value with the content that it was put back with, or a new one.
func (p *pool[T]) get() *T {
	if v, _ := p.Get().(*T); v != nil {
		return v
	}
	return new(T)
}

// scratch returns n undefined floats, to be put back into d.floats.
func (d *cpu) scratch(n int) *[]float32 {
	p := d.floats.get()
	*p = grown(*p, n)
	return p
}

// zeros is scratch with zeros.
func (d *cpu) zeros(n int) *[]float32 {
	p := d.scratch(n)
	clear(*p)
	return p
}

// grown returns s with length n and undefined values.
func grown[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// onHost returns how many of the views are given, all of which have to be in the host's memory.
func onHost(views ...View) int {
	given := 0
	for _, v := range views {
		if len(values(v.Data)) > 0 {
			given++
		}
	}
	return given
}

// merge turns views of one shape into views of one group where all their rows are equally far apart.
func merge(views ...*View) {
	if views[0].Groups <= 1 {
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

// from returns v's values from row r of group g and column c on, over count rows and cols columns.
func (v *View) from(g, r, c, count, cols int) []float32 {
	start := g*v.GroupStride + r*v.RowStride + c
	return v.Data.host[start : start+(count-1)*v.RowStride+cols]
}

// optional returns values of a vector in the form that kernels expect, with length 0 if it is left out.
func optional(b Buffer, from, to int) []float32 { return b.columns(from, to-from) }

// columns is optional for a vector's columns from the given one on, without a copy of b.
func (b *Buffer) columns(from, count int) []float32 {
	if b.n == 0 {
		return nil
	}
	return b.host[from : from+count]
}
