package simd

import (
	"math"
	"unsafe"
)

// Bytes returns the bytes of words.
func Bytes(words []float32) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(words))), 4*len(words))
}

// Integers returns words as integers: copying them as floats could change them.
func Integers(words []float32) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}

func byteTile(c []float32, cStride int, a []float32, starts *[MaxTileRows]int, b []float32,
	depth, rows, vectors int) {
	const width = 4
	cols := vectors * width
	panel, out := Bytes(b[:depth*cols]), Integers(c)
	for r := range rows {
		in := Bytes(a[starts[r]:][:depth])
		for col := range cols {
			sum, at := int32(0), 4*col
			for k := 0; k+4 <= len(in); k += 4 {
				w := panel[at:][:4]
				sum += int32(in[k])*int32(w[0]) + int32(in[k+1])*int32(w[1]) +
					int32(in[k+2])*int32(w[2]) + int32(in[k+3])*int32(w[3])
				at += 4 * cols
			}
			out[r*cStride+col] = sum
		}
	}
}

// A conversion to float32 rounds a product and keeps it from being part of a fused multiply-add.

func dequantise(dst, x, a, c []float32, rows, cols, dstStride, xStride int, floor float32) {
	a = a[:cols]
	for r := range rows {
		out, in := dst[r*dstStride:][:cols], Integers(x[r*xStride:][:cols])
		for i, v := range in {
			out[i] = max(float32(float32(v)*a[i])+value(c, i, 0), floor)
		}
	}
}

func dequantiseSum(dst, x, s, a, c []float32, rows, cols, dstStride, xStride, sStride int, floor float32) {
	a = a[:cols]
	for r := range rows {
		out, in, skip := dst[r*dstStride:][:cols], Integers(x[r*xStride:][:cols]), s[r*sStride:][:cols]
		for i, v := range in {
			out[i] = max(float32(float32(v)*a[i])+value(c, i, 0)+skip[i], floor)
		}
	}
}

func dequantiseHadamardSum(dst, x, s, a, c, p, q []float32,
	rows, cols, dstStride, xStride, sStride int, floor float32) {
	a, p, q = a[:cols], p[:cols], q[:cols]
	for r := range rows {
		out, in, skip := dst[r*dstStride:][:cols], Integers(x[r*xStride:][:cols]), s[r*sStride:][:cols]
		for i, v := range in {
			f := float32(float32(v)*a[i]) + value(c, i, 0)
			out[i] = max(f+skip[i]+q[i]+float32(p[i]*float32(f*skip[i])), floor)
		}
	}
}

func quantise(dst, x []float32, rows, cols, dstStride, xStride int, inverse float32) {
	const limit = 127
	words := (cols + 3) / 4
	for r := range rows {
		out, in := Bytes(dst[r*dstStride:][:words]), x[r*xStride:][:cols]
		for i, v := range in {
			if v *= inverse; !(v < limit) {
				v = limit
			}
			// Numbers of this size have no bits after the point, so that the sum is rounded, to the last ones of its fraction.
			const shift = 3 << 22
			out[i] = int8(math.Float32bits(max(v, -limit) + shift))
		}
		clear(out[cols:])
	}
}
