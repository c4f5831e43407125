// Package device runs the kernels of polyphon's networks: Device has those of inference, on float32, Narrow those on
// bytes, Trainer all that training needs.
//
// Ref is the reference that the others are tested against, in plain Go with sums in float64; CPU is the fast device;
// package gpu has another one. Devices work on matrices, rows and columns, not on layers or labels.
package device

// Device runs the kernels that inference needs. Unless a method says otherwise:
//
//   - views hold float32 in row-major order and have the shapes that the comment names; a mismatch is a bug in the
//     caller and panics with both shapes;
//   - a destination may be one of the operands, but must not partly overlap one;
//   - only the rows of a destination are written, never the values between its rows and groups;
//   - an empty Buffer or View for an operand that the comment calls optional leaves the operand out.
//
// All methods may be called from several goroutines at once, on different destinations. Results do not depend on the
// number of threads. A device with memory of its own panics with a *Fault where it fails.
type Device interface {
	// Name describes the device: "ref", "cpu (avx512, 2 threads)", ...
	Name() string
	// Serial returns a device that shares this one's memory and packed matrices and computes on the caller's goroutine
	// alone, for work that is too short to divide between threads. A GPU's computes on the GPU all the same.
	Serial() Device

	// Alloc returns n zeroed floats. Free releases them.
	Alloc(n int) Buffer
	Free(b Buffer)
	// Upload copies src into dst, Download copies src into dst; lengths must agree.
	Upload(dst Buffer, src []float32)
	Download(dst []float32, src Buffer)

	// Fill sets every element of dst to v.
	Fill(dst View, v float32)

	// Pack lays out the (k, n) row-major matrix w for MatMul. It reuses dst's memory if that is large enough.
	Pack(dst *Packed, w Buffer, k, n int)
	// PackWindows is Pack of the (a.Cols, n) matrix w for products with windows like a, RowStride values apart; MatMul's
	// a must then have that RowStride. A device may compute such products with fewer multiplications (Winograd's minimal
	// filtering), whose rounding errors are a few times as large; MatMul still reads only a's rows. The numbers of
	// groups and rows of MatMul's a may differ from a's, for which the fastest algorithm is chosen. a's Data is not read.
	PackWindows(dst *Packed, w Buffer, n int, a View)
	// MatMul computes dst = epilogue(a·w) for each group, with a (rows, k), w (k, n), dst (rows, n).
	// The rows of a may overlap (RowStride < Cols), as the windows of a convolution do. dst must not overlap a.
	MatMul(dst, a View, w *Packed, e Epilogue)
	// Depthwise computes a convolution of each column: dst[r][c] = shift[c] + Σ over k of w[k][c]·x[r][k·n+c]. shift is
	// optional; with add set, dst itself takes its place. x has windows of K rows of dst's n columns each (rows, K·n),
	// which may overlap as MatMul's a, w is (K, n) row-major. dst must not overlap x.
	Depthwise(dst, x View, w, shift Buffer, add bool)
	// Affine computes dst = a∘x + b∘y + c, with a, b, c one value a column. y, a, b and c are optional
	// (no a or b: 1; no y: no such term; no c: 0). With relu set, negative results become 0.
	Affine(dst, x, y View, a, b, c Buffer, relu bool)
	// Hadamard computes dst = x∘y, or dst += x∘y when add is set.
	Hadamard(dst, x, y View, add bool)
	// Tanh computes dst = tanh x.
	Tanh(dst, x View)
	// AvgPool computes dst[g] = mean over rows of x[g]; dst has one row a group.
	AvgPool(dst, x View)
}

// Epilogue is what MatMul does to each element of a product before it is written, in this order:
//
//	f = acc (+ dst, with Accumulate) (+ Shift[column])
//	y = f                                           without Skip
//	y = f + s                                       with Skip = s
//	y = f + s + Scale[column]·f·s + Offset[column]  with Skip and Scale (Offset required with Scale)
//	y = max(y, 0)                                   with ReLU
//
// Skip has dst's shape and may be dst itself. The third form is a polynomial residual block's output.
type Epilogue struct {
	Accumulate    bool
	Shift         Buffer
	Skip          View
	Scale, Offset Buffer
	ReLU          bool
}
