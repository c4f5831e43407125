package onnx

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), with the fields that polyphon
// uses.
type (
	modelProto struct {
		producer string // the program that wrote it
		doc      string
		opset    int64 // version of the default operator set
		graph    graphProto
		metadata map[string]string
	}
	graphProto struct {
		name            string
		nodes           []nodeProto // each after those that it depends on
		initializers    []tensorProto
		inputs, outputs []valueProto
	}
	nodeProto struct {
		name, op        string
		inputs, outputs []string
		attributes      []attributeProto
	}
	// attributeProto holds a value of the given kind.
	attributeProto struct {
		name    string
		kind    int32
		number  float32
		integer int64
		list    []int64
		tensor  *tensorProto
	}
	// tensorProto holds values of the given kind.
	tensorProto struct {
		name     string
		dims     []int64
		kind     int32
		floats   []float32
		integers []int64
	}
	// valueProto is a float32 input or output of a graph.
	valueProto struct {
		name, doc string
		dims      []dimension
	}
	// dimension is one of a known size, or, with a name, one that the caller chooses.
	dimension struct {
		name string
		size int
	}
)

// Values of AttributeProto.AttributeType.
const (
	attributeFloat  = 1
	attributeInt    = 2
	attributeTensor = 4
	attributeInts   = 7
)

// Values of TensorProto.DataType.
const (
	tensorFloat = 1
	tensorInt64 = 7
)

// irVersion is the version of the file format: the first that knows the operator sets from 17 on.
const irVersion = 8

// The field numbers of the messages.
const (
	modelIRVersion = 1
	modelProducer  = 2
	modelDoc       = 6
	modelGraph     = 7
	modelOpset     = 8
	modelMetadata  = 14

	opsetDomain  = 1
	opsetVersion = 2

	entryKey   = 1 // StringStringEntryProto
	entryValue = 2

	graphNode        = 1
	graphName        = 2
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12

	nodeInput     = 1
	nodeOutput    = 2
	nodeName      = 3
	nodeOp        = 4
	nodeAttribute = 5

	attributeName       = 1
	attributeFieldFloat = 2
	attributeFieldInt   = 3
	attributeFieldT     = 5
	attributeFieldInts  = 8
	attributeType       = 20

	tensorDims      = 1
	tensorType      = 2
	tensorFloatData = 4
	tensorInt64Data = 7
	tensorName      = 8
	tensorRawData   = 9
	tensorExternal  = 13

	valueName = 1
	valueType = 2
	valueDoc  = 3

	typeTensor      = 1 // TypeProto
	tensorTypeElem  = 1 // TypeProto.Tensor
	tensorTypeShape = 2
	shapeDim        = 1 // TensorShapeProto
	dimValue        = 1
	dimParam        = 2
)

// message is a protobuf message under construction.
type message []byte

func (m *message) integer(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) text(field protowire.Number, v string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (m *message) bytes(field protowire.Number, v []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (p *modelProto) encode() message {
	var m message
	m.integer(modelIRVersion, irVersion)
	m.text(modelProducer, p.producer)
	m.text(modelDoc, p.doc)
	m.bytes(modelGraph, p.graph.encode())
	var opset message
	opset.text(opsetDomain, "")
	opset.integer(opsetVersion, p.opset)
	m.bytes(modelOpset, opset)
	for _, key := range slices.Sorted(maps.Keys(p.metadata)) {
		var entry message
		entry.text(entryKey, key)
		entry.text(entryValue, p.metadata[key])
		m.bytes(modelMetadata, entry)
	}
	return m
}

func (g *graphProto) encode() message {
	var m message
	for i := range g.nodes {
		m.bytes(graphNode, g.nodes[i].encode())
	}
	m.text(graphName, g.name)
	for i := range g.initializers {
		m.bytes(graphInitializer, g.initializers[i].encode())
	}
	for _, v := range g.inputs {
		m.bytes(graphInput, v.encode())
	}
	for _, v := range g.outputs {
		m.bytes(graphOutput, v.encode())
	}
	return m
}

func (n *nodeProto) encode() message {
	var m message
	for _, name := range n.inputs {
		m.text(nodeInput, name)
	}
	for _, name := range n.outputs {
		m.text(nodeOutput, name)
	}
	m.text(nodeName, n.name)
	m.text(nodeOp, n.op)
	for _, a := range n.attributes {
		m.bytes(nodeAttribute, a.encode())
	}
	return m
}

func (a *attributeProto) encode() message {
	var m message
	m.text(attributeName, a.name)
	switch a.kind {
	case attributeFloat:
		m.float(attributeFieldFloat, a.number)
	case attributeInt:
		m.integer(attributeFieldInt, a.integer)
	case attributeInts:
		for _, v := range a.list {
			m.integer(attributeFieldInts, v)
		}
	}
	m.integer(attributeType, int64(a.kind))
	return m
}

func (t *tensorProto) encode() message {
	var m message
	for _, d := range t.dims {
		m.integer(tensorDims, d)
	}
	m.integer(tensorType, int64(t.kind))
	m.text(tensorName, t.name)
	raw := make([]byte, 0, 4*len(t.floats)+8*len(t.integers))
	for _, v := range t.floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	for _, v := range t.integers {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	m.bytes(tensorRawData, raw)
	return m
}

func (v *valueProto) encode() message {
	var shape message
	for _, d := range v.dims {
		var dim message
		if d.name != "" {
			dim.text(dimParam, d.name)
		} else {
			dim.integer(dimValue, int64(d.size))
		}
		shape.bytes(shapeDim, dim)
	}
	var tensor, kind, m message
	tensor.integer(tensorTypeElem, tensorFloat)
	tensor.bytes(tensorTypeShape, shape)
	kind.bytes(typeTensor, tensor)
	m.text(valueName, v.name)
	m.bytes(valueType, kind)
	m.text(valueDoc, v.doc)
	return m
}
