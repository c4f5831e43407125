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
func (b *builder) network(f *polynet.Fused, relu bool, x string) {
	x = b.fused(f.Stem, x)
	if relu {
		x = b.node("Relu", "stem.relu", []string{x})
	}
	for _, block := range f.Blocks {
		x = b.block(block, relu, x)
	}
	x = b.node("ReduceMean", "pool", []string{x}, ints("axes", 2, 3), integer("keepdims", 0))
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

func (b *builder) block(f polynet.FusedBlock, relu bool, x string) string {
	branch := b.fused(f.Conv1, x)
	if relu {
		branch = b.node("Relu", f.Name+".relu", []string{branch})
	}
	branch = b.fused(f.Conv2, branch)
	skip := x
	if f.Skip != nil {
		skip = b.fused(*f.Skip, x)
	}
	sum := b.node("Add", f.Name+".sum", []string{branch, skip})
	switch {
	case relu:
		return b.node("Relu", f.Name, []string{sum})
	case f.Scale == nil && f.Mix == nil:
		return sum
	}
	product := b.node("Mul", f.Name+".product", []string{branch, skip})
	if f.Mix != nil {
		product = b.fused(*f.Mix, product)
	} else {
		product = b.scale(f, product)
	}
	return b.node("Add", f.Name, []string{sum, product})
}

// fused adds a convolution that has its batch norm in its weights.
func (b *builder) fused(c polynet.FusedConv, x string) string {
	return b.convolution(convolution{
		name: c.Name, weight: outermost(c.Weight, c.Kernel, c.In, c.Out), bias: c.Shift, out: c.Out, in: c.In, kernel: c.Kernel,
		stride: c.Stride, front: c.Kernel - 1 - c.Ahead, back: c.Ahead,
	}, x)
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
func (b *builder) scale(f polynet.FusedBlock, x string) string {
	name, width := f.Name+".product.norm", len(f.Scale)
	variance := make([]float32, width)
	for i := range variance {
		variance[i] = 1
	}
	return b.node("BatchNormalization", name, []string{
		x, b.constant(name+".weight", f.Scale, width), b.constant(name+".bias", f.Offset, width),
		b.constant(name+".running_mean", make([]float32, width), width), b.constant(name+".running_var", variance, width),
	}, float("epsilon", 0))
}
