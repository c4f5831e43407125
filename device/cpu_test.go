package device_test

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/device/devicetest"
	"github.com/polyphon/polyphon/internal/need"
)

func cpuWith(t testing.TB, kernels string, threads int) device.Trainer {
	t.Helper()
	t.Setenv(device.KernelsVariable, kernels)
	d, err := device.CPU(threads)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCPUAgreesWithRef(t *testing.T) {
	for _, kernels := range device.Kernels() {
		t.Run(kernels, func(t *testing.T) { devicetest.Run(t, cpuWith(t, kernels, 2), device.Ref(), 1) })
	}
}

func TestExtremeValues(t *testing.T) {
	for _, kernels := range device.Kernels() {
		t.Run(kernels, func(t *testing.T) { devicetest.Extreme(t, cpuWith(t, kernels, 2), device.Ref(), 1) })
	}
}

func TestClipNorm(t *testing.T) {
	devicetest.ClipNorm(t, device.Ref())
	for _, kernels := range device.Kernels() {
		t.Run(kernels, func(t *testing.T) { devicetest.ClipNorm(t, cpuWith(t, kernels, 2)) })
	}
}

func TestResultsDoNotDependOnThreads(t *testing.T) {
	for _, kernels := range device.Kernels() {
		devicetest.Same(t, cpuWith(t, kernels, 1), cpuWith(t, kernels, 2), cpuWith(t, kernels, 5))
	}
}

func TestTheEnvironmentSelectsKernels(t *testing.T) {
	chosen, err := device.CPU(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("chosen: %s", strings.TrimSuffix(strings.TrimPrefix(chosen.Name(), "cpu ("), ", 1 thread)")) // for .ci/kernels
	for _, kernels := range device.Kernels() {
		t.Setenv("POLYPHON_CPU", kernels)
		d, err := device.CPU(1)
		if err != nil {
			t.Fatal(err)
		}
		if want := "cpu (" + kernels + ", 1 thread)"; d.Name() != want {
			t.Errorf("POLYPHON_CPU=%s gives %q, want %q", kernels, d.Name(), want)
		}
	}
	t.Setenv("POLYPHON_CPU", "mmx")
	if _, err := device.CPU(1); !errors.Is(err, device.ErrKernels) || !strings.Contains(err.Error(), "mmx") {
		t.Errorf("POLYPHON_CPU=mmx gives the error %v", err)
	}
	t.Setenv("POLYPHON_CPU", "")
	d, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	known := device.Kernels()
	if want := "cpu (" + known[len(known)-1] + ", 2 threads)"; d.Name() != want {
		t.Errorf("unforced: %q, want %q", d.Name(), want)
	}
}

// Inference on one thread allocates nothing, which would cost time in the garbage collector.
func TestOneThreadDoesNotAllocate(t *testing.T) {
	need.Unraced(t, "memory that is used again is thrown away at random")
	d := cpuWith(t, device.Kernels()[0], 1)
	var w device.Packed
	d.Pack(&w, d.Alloc(90*48), 90, 48)
	narrow, levels := d.(device.Narrow), new(device.Packed)
	a, dst := device.Matrix(d.Alloc(20*90), 20, 90), device.Matrix(d.Alloc(20*48), 20, 48)
	narrow.PackNarrow(levels, make([]int8, 360*48), 48, true, a)
	a48, taps := device.Matrix(d.Alloc(20*3*48), 20, 3*48), d.Alloc(3*48)
	vector, bytes := d.Alloc(48), device.Matrix(d.Alloc(20*12), 20, 12)
	epilogue := device.Epilogue{Skip: dst, Shift: vector, Scale: vector, Offset: vector, ReLU: true}
	allocations := testing.AllocsPerRun(100, func() {
		d.MatMul(dst, a, &w, epilogue)
		narrow.MatMulNarrow(dst, a, levels, device.NarrowEpilogue{
			Multiply: vector, Skip: dst, Scale: vector, Offset: vector, Bytes: bytes, BytesScale: 1,
		})
		narrow.Quantise(bytes, dst, 1)
		d.Depthwise(dst, a48, taps, device.Buffer{}, false)
		d.Affine(dst, dst, device.View{}, vector, device.Buffer{}, vector, true)
		d.Hadamard(dst, dst, dst, false)
		d.HadamardSum(dst, dst, dst, vector, vector)
		d.Tanh(dst, dst)
		d.Fill(dst, 0)
		d.Fill(dst, 1)
	})
	if allocations >= 1 {
		t.Errorf("%v allocations a run", allocations)
	}
}

func BenchmarkCPU(b *testing.B) {
	for _, kernels := range device.Kernels() {
		b.Run(kernels, func(b *testing.B) { devicetest.Benchmark(b, cpuWith(b, kernels, 1)) })
	}
}

// BenchmarkPeak measures the maximum rate that the products of BenchmarkCPU could reach.
func BenchmarkPeak(b *testing.B) {
	for _, kernels := range device.Kernels() {
		run, flops, err := devicetest.Peak(kernels)
		if err != nil {
			continue // the generic kernels have no such limit
		}
		b.Run(kernels, func(b *testing.B) {
			for b.Loop() {
				run()
			}
			b.ReportMetric(float64(flops)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
}

// BenchmarkPack packs the weights of a convolution, as each training step does for every layer.
func BenchmarkPack(b *testing.B) {
	const clips, frames, width, kernel = 100, 51, 64, 9
	for _, kernels := range device.Kernels() {
		d := cpuWith(b, kernels, 1)
		w, packed := d.Alloc(kernel*width*width), new(device.Packed)
		windows := device.View{
			Groups: clips, Rows: frames, Cols: kernel * width, GroupStride: (frames + 4) * width, RowStride: width,
		}
		for name, pack := range map[string]func(){
			"Pack":        func() { d.Pack(packed, w, kernel*width, width) },
			"PackWindows": func() { d.PackWindows(packed, w, width, windows) },
		} {
			b.Run(kernels+"/"+name, func(b *testing.B) {
				for b.Loop() {
					pack()
				}
				bytes := 4 * (w.Len() + packed.Data.Len())
				b.ReportMetric(float64(bytes)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}

// A serial device computes what the device that it comes from computes, with that one's packed matrices, and starts no
// goroutines.
func TestSerial(t *testing.T) {
	kernels := device.Kernels()[len(device.Kernels())-1]
	many := cpuWith(t, kernels, 4)
	single := many.Serial()
	if want := cpuWith(t, kernels, 1).Name(); single.Name() != want {
		t.Errorf("%s gives %s, want %s", many.Name(), single.Name(), want)
	}
	const rows, step, cols = 500, 40, 64
	x, w := many.Alloc((rows+8)*step), many.Alloc(9*step*cols)
	for i := range x.Host() {
		x.Host()[i] = float32(i%17) - 8
	}
	for i := range w.Host() {
		w.Host()[i] = float32(i%11) - 5
	}
	windows := device.View{Data: x, Groups: 1, Rows: rows, Cols: 9 * step, GroupStride: x.Len(), RowStride: step}
	var packed device.Packed
	many.PackWindows(&packed, w, cols, windows)
	product := func(d device.Device) []float32 {
		y := d.Alloc(rows * cols)
		d.MatMul(device.Matrix(y, rows, cols), windows, &packed, device.Epilogue{})
		return y.Host()
	}
	before := runtime.NumGoroutine()
	got := product(single)
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
	if !slices.Equal(got, product(many)) {
		t.Error("one thread gives other values than many")
	}
	if name := device.Ref().Serial().Name(); name != "ref" {
		t.Errorf("the reference device's is %s", name)
	}
}
