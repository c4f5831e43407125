package devicetest

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/device"
)

// guard is the number of guard values before and after all memory that a case uses.
const guard = 67

// guardValue is a distinctive NaN: overwriting it shows, and so does reading it, in the result.
var guardValue = math.Float32frombits(0x7fc0beef)

// fixture makes a case's operands on a device, each once, by name. The case's name is the seed of their values.
type fixture struct {
	shape
	device.Trainer
	rng    *rand.Rand
	draw   func(rng *rand.Rand) float32
	memory map[string]device.Buffer // with guards
	views  map[string]device.View
	w      device.Packed
}

func newFixture(d device.Trainer, c testCase) *fixture {
	seed := fnv.New64a()
	seed.Write([]byte(c.name()))
	return &fixture{
		shape: c.shape, Trainer: d, rng: rand.New(rand.NewPCG(seed.Sum64(), 17)), draw: c.draw,
		memory: map[string]device.Buffer{}, views: map[string]device.View{},
	}
}

// wait waits until the device has finished.
func (f *fixture) wait() {
	for _, b := range f.memory {
		f.Download(make([]float32, 1), b.Slice(0, 1))
		return
	}
}

// ordinary returns a value of ordinary size, from -1.5 to 2, so that sums do not cancel completely.
func ordinary(rng *rand.Rand) float32 { return 3.5*rng.Float32() - 1.5 }

// random returns an ordinary value, or one as the case draws them.
func (f *fixture) random() float32 {
	if f.draw != nil {
		return f.draw(f.rng)
	}
	return ordinary(f.rng)
}

// col returns a vector of one random value a column, positive one of positive values.
func (f *fixture) col(name string) device.Buffer { return f.vector(name, f.cols, f.random) }
func (f *fixture) positive(name string) device.Buffer {
	return f.vector(name, f.cols, func() float32 { return 0.1 + 0.8*f.rng.Float32() })
}

// main returns a view of the case's shape, with a row stride that may differ from cols; dense one without gaps.
func (f *fixture) main(name string) device.View {
	return f.view(name, f.rows, f.cols, f.cols+f.gap%2, f.gap)
}
func (f *fixture) dense(name string) device.View { return f.view(name, f.rows, f.cols, f.cols, 0) }

// transposed returns a view for the transposed matrices, pooled one with one row a group, windows one of a product's.
func (f *fixture) transposed(name string) device.View {
	return f.view(name, f.cols, f.rows, f.rows+f.gap, f.gap)
}
func (f *fixture) pooled(name string) device.View { return f.view(name, 1, f.cols, f.cols, 3) }
func (f *fixture) windows(name string) device.View {
	return f.view(name, f.rows, f.depth, f.step, f.gap)
}

// taps returns the weights of a depthwise convolution.
func (f *fixture) taps(name string) device.Buffer { return f.vector(name, f.depth, f.random) }

// packed returns a product's weight, packedWindows the weight for windows.
func (f *fixture) packed() *device.Packed {
	if f.w.Data.Empty() {
		f.Pack(&f.w, f.vector("w", f.depth*f.cols, f.random), f.depth, f.cols)
	}
	return &f.w
}
func (f *fixture) packedWindows() *device.Packed {
	if f.w.Data.Empty() {
		windows := device.View{Groups: f.groups, Rows: f.rows, Cols: f.depth, RowStride: f.step}
		f.PackWindows(&f.w, f.vector("w", f.depth*f.cols, f.random), f.cols, windows)
	}
	return &f.w
}

// vector returns n values.
func (f *fixture) vector(name string, n int, value func() float32) device.Buffer {
	if b, made := f.memory[name]; made {
		return b.Slice(guard, guard+n)
	}
	content := make([]float32, n)
	for i := range content {
		content[i] = value()
	}
	return f.place(name, content)
}

// view returns groups of random rows. Rows lie rowStride apart, groups have gap values between them, all guards.
func (f *fixture) view(name string, rows, cols, rowStride, gap int) device.View {
	if v, made := f.views[name]; made {
		return v
	}
	v := device.View{Groups: f.groups, Rows: rows, Cols: cols, RowStride: rowStride, GroupStride: gap}
	if rows > 0 {
		v.GroupStride += (rows-1)*rowStride + cols
	}
	content := slices.Repeat([]float32{guardValue}, v.Extent())
	for g := range v.Groups {
		for r := range rows {
			row := content[g*v.GroupStride+r*rowStride:][:cols]
			for c := range row {
				row[c] = f.random()
			}
		}
	}
	v.Data = f.place(name, content)
	f.views[name] = v
	return v
}

// place uploads content between guards.
func (f *fixture) place(name string, content []float32) device.Buffer {
	guards := slices.Repeat([]float32{guardValue}, guard)
	host := slices.Concat(guards, content, guards)
	b := f.Alloc(len(host))
	f.Upload(b, host)
	f.memory[name] = b
	return b.Slice(guard, guard+len(content))
}
