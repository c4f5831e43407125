//go:build cuda

package gpu

import (
	"errors"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/devicetest"
	"github.com/polyphon/polyphon/internal/need"
)

// open skips a test where there is no GPU, or none that has the precision.
func open(t testing.TB, p Precision) *Device {
	t.Helper()
	d, err := Open(0, p)
	if errors.Is(err, ErrUnavailable) {
		need.Platform(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestGPUAgreesWithRef(t *testing.T) {
	for _, p := range precisions {
		slack := 8.0
		if p == Float32 {
			slack = 1
		}
		t.Run(string(p), func(t *testing.T) { devicetest.Run(t, open(t, p), reference(p), slack) })
	}
}

func TestExtremeValues(t *testing.T) { devicetest.Extreme(t, open(t, Float32), device.Ref(), 1) }

func TestClipNorm(t *testing.T) { devicetest.ClipNorm(t, open(t, Float32)) }

// Results do not depend on which block ends first.
func TestResultsAreTheSameEveryTime(t *testing.T) {
	for _, p := range precisions {
		d := open(t, p)
		devicetest.Same(t, d, d, d)
	}
}

func BenchmarkGPU(b *testing.B) {
	for _, p := range precisions {
		b.Run(string(p), func(b *testing.B) { devicetest.Benchmark(b, open(b, p)) })
	}
}

// A repeated batch becomes a graph, whose kernels get new arguments where they differ; when there are too many graphs
// they are dropped.
func TestRepeatedBatchesBecomeGraphs(t *testing.T) {
	d := open(t, Float32)
	batch := &d.g.driver.(*cudaDriver).batch
	if batch.direct {
		need.Platform(t, "CUDA_LAUNCH_BLOCKING=1: kernels are started one by one")
	}
	const kernels, threads = 6, 256
	b := d.Alloc(maxGraphs * threads * 2)
	graphs := 0
	for size := 1; size < maxGraphs*2; size++ { // blocks: each is another sequence
		for turn := range 4 {
			v := device.Matrix(b.Slice(0, size*threads), 1, size*threads)
			d.Fill(v, float32(turn))
			for range kernels - 1 {
				d.Affine(v, v, v, device.Buffer{}, device.Buffer{}, device.Buffer{}, false) // doubles
			}
			var got [1]float32
			d.Download(got[:], b.Slice(size*threads-1, size*threads))
			if want := float32(turn) * (1 << (kernels - 1)); got[0] != want {
				t.Fatalf("%d blocks, turn %d: %g, want %g", size, turn, got[0], want)
			}
		}
		for _, g := range batch.graphs {
			if g.exec != nil {
				graphs++
			}
		}
		if len(batch.graphs) > maxGraphs {
			t.Fatalf("%d graphs", len(batch.graphs))
		}
	}
	if graphs < maxGraphs || batch.direct {
		t.Errorf("%d graphs were seen, direct: %v", graphs, batch.direct)
	}
}
