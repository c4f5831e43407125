package onnx

import (
	"encoding/binary"
	"fmt"
)

// Limits of what is read, so that a file takes at most 64 MB besides its own size and that of its weights: the smallest
// items take 2 bytes in a file and up to 150 in memory. A network of polynet.Config's limits has less.
const (
	maxFile     = 2 << 30 // bytes; protobuf allows no more
	maxNodes    = 1 << 15
	maxParts    = 3 << 16 // inputs, outputs and attributes of all nodes
	maxOfNode   = 16      // of each of these
	maxItems    = 1 << 16 // initializers, entries of the metadata, ...
	maxDims     = 8       // of a tensor
	maxIntegers = 64      // of a tensor of integers that are not raw
	maxName     = 1 << 12 // bytes
	maxText     = 1 << 20 // bytes of an entry of the metadata
)

// Values of AttributeProto.AttributeType.
const (
	attributeFloat = 1
	attributeInt   = 2
	attributeInts  = 7
)

// Values of TensorProto.DataType.
const (
	tensorFloat = 1
	tensorInt8  = 3
	tensorInt64 = 7
)

// irVersion is the version of the file format: the first that has the operator sets from 17 on.
const irVersion = 8

// The messages of onnx.proto3 (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3), with the fields that polyphon
// uses.
type (
	modelProto struct {
		producer string // the program that wrote it
		doc      string
		graph    graphProto
		opsets   []opsetProto
		metadata []entryProto
	}
	// opsetProto is the version of a set of operators; the default one has no domain.
	opsetProto struct {
		domain  string
		version int64
	}
	entryProto struct{ key, value string }
	graphProto struct {
		name            string
		nodes           []nodeProto // each after those that it depends on
		initializers    []tensorProto
		inputs, outputs []valueProto
		parts           int // inputs, outputs and attributes of the nodes that have been read
	}
	nodeProto struct {
		name, op        string
		inputs, outputs []string
		attributes      []attributeProto
	}
	// attributeProto holds a value of the given kind.
	attributeProto struct {
		name    string
		kind    int64
		number  float32
		integer int64
		list    []int64
		tensor  *tensorProto // only read
	}
	// tensorProto holds values of the given kind. Those of other kinds than float32, int8 and int64 are not read.
	tensorProto struct {
		name     string
		dims     []int64
		kind     int64
		floats   []float32
		levels   []int8
		integers []int64
		raw      []byte // the values as they are in a file, until they have been read
		external []byte // where in another file they are
		location int64  // 1: in another file
	}
	// valueProto is a float32 input or output of a graph, of which only the name is read.
	valueProto struct {
		name, doc string
		dims      []dimension
	}
	// dimension is one of a known size, or, with a name, one that the caller chooses.
	dimension struct {
		name string
		size int64
	}
	// fieldsOf is a message that is only written.
	fieldsOf func(c *codec)
)

func (f fieldsOf) fields(c *codec) { f(c) }

func (p *modelProto) fields(c *codec) {
	version := int64(irVersion)
	c.integer(1, &version)
	c.text(2, &p.producer)
	c.long(6, &p.doc)
	c.message(7, &p.graph)
	messages(c, 8, &p.opsets, maxItems)
	messages(c, 14, &p.metadata, maxItems)
}

func (o *opsetProto) fields(c *codec) {
	c.text(1, &o.domain)
	c.integer(2, &o.version)
}

func (e *entryProto) fields(c *codec) {
	c.text(1, &e.key)
	c.long(2, &e.value)
}

func (g *graphProto) fields(c *codec) {
	messages(c, 1, &g.nodes, maxNodes)
	if c.reads(1) && c.err == nil {
		n := &g.nodes[len(g.nodes)-1]
		if g.parts += len(n.inputs) + len(n.outputs) + len(n.attributes); g.parts > maxParts {
			c.err = fmt.Errorf("more than %d inputs, outputs and attributes", maxParts)
		}
	}
	c.text(2, &g.name)
	messages(c, 5, &g.initializers, maxItems)
	messages(c, 11, &g.inputs, maxItems)
	messages(c, 12, &g.outputs, maxItems)
}

