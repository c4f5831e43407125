package polynet

import (
	"fmt"
	"slices"
)

// WeightShape is the name and the shape of one tensor of Model.Weights.
type WeightShape struct {
	Name  string
	Shape []int
}

// Len returns the number of values.
func (w WeightShape) Len() int64 {
	n := int64(1)
	for _, d := range w.Shape {
		n *= int64(d)
	}
	return n
}

// blockSpec is the geometry of one residual block.
type blockSpec struct {
	name           string // "stages.I.J", the prefix of its weights
	in, width      int    // channels
	kernel, ahead  int    // rows, of both convolutions
	stride         int    // of the first convolution and of the skip
	hasSkip, relu  bool   // a convolution on the skip; ReLU behind the first norm and the sum
	product, mixed bool   // has a∘BN(F∘S); mixes the product's channels by a 1x1 convolution first
}

// blocks lists the residual blocks in the order that sound runs through them.
func (c Config) blocks() []blockSpec {
	var list []blockSpec
	in := c.Stem.Width
	for i, s := range c.Stages {
		for j := range s.Blocks {
			b := blockSpec{
				name: fmt.Sprintf("stages.%d.%d", i, j),
				in:   in, width: s.Width, kernel: s.Kernel, ahead: s.Ahead, stride: 1,
				relu:    c.Block == ReLU,
				product: c.Block == Pi || c.Block == Pi1x1,
				mixed:   c.Block == Pi1x1,
			}
			if j == 0 {
				b.stride = s.Stride
			}
			b.hasSkip = b.in != b.width || b.stride != 1
			list = append(list, b)
			in = s.Width
		}
	}
	return list
}

// WeightShapes lists the tensors of a model with network c, in the order of a model file. c must be valid.
func (c Config) WeightShapes() []WeightShape {
	list := slices.Concat(
		convShapes("stem.conv", c.Stem.Kernel, c.Inputs, c.Stem.Width),
		normShapes("stem.norm", c.Stem.Width),
	)
	for _, b := range c.blocks() {
		list = append(list, b.weightShapes()...)
	}
	features := c.Stages[len(c.Stages)-1].Width
	return append(list,
		WeightShape{"head.weight", []int{features, c.Classes}},
		WeightShape{"head.bias", []int{c.Classes}},
	)
}

func (b blockSpec) weightShapes() []WeightShape {
	list := slices.Concat(
		convShapes(b.name+".conv1", b.kernel, b.in, b.width),
		normShapes(b.name+".norm1", b.width),
		convShapes(b.name+".conv2", b.kernel, b.width, b.width),
		normShapes(b.name+".norm2", b.width),
	)
	if b.hasSkip {
		list = append(list, convShapes(b.name+".skip.conv", 1, b.in, b.width)...)
		list = append(list, normShapes(b.name+".skip.norm", b.width)...)
	}
	if b.mixed {
		list = append(list, convShapes(b.name+".product.conv", 1, b.width, b.width)...)
	}
	if b.product {
		list = append(list, normShapes(b.name+".product.norm", b.width)...)
		list = append(list, WeightShape{b.name + ".product.scale", []int{1}})
	}
	return list
}

func convShapes(name string, kernel, in, width int) []WeightShape {
	return []WeightShape{{name + ".weight", []int{kernel, in, width}}}
}

func normShapes(name string, width int) []WeightShape {
	return []WeightShape{
		{name + ".weight", []int{width}},
		{name + ".bias", []int{width}},
		{name + ".running_mean", []int{width}},
		{name + ".running_var", []int{width}},
	}
}
