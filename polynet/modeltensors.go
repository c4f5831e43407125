package polynet

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"gorgonia.org/tensor"
)

// readTensors reads the tensors that a header describes, to the end of the file, and the given narrow ones. Those that
// PyTorch counts training steps in are nil.
func readTensors(
	in *bufio.Reader, entries map[string]tensorEntry, narrow map[string]Weight,
) (map[string]*tensor.Dense, error) {
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(slices.Compare(x[:], y[:]), strings.Compare(a, b))
	})
	tensors, begin := make(map[string]*tensor.Dense, len(names)), int64(0)
	for _, name := range names {
		e := entries[name]
		if e.Offsets[0] != begin || e.Offsets[1] < begin {
			return nil, fmt.Errorf("%w: tensor %s lies at bytes %v, not from %d on: gaps and overlaps are not allowed",
				ErrModel, name, e.Offsets, begin)
		}
		t, err := readTensor(in, name, e, narrow[name])
		if err != nil {
			return nil, fmt.Errorf("%w: tensor %s: %w", ErrModel, name, err)
		}
		tensors[name], begin = t, e.Offsets[1]
	}
	switch _, err := in.ReadByte(); {
	case err == nil:
		return nil, fmt.Errorf("%w: bytes after the last tensor", ErrModel)
	case err != io.EOF:
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	return tensors, nil
}

// fileTypes are the types of values in a file, and the bytes that one takes: of ternary ones, five.
var fileTypes = []struct {
	name string
	size int64
}{Float32: {"F32", 4}, Int8: {"I8", 1}, Ternary: {"U8", 1}}

func readTensor(in *bufio.Reader, name string, e tensorEntry, w Weight) (*tensor.Dense, error) {
	size := e.Offsets[1] - e.Offsets[0]
	if strings.HasSuffix(name, countSuffix) {
		if n, err := io.CopyN(io.Discard, in, size); err != nil {
			return nil, fmt.Errorf("the file ends after %d of %d bytes: %w", n, size, noEOF(err))
		}
		return nil, nil
	}
	kind := fileTypes[w.Precision]
	if e.Type != kind.name {
		return nil, fmt.Errorf("type %.20q, want %s", e.Type, kind.name)
	}
	bytes := kind.size
	for _, n := range e.Shape {
		if n < 1 || bytes > size/int64(n) {
			bytes = 0 // more than there are
			break
		}
		bytes *= int64(n)
	}
	if bytes != size || size == 0 {
		return nil, fmt.Errorf("shape %v in %d bytes", e.Shape, size)
	}
	shape, values := e.Shape, any(nil)
	var err error
	switch w.Precision {
	case Int8:
		values, err = readValues(in, size, 1, func(to []int8, from []byte) {
			for i, b := range from {
				to[i] = int8(b)
			}
		})
	case Ternary:
		if shape = w.Shape; size != packedSize(w.Len()) {
			return nil, fmt.Errorf("%d bytes, want %d for %d ternary weights", size, packedSize(w.Len()), w.Len())
		}
		var packed []byte
		packed, err = readValues(in, size, 1, func(to, from []byte) { copy(to, from) })
		if err == nil {
			values, err = unpackTernary(packed, w.Len())
		}
	default:
		values, err = readValues(in, size/4, 4, func(to []float32, from []byte) {
			for i := range to {
				to[i] = math.Float32frombits(binary.LittleEndian.Uint32(from[4*i : 4*i+4]))
			}
		})
	}
	if err != nil {
		return nil, err
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values)), nil
}

// readValues reads n values of so many bytes, which decode makes. Memory grows with what arrives.
func readValues[T any](in *bufio.Reader, n int64, size int, decode func(to []T, from []byte)) ([]T, error) {
	values, bytes := make([]T, 0, min(n, 1<<18)), n*int64(size)
	for left := bytes; left > 0; {
		part, err := in.Peek(int(min(left, int64(in.Size()))))
		if err != nil {
			return nil, fmt.Errorf("the file ends after %d of %d bytes: %w", bytes-left+int64(len(part)), bytes, noEOF(err))
		}
		values = slices.Grow(values, len(part)/size)
		to := values[len(values) : len(values)+len(part)/size]
		decode(to, part)
		values = values[:len(values)+len(to)]
		in.Discard(len(part))
		left -= int64(len(part))
	}
	return values, nil
}

// packedTrits is how many ternary weights share a byte: 3⁵ = 243.
const packedTrits = 5

// packedSize returns the bytes of n ternary weights.
func packedSize(n int64) int64 { return (n + packedTrits - 1) / packedTrits }

// unpackTernary returns n ternary weights.
func unpackTernary(packed []byte, n int64) ([]int8, error) {
	values := make([]int8, n+packedTrits)[:0]
	for i, b := range packed {
		for v, k := int(b), 0; k < packedTrits; k++ {
			values = append(values, int8(v/81)-1)
			v = v % 81 * 3
		}
		if b > 242 {
			return nil, fmt.Errorf("byte %d is %d, five ternary weights are at most 242", i, b)
		}
	}
	for _, v := range values[n:] {
		if v != -1 {
			return nil, fmt.Errorf("there are more than %d weights", n)
		}
	}
	return values[:n:n], nil
}

// packTernary is the inverse of unpackTernary.
func packTernary(values []int8) []byte {
	packed := make([]byte, 0, packedSize(int64(len(values))))
	for part := range slices.Chunk(values, packedTrits) {
		b := byte(0)
		for k := range packedTrits {
			if b *= 3; k < len(part) {
				b += byte(part[k] + 1)
			}
		}
		packed = append(packed, b)
	}
	return packed
}
