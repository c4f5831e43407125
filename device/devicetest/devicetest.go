// Package devicetest checks a device.Trainer against the reference device, and measures it, on one table of cases.
package devicetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// Run checks every case of the table on d against a reference device that rounds as d should: results are within the
// case's tolerance, and all memory before, after and between the rows of operands keeps its bits. The tolerance of
// products is multiplied by slack, for tensor cores, which truncate sums; 1 elsewhere.
func Run(t *testing.T, d, reference device.Trainer, slack float64) {
	for _, c := range cases() {
		if c.flops > 0 {
			c.tolerance *= slack
		}
		t.Run(c.name(), func(t *testing.T) {
			got := outcome(c, d)
			for name, w := range outcome(c, reference) {
				if err := near(got[name], w, c.tolerance); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// Same checks that d and others give the same results on every case, bit for bit.
func Same(t *testing.T, d device.Trainer, others ...device.Trainer) {
	for _, c := range cases() {
		want := outcome(c, d)
		for _, other := range others {
			got := outcome(c, other)
			for name, w := range want {
				if err := near(got[name], w, 0); err != nil {
					t.Errorf("%s: %s: %s: %v", other.Name(), c.name(), name, err)
				}
			}
		}
	}
}

// Benchmark measures d on the shapes of training: GFLOP/s of products, and GB/s of what mostly moves its operands.
func Benchmark(b *testing.B, d device.Trainer) {
	for _, c := range benchmarks() {
		b.Run(c.name(), func(b *testing.B) {
			f := newFixture(d, c)
			c.run(f)
			f.wait()
			b.ResetTimer()
			for range b.N {
				c.run(f)
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

// outcome runs c on d and returns the content of its memory, guards included.
func outcome(c testCase, d device.Trainer) map[string][]float32 {
	f := newFixture(d, c)
	c.run(f)
	contents := map[string][]float32{}
	for name, b := range f.memory {
		contents[name] = make([]float32, b.Len())
		d.Download(contents[name], b)
	}
	return contents
}

// near compares values. NaN, which guards consist of, must have the same bits.
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
