package onnx

import (
	"math"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Names of nodes and constants in front of the network and behind it begin with these; the others' are those of the
// weights, as polynet.Model has them.
const (
	inputPrefix  = "input/"
	outputPrefix = "output/"
)

// normalise adds features.Norm.Apply of log-mel channels x.
func (b *builder) normalise(n features.Norm, x string) string {
	limit := n.Limit
	if limit == 0 {
		limit = math.MaxFloat32
	}
	x = b.node("Sub", "input/centred", []string{x, b.channels("input/mean", n.Mean)})
	x = b.node("Div", "input/scaled", []string{x, b.channels("input/std", n.Std)})
	return b.node("Clip", "input/normalised", []string{
		x, b.constant("input/least", []float32{-limit}), b.constant("input/most", []float32{limit}),
	})
}

// network adds the network over normalised channels x and gives the logits.
func (b *builder) network(f *polynet.Fused, x string) {
	values := []string{"", x} // the names of the values, by their numbers
	for _, s := range f.Steps {
		values = append(values, b.step(s, values))
	}
	x = b.node("ReduceMean", "pool", []string{values[len(values)-1]}, ints("axes", 2, 3), integer("keepdims", 0))
	head := f.Head
	b.node("Gemm", Logits, []string{
		x, b.constant("head.weight", outermost(head.Weight, 1, head.In, head.Out), head.Out, head.In),
		b.constant("head.bias", head.Shift, head.Out),
	}, integer("transB", 1))
}

// softmax adds the probabilities.
func (b *builder) softmax(temperature float64) {
	x := b.node("Div", "output/cooled", []string{Logits, b.constant("output/temperature", []float32{float32(temperature)})})
	b.node("Softmax", Probabilities, []string{x}, integer("axis", 1))
}

// step adds a step and returns its output's name.
func (b *builder) step(s polynet.FusedStep, values []string) string {
	x, y := values[s.X], values[s.Y]
	switch s.Op {
	case polynet.FusedProduct:
		z := b.node("Mul", s.Name, []string{x, y})
		if s.Plus {
			z = b.node("Add", s.Name+".sum", []string{z, x})
		}
		return z
	case polynet.FusedTanh:
		return b.node("Tanh", s.Name, []string{x})
	case polynet.FusedMaxPool:
		return b.node("MaxPool", s.Name, []string{x}, ints("kernel_shape", 1, 3), ints("strides", 1, 1), ints("pads", 0, 1, 0, 1))
	}
	f := b.fused(s, x)
	if s.Instance != nil {
		f = b.instanceNorm(s, f)
	}
	switch {
	case s.Add != 0:
		f = b.node("Add", s.Name+".joined", []string{b.node("Add", s.Name+".sum", []string{values[s.Skip], values[s.Add]}), f})
	case s.Scale != nil:
		sum := b.node("Add", s.Name+".sum", []string{f, values[s.Skip]})
		product := b.node("Mul", s.Name+".product", []string{f, values[s.Skip]})
		f = b.node("Add", s.Name+".joined", []string{sum, b.scale(s, product)})
	case s.Skip != 0:
		f = b.node("Add", s.Name+".joined", []string{f, values[s.Skip]})
	}
	if s.ReLU {
		f = b.node("Relu", s.Name+".relu", []string{f})
	}
	return f
}

// fused adds a convolution that has its batch norm in its weights.
func (b *builder) fused(s polynet.FusedStep, x string) string {
	c := s.Conv
	return b.convolution(convolution{
		name: s.Name, weight: outermost(c.Weight, c.Kernel, c.In, c.Out), bias: c.Shift, out: c.Out, in: c.In, kernel: c.Kernel,
		stride: c.Stride, front: c.Kernel - 1 - c.Ahead, back: c.Ahead,
	}, x)
}

// instanceNorm adds the norm of the first channels of x.
func (b *builder) instanceNorm(s polynet.FusedStep, x string) string {
	name, n := s.Name+".instance", len(s.Instance.Weight)
	slice := func(name string, first, end int) string {
		return b.node("Slice", name, []string{
			x, b.integers(name+".starts", int64(first)), b.integers(name+".ends", int64(end)), b.integers(name+".axes", 1),
		})
	}
	normed := b.node("InstanceNormalization", name, []string{
		slice(name+".channels", 0, n), b.constant(name+".weight", s.Instance.Weight, n), b.constant(name+".bias", s.Instance.Bias, n),
	}, float("epsilon", polynet.NormEpsilon))
	return b.node("Concat", name+".joined", []string{normed, slice(name+".rest", n, s.Width)}, integer("axis", 1))
}

// outermost returns the values of w, (kernel, in, out), as (out, in, kernel).
func outermost(w []float32, kernel, in, out int) []float32 {
	turned := make([]float32, 0, len(w))
	for o := range out {
		for i := range in {
			for k := range kernel {
				turned = append(turned, w[(k*in+i)*out+o])
			}
		}
	}
	return turned
}

// scale adds Scale∘x + Offset as a batch norm of mean 0 and variance 1, which stays in ONNX Runtime's blocked layout where
// a product and a sum with constants would not.
func (b *builder) scale(s polynet.FusedStep, x string) string {
	name, width := s.Name+".product.norm", len(s.Scale)
	variance := make([]float32, width)
	for i := range variance {
		variance[i] = 1
	}
	return b.node("BatchNormalization", name, []string{
		x, b.constant(name+".weight", s.Scale, width), b.constant(name+".bias", s.Offset, width),
		b.constant(name+".running_mean", make([]float32, width), width), b.constant(name+".running_var", variance, width),
	}, float("epsilon", 0))
}