func (n *nodeProto) fields(c *codec) {
	c.texts(1, &n.inputs, maxOfNode)
	c.texts(2, &n.outputs, maxOfNode)
	c.text(3, &n.name)
	c.text(4, &n.op)
	messages(c, 5, &n.attributes, maxOfNode)
}

func (n *nodeProto) check() error {
	if n.op == "" || len(n.outputs) == 0 {
		return fmt.Errorf("node %.80q: no operator or no output", n.name)
	}
	return nil
}

func (a *attributeProto) fields(c *codec) {
	c.text(1, &a.name)
	if !c.writes() || a.kind == attributeFloat {
		c.float(2, &a.number)
	}
	if !c.writes() || a.kind == attributeInt {
		c.integer(3, &a.integer)
	}
	if c.reads(5) {
		a.tensor = new(tensorProto)
		c.message(5, a.tensor)
	}
	c.integers(8, &a.list, 2*maxDims)
	c.integer(20, &a.kind)
}

// fields writes values as raw ones, and reads the fields of each kind too.
func (t *tensorProto) fields(c *codec) {
	c.integers(1, &t.dims, maxDims)
	c.integer(2, &t.kind)
	c.text(8, &t.name)
	if c.writes() {
		raw, _ := binary.Append(nil, binary.LittleEndian, t.floats)
		raw, _ = binary.Append(raw, binary.LittleEndian, t.levels)
		raw, _ = binary.Append(raw, binary.LittleEndian, t.integers)
		c.bytes(9, &raw)
		return
	}
	if c.reads(4) {
		var floats []float32
		floats, c.err = values[float32](c.field.bytes)
		t.floats = append(t.floats, floats...)
	}
	c.integers(7, &t.integers, maxIntegers)
	c.bytes(9, &t.raw)
	c.bytes(13, &t.external)
	c.integer(14, &t.location)
}

// check reads raw values, and returns an error unless the dimensions are of as many values as there are.
func (t *tensorProto) check() (err error) {
	if t.external != nil || t.location != 0 {
		return fmt.Errorf("tensor %.80q: its values lie in another file; save the model as one", t.name)
	}
	if t.raw != nil && t.kind == tensorFloat {
		t.floats, err = values[float32](t.raw)
	}
	if t.raw != nil && t.kind == tensorInt64 {
		t.integers, err = values[int64](t.raw)
	}
	if t.raw != nil && t.kind == tensorInt8 {
		t.levels, err = values[int8](t.raw)
	}
	if err != nil {
		return fmt.Errorf("tensor %.80q: %w", t.name, err)
	}
	t.raw = nil
	size := int64(1)
	for _, d := range t.dims {
		if d < 0 || d > maxFile || size*d > maxFile {
			return fmt.Errorf("tensor %.80q: shape %v", t.name, t.dims)
		}
		size *= d
	}
	count, known := map[int64]int{
		tensorFloat: len(t.floats), tensorInt8: len(t.levels), tensorInt64: len(t.integers),
	}[t.kind]
	if known && int64(count) != size {
		return fmt.Errorf("tensor %.80q: %d values in a shape of %v", t.name, count, t.dims)
	}
	return nil
}

func (v *valueProto) fields(c *codec) {
	c.text(1, &v.name)
	if !c.writes() {
		return
	}
	kind := int64(tensorFloat)
	shape := fieldsOf(func(c *codec) { messages(c, 1, &v.dims, maxDims) })
	tensor := fieldsOf(func(c *codec) { c.integer(1, &kind); c.message(2, shape) })
	c.message(2, fieldsOf(func(c *codec) { c.message(1, tensor) }))
	c.long(3, &v.doc)
}

func (d *dimension) fields(c *codec) {
	if d.name != "" {
		c.text(2, &d.name)
	} else {
		c.integer(1, &d.size)
	}
}
