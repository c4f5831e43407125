package onnx

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// Names of nodes and constants before the network and after it begin with these. The network's begin with the names of
// steps; constants have the names of the weights of Model.Inference.
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
	mels := len(n.Mean)
	x = b.node("Sub", "input/centred", []string{x, b.constant("input/mean", n.Mean, mels, 1, 1)})
	x = b.node("Div", "input/scaled", []string{x, b.constant("input/std", n.Std, mels, 1, 1)})
	return b.node("Clip", "input/normalised", []string{
		x, b.constant("input/least", []float32{-limit}), b.constant("input/most", []float32{limit}),
	})
}

// network adds the network over normalised channels x. Its last node makes the logits.
func (b *builder) network(p *polynet.Program, x string) {
	names := []string{polynet.NoTensor: "", polynet.Input: x}
	for i := range p.Steps {
		names = append(names, b.step(&p.Steps[i], names))
	}
}

// step adds a step, given the names of the tensors that it may read, and returns its output's name.
func (b *builder) step(s *polynet.Step, names []string) string {
	x := names[s.X]
	switch s.Op {
	case polynet.OpConv, polynet.OpDepthwise:
		return b.conv(s, x, names[s.Skip], names[s.Add])
	case polynet.OpProduct:
		z := b.node("Mul", s.Name, []string{x, names[s.Y]})
		if s.Plus {
			z = b.node("Add", s.Name+".sum", []string{z, x})
		}
		return z
	case polynet.OpTanh:
		return b.node("Tanh", s.Name, []string{x})
	case polynet.OpMean:
		return b.node("ReduceMean", s.Name, []string{x}, ints("axes", 2, 3), integer("keepdims", 0))
	case polynet.OpLinear:
		weight := ""
		if s.Precision == polynet.Float32 {
			weight = b.constant(s.Weight, b.values(s.Weight), s.Width, s.In)
		} else {
			weight = b.narrow(s, s.Width, s.In)
		}
		bias := b.constant(s.Bias, b.values(s.Bias), s.Width)
		return b.node("Gemm", Logits, []string{x, weight, bias}, integer("transB", 1))
	}
	panic(fmt.Sprintf("onnx: step %s has the operation %d, which has no export", s.Name, s.Op))
}

// conv adds an OpConv or OpDepthwise whose norm is folded.
func (b *builder) conv(s *polynet.Step, x, skip, add string) string {
	before, after := s.Reach(s.X)
	c := convolution{
		name: s.Name, bias: b.values(s.Bias), out: s.Width, in: s.In, kernel: s.Kernel,
		groups: groups(s), stride: s.Stride, before: before, after: after,
	}
	if s.Precision == polynet.Float32 {
		c.weight = b.values(s.Weight)
	} else {
		c.levels, x = b.narrow(s, s.Width, s.In, 1, s.Kernel), b.rounded(s, x)
	}
	f := b.convolution(c, x)
	switch {
	case s.Add != polynet.NoTensor:
		f = b.node("Add", s.Name+".joined", []string{b.node("Add", s.Name+".sum", []string{skip, add}), f})
	case s.HasProduct():
		sum := b.node("Add", s.Name+".sum", []string{f, skip})
		product := b.node("Mul", s.Name+".product", []string{f, skip})
		f = b.node("Add", s.Name+".joined", []string{sum, b.scale(s, product)})
	case s.Skip != polynet.NoTensor:
		f = b.node("Add", s.Name+".joined", []string{f, skip})
	}
	if s.ReLU {
		f = b.node("Relu", s.Name+".relu", []string{f})
	}
	return f
}

// groups returns how many groups of channels a convolution has.
func groups(s *polynet.Step) int {
	if s.Op == polynet.OpDepthwise {
		return s.Width
	}
	return 1
}

// scale adds Scale∘x + Offset as a batch norm of mean 0 and variance 1, which stays in ONNX Runtime's blocked layout
// where a product and a sum with constants would not.
func (b *builder) scale(s *polynet.Step, x string) string {
	name := s.Name + ".product.norm"
	return b.node("BatchNormalization", name, []string{
		x, b.constant(name+".weight", b.values(s.Scale), s.Width), b.constant(name+".bias", b.values(s.Offset), s.Width),
		b.constant(name+".running_mean", make([]float32, s.Width), s.Width),
		b.constant(name+".running_var", slices.Repeat([]float32{1}, s.Width), s.Width),
	}, float("epsilon", 0))
}
