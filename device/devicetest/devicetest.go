// Package devicetest checks a device.Trainer against the reference device, and measures it, on one table of cases.
package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// Run checks every case of the table on d against device.Ref: results within the case's tolerance, and not a bit
// changed in front of, behind and between the rows of anything.
func Run(t *testing.T, d device.Trainer) { RunAgainst(t, d, device.Ref(), 1) }

// RunAgainst is Run with another reference than device.Ref, one that rounds as d is meant to. Products may err slack times as much:
// tensor cores cut sums off where others round.
func RunAgainst(t *testing.T, d, reference device.Trainer, slack float64) {
	for i, c := range cases() {
		if c.flops > 0 {
			c.tolerance *= slack
		}
		t.Run(c.name(), func(t *testing.T) {
			want, got := outcome(c, reference, uint64(i)), outcome(c, d, uint64(i))
			for name, w := range want {
				if err := near(got[name], w, c.tolerance); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// Same checks that d and others give the same results on every case, bit for bit.
func Same(t *testing.T, d device.Trainer, others ...device.Trainer) {
	for i, c := range cases() {
		want := outcome(c, d, uint64(i))
		for _, other := range others {
			got := outcome(c, other, uint64(i))
			for name, w := range want {
				if err := near(got[name], w, 0); err != nil {
					t.Errorf("%s: %s: %s: %v", other.Name(), c.name(), name, err)
				}
			}
		}
	}
}

// Benchmark measures d on the shapes of a network's training and reports GFLOP/s, or GB/s where moving the
// operands is what an operation costs.
func Benchmark(b *testing.B, d device.Trainer) {
	for _, c := range benchmarks() {
		b.Run(c.name(), func(b *testing.B) {
			f := newFixture(d, 1)
			run := c.prepare(f)
			run()
			f.wait()
			b.ResetTimer()
			for range b.N {
				run()
			}
			f.wait()
			perNanosecond := float64(b.N) / float64(b.Elapsed().Nanoseconds())
			if c.flops > 0 {
				b.ReportMetric(float64(c.flops)*perNanosecond, "GFLOP/s")
			} else {
				b.ReportMetric(float64(4*c.touched)*perNanosecond, "GB/s")
			}
		})
	}
}

// outcome runs c on d and returns what its memory holds then, guards included.
func outcome(c testCase, d device.Trainer, seed uint64) map[string][]float32 {
	f := newFixture(d, seed)
	c.prepare(f)()
	held := map[string][]float32{}
	for name, b := range f.memory {
		host := make([]float32, b.Len())
		d.Download(host, b)
		held[name] = host
	}
	return held
}

// near compares values; NaN, which guards are made of, has to be met by the same bits.
func near(got, want []float32, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d values, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if math.Float32bits(g) == math.Float32bits(w) {
			continue
		}
		if !(math.Abs(float64(g)-float64(w)) <= tolerance*(1+math.Abs(float64(w)))) || tolerance == 0 {
			return fmt.Errorf("value %d is %v, want %v", i-guard, g, w)
		}
	}
	return nil
}

// guard is how many values lie in front of and behind all memory that a case uses.
const guard = 67

// guardValue is a NaN of its own: it shows when written over, and spoils the result that reads it.
var guardValue = math.Float32frombits(0x7fc0beef)

// fixture makes a case's operands on a device.
type fixture struct {
	d      device.Trainer
	rng    *rand.Rand
	memory map[string]device.Buffer
}

func newFixture(d device.Trainer, seed uint64) *fixture {
	return &fixture{d: d, rng: rand.New(rand.NewPCG(seed, 17)), memory: map[string]device.Buffer{}}
}

// place uploads content between guards under a name and returns where it lies.
func (f *fixture) place(name string, content []float32) device.Buffer {
	host := make([]float32, len(content)+2*guard)
	for i := range host {
		host[i] = guardValue
	}
	copy(host[guard:], content)
	b := f.d.Alloc(len(host))
	f.d.Upload(b, host)
	f.memory[name] = b
	return b.Slice(guard, guard+len(content))
}

// wait waits until the device has done what it was asked to.
func (f *fixture) wait() {
	for _, b := range f.memory {
		f.d.Download(make([]float32, 1), b.Slice(0, 1))
		return
	}
}

// random returns a value of ordinary size, from -1.5 to 2, so that sums do not cancel altogether.
func (f *fixture) random() float32 { return 3.5*f.rng.Float32() - 1.5 }

// vector places n random values.
func (f *fixture) vector(name string, n int) device.Buffer {
	return f.filled(name, n, f.random)
}

func (f *fixture) filled(name string, n int, value func() float32) device.Buffer {
	content := make([]float32, n)
	for i := range content {
		content[i] = value()
	}
	return f.place(name, content)
}

// view places groups of random rows. Rows lie rowStride apart, groups have gap values between them, all guards.
func (f *fixture) view(name string, groups, rows, cols, rowStride, gap int) device.View {
	size := 0
	if rows > 0 {
		size = (rows-1)*rowStride + cols
	}
	v := device.View{Groups: groups, Rows: rows, Cols: cols, RowStride: rowStride, GroupStride: size + gap}
	content := make([]float32, v.Extent())
	for i := range content {
		content[i] = guardValue
	}
	for g := range groups {
		for r := range rows {
			row := content[g*v.GroupStride+r*rowStride:][:cols]
			for c := range row {
				row[c] = f.random()
			}
		}
	}
	v.Data = f.place(name, content)
	return v
}
