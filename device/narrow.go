package device

import (
	"fmt"
	"math"
)

// Narrow is a Device that multiplies rows of bytes by int8 and ternary weights. CPU and Ref implement it.
//
// A byte matrix is a View whose values are words of four signed bytes: a row of c bytes takes CeilDiv(c, 4) values, the
// first byte of a value being the one at the lowest address; bytes after the c-th are 0. Uploading, copying and Fill
// with 0 treat such values as any others, arithmetic does not.
//
// Sums of products are exact integers. Floats enter after them, in a stated order of operations that are each rounded
// to the nearest float32, ties to even, so that results depend on neither threads nor instruction set: only the sign of
// a zero may.
type Narrow interface {
	Device
	// PackNarrow lays out the (4·a.Cols, n) row-major matrix w for products with windows like a, which are as far apart
	// and for which it may choose an algorithm; a's Data is not looked at. A row has at most MaxNarrowDepth bytes.
	// Weights are -127 to 127; with ternary set, -1 to 1.
	PackNarrow(dst *Packed, w []int8, n int, ternary bool, a View)
	// MatMulNarrow computes dst = epilogue(a·w) for each group, with a (rows, k bytes), w (k, n), dst (rows, n). The rows
	// of a may overlap, as MatMul's. Without dst, only e.Bytes is written. Neither may overlap a.
	MatMulNarrow(dst, a View, w *Packed, e NarrowEpilogue)
	// Quantise computes the byte matrix dst, (rows, CeilDiv(n, 4)), of x, (rows, n), as NarrowEpilogue.Bytes.
	Quantise(dst, x View, scale float32)
}

// NarrowEpilogue is what MatMulNarrow does to each sum of products, in this order, every operation rounded:
//
//	f = Multiply[column]·sum (+ Shift[column])
//	y = f                                               without Skip
//	y = f + s                                           with Skip = s
//	y = ((f + s) + Offset[column]) + Scale[column]·(f·s)  with Skip, Scale and Offset
//	y = max(y, 0)                                       with ReLU
//
// Skip has dst's shape and may be dst itself.
type NarrowEpilogue struct {
	Multiply, Shift Buffer // Shift is optional
	Skip            View
	Scale, Offset   Buffer
	ReLU            bool

	// Bytes is a byte matrix, or empty, that gets y·(1/BytesScale) rounded to the nearest integer, ties to even, and
	// clamped to ±127. What is not a number gives 127. 1/BytesScale is rounded to float32 first.
	Bytes      View
	BytesScale float32
}

// MaxNarrowDepth is how many products of bytes a sum may have: as many of -128·-128 fit an int32.
const MaxNarrowDepth = (1<<31 - 1) / (128 * 128)

// narrowLimit is the largest byte that Quantise gives.
const narrowLimit = 127

// quantised returns the byte of value y: Quantise's arithmetic, given 1/scale.
func quantised(y, inverse float32) int8 {
	if y *= inverse; !(y < narrowLimit) {
		return narrowLimit
	}
	return int8(math.RoundToEven(float64(max(y, -narrowLimit))))
}

// checkedNarrow is checked for devices that are Narrow.
type checkedNarrow struct{ checked }

func (c checkedNarrow) Serial() Device { return Checked(c.Trainer.Serial().(Trainer)) }

func (c checkedNarrow) PackNarrow(dst *Packed, w []int8, n int, ternary bool, a View) {
	k := 4 * a.Cols
	if k < 0 || n < 0 || a.RowStride < 1 || k > MaxNarrowDepth || len(w) != k*n {
		panic(fmt.Sprintf("device: PackNarrow: %d values for windows %v, %d values apart, times (%d,%d)",
			len(w), a, a.RowStride, k, n))
	}
	least, most := int8(-narrowLimit), int8(narrowLimit)
	if ternary {
		least, most = -1, 1
	}
	for i, v := range w {
		if v < least || v > most {
			panic(fmt.Sprintf("device: PackNarrow: weight %d is %d, want %d to %d", i, v, least, most))
		}
	}
	c.Trainer.(Narrow).PackNarrow(dst, w, n, ternary, a)
}

func (c checkedNarrow) MatMulNarrow(dst, a View, w *Packed, e NarrowEpilogue) {
	const op = "MatMulNarrow"
	checkView(op, "a", a)
	if !w.bytes || 4*a.Cols != w.K || a.RowStride != w.Step && a.Count() > 1 {
		panic(fmt.Sprintf("device: %s: a %v, %d values apart, times w (%d,%d), packed for bytes: %v, %d values apart",
			op, a, a.RowStride, w.K, w.N, w.bytes, w.Step))
	}
	result := View{Groups: a.Groups, Rows: a.Rows, Cols: w.N}
	if dst.Data.n != 0 {
		checkDst(op, "dst", dst)
		checkLike(op, result, "dst", dst)
	}
	if e.Skip.Data.n != 0 {
		checkLike(op, result, "Skip", e.Skip)
	}
	if e.Scale.n != 0 && e.Skip.Data.n == 0 && a.Groups*a.Rows > 0 || (e.Scale.n == 0) != (e.Offset.n == 0) {
		panic(fmt.Sprintf("device: %s: Skip %v, Scale of %d values and Offset of %d",
			op, e.Skip, e.Scale.Len(), e.Offset.Len()))
	}
	checkLen(op, w.N, "Multiply", e.Multiply)
	checkOptionalLen(op, w.N, "Shift Scale Offset", e.Shift, e.Scale, e.Offset)
	if e.Bytes.Data.n != 0 {
		checkBytes(op, "Bytes", e.Bytes, result, e.BytesScale)
	}
	c.Trainer.(Narrow).MatMulNarrow(dst, a, w, e)
}

func (c checkedNarrow) Quantise(dst, x View, scale float32) {
	checkView("Quantise", "x", x)
	if dst.Data.n != 0 || x.Count()*x.Cols > 0 {
		checkBytes("Quantise", "dst", dst, x, scale)
	}
	c.Trainer.(Narrow).Quantise(dst, x, scale)
}

// checkBytes rejects a byte matrix that does not fit floats like x, and scales that give no numbers.
func checkBytes(op, name string, bytes, x View, scale float32) {
	checkDst(op, name, bytes)
	x.Cols = CeilDiv(x.Cols, 4)
	if bytes.Groups != x.Groups || bytes.Rows != x.Rows || bytes.Cols != x.Cols {
		mismatch(op, name, bytes, x)
	}
	if inverse := 1 / scale; !(inverse > 0 && inverse <= math.MaxFloat32 && scale > 0) {
		panic(fmt.Sprintf("device: %s: %s with a scale of %v", op, name, scale))
	}
}
