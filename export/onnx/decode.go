package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrFormat marks bytes that are not an ONNX model, or one with weights that polyphon cannot read.
var ErrFormat = errors.New("unusable ONNX file")

const (
	maxFile   = 2 << 30 // bytes; protobuf allows no more
	maxItems  = 1 << 18 // nodes, initializers, ...: a network of 64 stages of 256 blocks has less
	maxOfNode = 16      // inputs, outputs and attributes, of each, whose smallest take 2 bytes in a file and 64 in memory
	maxDims   = 8       // of a tensor
)

// read returns the model in r; see Read.
func read(r io.Reader) (*modelProto, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	case len(file) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrFormat)
	case len(file) > maxFile:
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFormat, maxFile)
	}
	p := &modelProto{metadata: make(map[string]string)}
	if err := p.decode(file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if p.graph.nodes == nil {
		return nil, fmt.Errorf("%w: it has no graph", ErrFormat)
	}
	return p, nil
}

// field is one field of a message: value is an integer or 32 bits, bytes those of a field with a length and of 32 bits.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

// each calls visit for the fields of a message. Bytes are slices of it, so that no length exceeds what was read.
func each(message []byte, visit func(f field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
		}
		message = message[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(message)
			f.value, f.bytes = uint64(v), message[:max(n, 0)]
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(number, kind, message)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// text returns the field as a string.
func (f field) text() string { return string(f.bytes) }

// integers appends the field's integers, which may be packed, to list.
func (f field) integers(list []int64, limit int) ([]int64, error) {
	if f.kind == protowire.VarintType {
		list = append(list, int64(f.value))
	}
	for rest := f.bytes; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return nil, fmt.Errorf("field %d: %w", f.number, protowire.ParseError(n))
		}
		list, rest = append(list, int64(v)), rest[n:]
	}
	if len(list) > limit {
		return nil, fmt.Errorf("field %d: more than %d integers", f.number, limit)
	}
	return list, nil
}

// decoder is a message that can be decoded.
type decoder interface{ decode(message []byte) error }

// add appends the message in f to list, which may have limit items.
func add[M any, P interface {
	*M
	decoder
}](list *[]M, f field, limit int) error {
	if len(*list) == limit {
		return fmt.Errorf("field %d: more than %d items", f.number, limit)
	}
	*list = append(*list, *new(M))
	return P(&(*list)[len(*list)-1]).decode(f.bytes)
}

func (p *modelProto) decode(message []byte) error {
	return each(message, func(f field) error {
		switch f.number {
		case modelProducer:
			p.producer = f.text()
		case modelDoc:
			p.doc = f.text()
		case modelGraph:
			return p.graph.decode(f.bytes)
		case modelOpset:
			return p.decodeOpset(f.bytes)
		case modelMetadata:
			return p.decodeMetadata(f.bytes)
		}
		return nil
	})
}

func (p *modelProto) decodeOpset(message []byte) error {
	domain, version := "", int64(0)
	err := each(message, func(f field) error {
		switch f.number {
		case opsetDomain:
			domain = f.text()
		case opsetVersion:
			version = int64(f.value)
		}
		return nil
	})
	if domain == "" {
		p.opset = version
	}
	return err
}

func (p *modelProto) decodeMetadata(message []byte) error {
	var key, value string
	err := each(message, func(f field) error {
		switch f.number {
		case entryKey:
			key = f.text()
		case entryValue:
			value = f.text()
		}
		return nil
	})
	if len(p.metadata) == maxItems {
		return fmt.Errorf("more than %d entries of metadata", maxItems)
	}
	p.metadata[key] = value
	return err
}

func (g *graphProto) decode(message []byte) error {
	return each(message, func(f field) error {
		switch f.number {
		case graphNode:
			return add(&g.nodes, f, maxItems)
		case graphName:
			g.name = f.text()
		case graphInitializer:
			return add(&g.initializers, f, maxItems)
		case graphInput:
			return add(&g.inputs, f, maxItems)
		case graphOutput:
			return add(&g.outputs, f, maxItems)
		}
		return nil
	})
}

