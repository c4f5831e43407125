package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message. Its method fields passes each of its fields to c, in the order of their numbers, to be
// written or read. It may have a method check too, which is called when all of its fields have been read.
type message interface{ fields(c *codec) }

// codec writes the fields of a message, or reads one of them.
type codec struct {
	out   []byte // what has been written
	field *field // the one to read; nil where the message is written
	err   error
}

// field is one field of a message: value is an integer or 32 bits, bytes those of a field with a length and of 32 bits.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64
	bytes  []byte
}

func encode(m message) []byte {
	var c codec
	m.fields(&c)
	return c.out
}

// decode reads m. What it reads are slices of data, so that no length exceeds what there is.
func decode(data []byte, m message) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return fmt.Errorf("not a protobuf message: %w", protowire.ParseError(n))
		}
		data = data[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.value, f.bytes = uint64(v), data[:max(n, 0)]
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return fmt.Errorf("field %d: %w", number, protowire.ParseError(n))
		}
		data = data[n:]
		c := codec{field: &f}
		if m.fields(&c); c.err != nil {
			return c.err
		}
	}
	if m, ok := m.(interface{ check() error }); ok {
		return m.check()
	}
	return nil
}

func (c *codec) writes() bool { return c.field == nil }

func (c *codec) reads(number protowire.Number) bool { return !c.writes() && c.field.number == number }

func (c *codec) bytes(number protowire.Number, v *[]byte) {
	if c.writes() {
		c.out = protowire.AppendBytes(protowire.AppendTag(c.out, number, protowire.BytesType), *v)
	} else if c.reads(number) {
		*v = c.field.bytes
	}
}

// text is a name, long a longer text.
func (c *codec) text(number protowire.Number, v *string) { c.bounded(number, v, maxName) }
func (c *codec) long(number protowire.Number, v *string) { c.bounded(number, v, maxText) }

func (c *codec) bounded(number protowire.Number, v *string, limit int) {
	if c.writes() {
		c.out = protowire.AppendString(protowire.AppendTag(c.out, number, protowire.BytesType), *v)
	} else if c.reads(number) {
		if len(c.field.bytes) > limit {
			c.err = fmt.Errorf("field %d: a text of %d bytes, at most %d are possible", number, len(c.field.bytes), limit)
			return
		}
		*v = string(c.field.bytes)
	}
}

func (c *codec) texts(number protowire.Number, list *[]string, limit int) {
	if c.writes() {
		for i := range *list {
			c.text(number, &(*list)[i])
		}
	} else if c.reads(number) && c.room(len(*list), limit) {
		*list = append(*list, "")
		c.text(number, &(*list)[len(*list)-1])
	}
}

func (c *codec) integer(number protowire.Number, v *int64) {
	if c.writes() {
		c.out = protowire.AppendVarint(protowire.AppendTag(c.out, number, protowire.VarintType), uint64(*v))
	} else if c.reads(number) {
		*v = int64(c.field.value)
	}
}

// integers reads integers that are packed too.
func (c *codec) integers(number protowire.Number, list *[]int64, limit int) {
	if c.writes() {
		for i := range *list {
			c.integer(number, &(*list)[i])
		}
	}
	if !c.reads(number) {
		return
	}
	if c.field.kind == protowire.VarintType && c.room(len(*list), limit) {
		*list = append(*list, int64(c.field.value))
	}
	for rest := c.field.bytes; len(rest) > 0 && c.room(len(*list), limit); {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			c.err = fmt.Errorf("field %d: %w", number, protowire.ParseError(n))
			return
		}
		*list, rest = append(*list, int64(v)), rest[n:]
	}
}

func (c *codec) float(number protowire.Number, v *float32) {
	if c.writes() {
		c.out = protowire.AppendFixed32(protowire.AppendTag(c.out, number, protowire.Fixed32Type), math.Float32bits(*v))
	} else if c.reads(number) {
		*v = math.Float32frombits(uint32(c.field.value))
	}
}

func (c *codec) message(number protowire.Number, m message) {
	if c.writes() {
		inner := encode(m)
		c.bytes(number, &inner)
	} else if c.reads(number) {
		c.err = decode(c.field.bytes, m)
	}
}

func messages[M any, P interface {
	*M
	message
}](c *codec, number protowire.Number, list *[]M, limit int) {
	if c.writes() {
		for i := range *list {
			c.message(number, P(&(*list)[i]))
		}
	} else if c.reads(number) && c.room(len(*list), limit) {
		*list = append(*list, *new(M))
		c.message(number, P(&(*list)[len(*list)-1]))
	}
}

// room reports whether a list of so many items may get one more, and fails where it may not.
func (c *codec) room(items, limit int) bool {
	if items >= limit {
		c.err = fmt.Errorf("field %d: more than %d items", c.field.number, limit)
	}
	return c.err == nil
}

// values returns the numbers in raw, little-endian.
func values[T float32 | int8 | int64](raw []byte) ([]T, error) {
	size := binary.Size(T(0))
	if len(raw)%size != 0 {
		return nil, fmt.Errorf("%d bytes of numbers of %d bytes each", len(raw), size)
	}
	list := make([]T, len(raw)/size)
	_, err := binary.Decode(raw, binary.LittleEndian, list)
	return list, err
}
