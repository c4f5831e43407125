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
	bias            []float32 // of each output channel, or nil
	out, in, kernel int
	groups          int // 0: one. in is the channels of each
	stride          int
	before, after   int // rows of zeros
}

func (b *builder) convolution(c convolution, x string) string {
	inputs := []string{x, b.constant(c.name+".weight", c.weight, c.out, c.in, 1, c.kernel)}
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
