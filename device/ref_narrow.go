package device

import (
	"encoding/binary"
	"math"
)

// Byte matrices are read and written here through encoding/binary, whatever the order of the machine's bytes.

func (ref) PackNarrow(dst *Packed, w []int8, n int, ternary bool, a View) {
	k := 4 * a.Cols
	*dst = Packed{K: k, N: n, Step: a.RowStride, Data: hostBuffer(make([]float32, k*n)), bytes: true, ternary: ternary}
	for i, v := range w {
		dst.Data.host[i] = float32(v)
	}
}

func (d ref) MatMulNarrow(dst, a View, w *Packed, e NarrowEpilogue) {
	floats := dst
	if dst.Empty() {
		floats = Matrix(d.Alloc(a.Count()*w.N), a.Count(), w.N)
		floats.Groups, floats.Rows, floats.GroupStride = a.Groups, a.Rows, a.Rows*w.N
	}
	eachRow(a, func(g, r int) {
		out, sums := floats.row(g, r), make([]int32, w.N)
		for k, v := range bytesOf(a.row(g, r)) {
			for c, weight := range w.Data.host[k*w.N:][:w.N] {
				sums[c] += int32(v) * int32(weight)
			}
		}
		for c, sum := range sums {
			f := float32(float32(sum)*values(e.Multiply)[c]) + float32(at(e.Shift, c, 0))
			y := f
			if !e.Skip.Empty() {
				s := e.Skip.row(g, r)[c]
				if y = f + s; !e.Scale.Empty() {
					product := float32(f * s)
					y = (y + values(e.Offset)[c]) + float32(values(e.Scale)[c]*product)
				}
			}
			if e.ReLU {
				y = max(y, 0)
			}
			out[c] = y
		}
	})
	if !e.Bytes.Empty() {
		d.Quantise(e.Bytes, floats, e.BytesScale)
	}
}

func (ref) Quantise(dst, x View, scale float32) {
	eachRow(dst, func(g, r int) {
		list := make([]int8, 4*dst.Cols)
		for c, v := range x.row(g, r) {
			list[c] = quantised(v, 1/scale)
		}
		setBytes(dst.row(g, r), list)
	})
}

// bytesOf returns the bytes of words.
func bytesOf(words []float32) []int8 {
	list := make([]int8, 0, 4*len(words))
	for _, w := range words {
		for _, b := range binary.NativeEndian.AppendUint32(nil, math.Float32bits(w)) {
			list = append(list, int8(b))
		}
	}
	return list
}

// setBytes sets words to four bytes each.
func setBytes(words []float32, list []int8) {
	for i := range words {
		var b [4]byte
		for j := range b {
			b[j] = byte(list[4*i+j])
		}
		words[i] = math.Float32frombits(binary.NativeEndian.Uint32(b[:]))
	}
}
