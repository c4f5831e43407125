package onnx

import "github.com/polyphon/polyphon/polynet"

// builder puts a graph together. A node has one output, which has the node's name.
//
// Tensors are (batch, channels, 1, time), and convolutions are two-dimensional: ONNX Runtime computes these
// channel-blocked, which takes 0.7 of the time of one-dimensional ones.
type builder struct {
	graph   graphProto
	weights polynet.StateDict // of the network
}

// node adds a node and returns its output's name.
func (b *builder) node(op, name string, inputs []string, attributes ...attributeProto) string {
	b.graph.nodes = append(b.graph.nodes, nodeProto{
		name: name, op: op, inputs: inputs, outputs: []string{name}, attributes: attributes,
	})
	return name
}

// constant adds a tensor and returns its name. Without a shape it is a scalar.
func (b *builder) constant(name string, values []float32, shape ...int) string {
	t := tensorProto{name: name, kind: tensorFloat, floats: values}
	for _, d := range shape {
		t.dims = append(t.dims, int64(d))
	}
	b.graph.initializers = append(b.graph.initializers, t)
	return name
}

// values returns the network's weights of that name.
func (b *builder) values(name string) []float32 { return b.weights[name].Data().([]float32) }

// narrow adds a narrow weight of the given shape, whose first dimension is the output channels, and returns the value
// of what it stands for.
func (b *builder) narrow(s *polynet.Step, shape ...int) string {
	t := tensorProto{name: s.Weight, kind: tensorInt8, levels: b.weights[s.Weight].Data().([]int8)}
	for _, d := range shape {
		t.dims = append(t.dims, int64(d))
	}
	b.graph.initializers = append(b.graph.initializers, t)
	scales := b.constant(s.WeightScale, b.values(s.WeightScale), s.Width)
	return b.node("DequantizeLinear", s.Name+".weights", []string{s.Weight, scales}, integer("axis", 0))
}

// rounded adds the rounding of what a narrow convolution reads. QuantizeLinear alone would clamp to -128.
func (b *builder) rounded(s *polynet.Step, x string) string {
	scale, zero := b.constant(s.InputScale, b.values(s.InputScale)), s.Name+".zero"
	limit := polynet.MaxLevel * b.values(s.InputScale)[0]
	b.graph.initializers = append(b.graph.initializers, tensorProto{name: zero, kind: tensorInt8, levels: []int8{0}})
	x = b.node("Clip", s.Name+".clamped", []string{
		x, b.constant(s.Name+".least", []float32{-limit}), b.constant(s.Name+".most", []float32{limit}),
	})
	x = b.node("QuantizeLinear", s.Name+".bytes", []string{x, scale, zero})
	return b.node("DequantizeLinear", s.Name+".rounded", []string{x, scale, zero})
}

// integers adds a list and returns its name.
func (b *builder) integers(name string, values ...int64) string {
	b.graph.initializers = append(b.graph.initializers, tensorProto{
		name: name, kind: tensorInt64, dims: []int64{int64(len(values))}, integers: values,
	})
	return name
}

// convolution is one over time with weights (out, in, kernel). Rows of zeros surround its operand.
type convolution struct {
	name            string
	weight          []float32
	levels          string    // the value that is a narrow weight, in place of weight
	bias            []float32 // of each output channel, or nil
	out, in, kernel int
	groups          int // 0: one. in is the channels of each
	stride          int
	before, after   int // rows of zeros
}

func (b *builder) convolution(c convolution, x string) string {
	weight := c.levels
	if weight == "" {
		weight = b.constant(c.name+".weight", c.weight, c.out, c.in, 1, c.kernel)
	}
	inputs := []string{x, weight}
	if c.bias != nil {
		inputs = append(inputs, b.constant(c.name+".bias", c.bias, c.out))
	}
	attributes := []attributeProto{
		ints("kernel_shape", 1, c.kernel), ints("strides", 1, c.stride), ints("pads", 0, c.before, 0, c.after),
	}
	if c.groups > 1 {
		attributes = append(attributes, integer("group", int64(c.groups)))
	}
	return b.node("Conv", c.name, inputs, attributes...)
}

func float(name string, v float32) attributeProto {
	return attributeProto{name: name, kind: attributeFloat, number: v}
}

func integer(name string, v int64) attributeProto {
	return attributeProto{name: name, kind: attributeInt, integer: v}
}

func ints(name string, values ...int) attributeProto {
	a := attributeProto{name: name, kind: attributeInts}
	for _, v := range values {
		a.list = append(a.list, int64(v))
	}
	return a
}
