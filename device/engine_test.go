package device_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/device"
	"gorgonia.org/tensor"
)

// counting counts the calls that reach a device.
type counting struct {
	device.Trainer
	matmuls, hadamards int
}

func (c *counting) MatMul(dst, a device.View, w *device.Packed, e device.Epilogue) {
	c.matmuls++
	c.Trainer.MatMul(dst, a, w, e)
}

func (c *counting) Hadamard(dst, x, y device.View, add bool) {
	c.hadamards++
	c.Trainer.Hadamard(dst, x, y, add)
}

func randomTensor(rng *rand.Rand, e tensor.Engine, shape ...int) *tensor.Dense {
	values := make([]float32, tensor.Shape(shape).TotalSize())
	for i := range values {
		values[i] = float32(rng.NormFloat64())
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values), tensor.WithEngine(e))
}

// onStandardEngine returns a copy of t that tensor's own engine computes with.
func onStandardEngine(t *tensor.Dense) *tensor.Dense {
	values := append([]float32{}, t.Data().([]float32)...)
	return tensor.New(tensor.WithShape(t.Shape()...), tensor.WithBacking(values))
}

func wantNear(t *testing.T, got, want tensor.Tensor) {
	t.Helper()
	if !got.Shape().Eq(want.Shape()) {
		t.Fatalf("shape %v, want %v", got.Shape(), want.Shape())
	}
	g, w := got.Data().([]float32), want.Data().([]float32)
	for i := range w {
		if math.Abs(float64(g[i]-w[i])) > 1e-5 {
			t.Fatalf("value %d is %v, want %v", i, g[i], w[i])
		}
	}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestEngineMatMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &counting{Trainer: cpuWith(t, device.Kernels()[len(device.Kernels())-1], 1)}
	e := device.Engine(d)
	a, b := randomTensor(rng, e, 37, 50), randomTensor(rng, e, 50, 19)
	ok := must[*tensor.Dense](t)

	got := ok(a.MatMul(b))
	want := ok(onStandardEngine(a).MatMul(onStandardEngine(b)))
	wantNear(t, got, want)
	if d.matmuls != 1 {
		t.Errorf("MatMul reached the device %d times", d.matmuls)
	}
	if got.Engine() != e {
		t.Errorf("the product's engine is %T", got.Engine())
	}

	reuse := randomTensor(rng, e, 37, 19)
	if ok(a.MatMul(b, tensor.WithReuse(reuse))) != reuse {
		t.Error("WithReuse gives another tensor")
	}
	wantNear(t, reuse, want)

	// A lazily transposed operand is left to tensor.
	transposed := randomTensor(rng, e, 19, 50)
	plain := onStandardEngine(transposed)
	for _, m := range []*tensor.Dense{transposed, plain} {
		if err := m.T(); err != nil {
			t.Fatal(err)
		}
	}
	calls := d.matmuls
	wantNear(t, ok(a.MatMul(transposed)), ok(onStandardEngine(a).MatMul(plain)))
	if d.matmuls != calls {
		t.Error("a transposed operand reached the device")
	}
}

func TestEngineMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	d := &counting{Trainer: device.Ref()}
	e := device.Engine(d)
	a, b := randomTensor(rng, e, 3, 5, 7), randomTensor(rng, e, 3, 5, 7)
	ok := must[*tensor.Dense](t)
	want := ok(onStandardEngine(a).Mul(onStandardEngine(b)))

	got := ok(a.Mul(b))
	wantNear(t, got, want)
	if d.hadamards != 1 || got.Engine() != e {
		t.Errorf("Mul reached the device %d times; the product's engine is %T", d.hadamards, got.Engine())
	}
	reuse := randomTensor(rng, e, 3, 5, 7)
	if ok(a.Mul(b, tensor.WithReuse(reuse))) != reuse {
		t.Error("WithReuse gives another tensor")
	}
	wantNear(t, reuse, want)

	sum := randomTensor(rng, e, 3, 5, 7)
	wantSum := ok(onStandardEngine(sum).Add(want))
	wantNear(t, ok(a.Mul(b, tensor.WithIncr(sum))), wantSum)

	if ok(a.Mul(b, tensor.UseUnsafe())) != a {
		t.Error("UseUnsafe gives another tensor")
	}
	wantNear(t, a, want)
	if d.hadamards != 4 {
		t.Errorf("Mul reached the device %d times, want 4", d.hadamards)
	}

	doubles := tensor.New(tensor.WithShape(2), tensor.WithBacking([]float64{2, 3}), tensor.WithEngine(e))
	squares := ok(doubles.Mul(doubles)).Data().([]float64)
	if squares[0] != 4 || squares[1] != 9 || d.hadamards != 4 {
		t.Errorf("float64: %v, and %d calls", squares, d.hadamards)
	}
	if _, err := a.Mul(randomTensor(rng, e, 5, 3, 7)); err == nil {
		t.Error("operands of two shapes give no error")
	}
}
