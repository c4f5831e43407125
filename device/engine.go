package device

import (
	"slices"

	"gorgonia.org/tensor"
)

// Engine returns a gorgonia tensor engine whose MatMul and Mul of float32 run on d, which has to work in the
// host's memory, as Ref and CPU do. Give it to a tensor with tensor.WithEngine; results keep it. Everything else
// is tensor.StdEng's, and so are other types, transposed and sliced operands, and the errors.
func Engine(d Device) tensor.Engine { return engine{d: d} }

type engine struct {
	tensor.StdEng
	d Device
}

// MatMul computes prealloc = a·b.
func (e engine) MatMul(a, b, prealloc tensor.Tensor) error {
	x, xOK := contiguous(a)
	y, yOK := contiguous(b)
	dst, dstOK := contiguous(prealloc)
	if !xOK || !yOK || !dstOK || a.Dims() != 2 || b.Dims() != 2 || prealloc.Dims() != 2 {
		return e.StdEng.MatMul(a, b, prealloc)
	}
	m, k, n := a.Shape()[0], a.Shape()[1], b.Shape()[1]
	var packed Packed
	e.d.Pack(&packed, y, k, n)
	e.d.MatMul(Matrix(dst, m, n), Matrix(x, m, k), &packed, Epilogue{})
	return nil
}

// Mul computes the elementwise product, with tensor's options for where it goes.
func (e engine) Mul(a, b tensor.Tensor, opts ...tensor.FuncOpt) (tensor.Tensor, error) {
	x, xOK := contiguous(a)
	y, yOK := contiguous(b)
	if !xOK || !yOK || !a.Shape().Eq(b.Shape()) {
		return e.StdEng.Mul(a, b, opts...)
	}
	result, add := a, false
	switch o := tensor.ParseFuncOpts(opts...); {
	case o.Incr() != nil:
		result, add = o.Incr(), true
	case o.Reuse() != nil:
		result = o.Reuse()
	case o.Safe():
		result = tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(a.Shape().Clone()...), tensor.WithEngine(e))
	}
	dst, ok := contiguous(result)
	if !ok || !result.Shape().Eq(a.Shape()) {
		return e.StdEng.Mul(a, b, opts...)
	}
	e.d.Hadamard(line(dst), line(x), line(y), add)
	return result, nil
}

// contiguous returns t's values where it is a dense float32 tensor of at least one dimension with nothing between
// its values and its last dimension innermost.
func contiguous(t tensor.Tensor) (Buffer, bool) {
	dense, ok := t.(*tensor.Dense)
	if !ok || dense.Dtype() != tensor.Float32 || !dense.IsNativelyAccessible() || dense.IsMasked() || dense.Dims() == 0 {
		return Buffer{}, false
	}
	values, ok := dense.Data().([]float32)
	if !ok || !slices.Equal(dense.Strides(), dense.Shape().CalcStrides()) || len(values) < dense.Size() {
		return Buffer{}, false
	}
	return HostBuffer(values[:dense.Size()]), true
}