func (n *nodeProto) decode(message []byte) error {
	err := each(message, func(f field) error {
		if max(len(n.inputs), len(n.outputs)) > maxOfNode {
			return fmt.Errorf("node %q: more than %d inputs or outputs", n.name, maxOfNode)
		}
		switch f.number {
		case nodeInput:
			n.inputs = append(n.inputs, f.text())
		case nodeOutput:
			n.outputs = append(n.outputs, f.text())
		case nodeName:
			n.name = f.text()
		case nodeOp:
			n.op = f.text()
		case nodeAttribute:
			return add(&n.attributes, f, maxOfNode)
		}
		return nil
	})
	if err == nil && (n.op == "" || len(n.outputs) == 0) {
		err = fmt.Errorf("node %q: no operator or no output", n.name)
	}
	return err
}

func (a *attributeProto) decode(message []byte) error {
	return each(message, func(f field) (err error) {
		switch f.number {
		case attributeName:
			a.name = f.text()
		case attributeType:
			a.kind = int32(f.value)
		case attributeFieldFloat:
			a.number = math.Float32frombits(uint32(f.value))
		case attributeFieldInt:
			a.integer = int64(f.value)
		case attributeFieldT:
			a.tensor = new(tensorProto)
			return a.tensor.decode(f.bytes)
		case attributeFieldInts:
			a.list, err = f.integers(a.list, 2*maxDims)
		}
		return err
	})
}

// decode reads the values of float32 and int64 tensors; others keep their kind and have none.
func (t *tensorProto) decode(message []byte) error {
	var raw []byte
	external := false
	err := each(message, func(f field) (err error) {
		switch f.number {
		case tensorDims:
			t.dims, err = f.integers(t.dims, maxDims)
		case tensorType:
			t.kind = int32(f.value)
		case tensorName:
			t.name = f.text()
		case tensorRawData:
			raw = f.bytes
		case tensorFloatData:
			t.floats, err = appendFloats(t.floats, f.bytes)
		case tensorInt64Data:
			t.integers, err = f.integers(t.integers, maxItems)
		case tensorExternal:
			external = true
		}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("tensor %q: %w", t.name, err)
	case external:
		return fmt.Errorf("tensor %q: its values lie in another file; save the model as one", t.name)
	}
	if raw != nil {
		err = t.setRaw(raw)
	}
	if err == nil {
		err = t.checkDims()
	}
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return nil
}

func appendFloats(list []float32, raw []byte) ([]float32, error) {
	if len(raw)%4 != 0 {
		return nil, fmt.Errorf("%d bytes of float32 values", len(raw))
	}
	for ; len(raw) > 0; raw = raw[4:] {
		list = append(list, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return list, nil
}

func (t *tensorProto) setRaw(raw []byte) (err error) {
	switch t.kind {
	case tensorFloat:
		t.floats, err = appendFloats(make([]float32, 0, len(raw)/4), raw)
	case tensorInt64:
		if len(raw)%8 != 0 {
			return fmt.Errorf("%d bytes of int64 values", len(raw))
		}
		for ; len(raw) > 0; raw = raw[8:] {
			t.integers = append(t.integers, int64(binary.LittleEndian.Uint64(raw)))
		}
	}
	return err
}

// checkDims returns an error unless the dimensions are of as many values as there are.
func (t *tensorProto) checkDims() error {
	values := len(t.floats)
	switch t.kind {
	case tensorFloat:
	case tensorInt64:
		values = len(t.integers)
	default:
		return nil
	}
	size := int64(1)
	for _, d := range t.dims {
		if d < 0 || d > maxFile || size*d > maxFile {
			return fmt.Errorf("shape %v", t.dims)
		}
		size *= d
	}
	if int64(values) != size {
		return fmt.Errorf("%d values in a shape of %v", values, t.dims)
	}
	return nil
}

// decode: inputs and outputs are read for their names only.
func (v *valueProto) decode(message []byte) error {
	return each(message, func(f field) error {
		if f.number == valueName {
			v.name = f.text()
		}
		return nil
	})
}
