// Package device holds memory and loops: the float32 kernels that polyphon's networks run on.
//
// Ref is the oracle (plain Go, float64 sums), CPU the fast path. A device knows matrices, columns and
// rows; it knows neither layers nor labels.
package device

// Device runs the kernels that inference needs. Unless a method says otherwise:
//
//   - views hold float32 in row-major order and have the shapes that the comment names; a mismatch is a
//     bug in the caller and panics with both shapes;
//   - a destination may be one of the operands, but must not partly overlap one;
//   - only the rows of a destination are written, never what lies between its groups;
//   - an empty Buffer or View for an operand that the comment calls optional means "leave it out".
//
// All methods may be called from several goroutines at once, on different destinations. Results do not
// depend on the number of threads.
type Device interface {
	// Name says what runs: "ref", "cpu (avx512, 2 threads)", ...
	Name() string
	// Serial returns a device that shares this one's memory and packed matrices and computes on the caller's goroutine
	// alone, for work that is too short to divide between threads. A GPU returns itself.
	Serial() Device

	// Alloc returns n zeroed floats. Free gives them back.
	Alloc(n int) Buffer
	Free(b Buffer)
	// Upload copies src into dst, Download copies src into dst; lengths must agree.
	Upload(dst Buffer, src []float32)
	Download(dst []float32, src Buffer)

	// Fill sets every element of dst to v.
	Fill(dst View, v float32)

	// Pack lays out the (k, n) row-major matrix w for MatMul. It reuses dst's memory where that fits.
	Pack(dst *Packed, w Buffer, k, n int)
	// PackWindows is Pack of the (a.Cols, n) matrix w for products with windows like a, RowStride values apart, which
	// MatMul's a must be then. A device may compute such products with fewer multiplications (minimal filtering), which
	// rounds otherwise, by a few times as much; MatMul still reads nothing but a's rows. How many groups and rows there
	// are may differ, but decides what is fastest. a's Data is not looked at.
	PackWindows(dst *Packed, w Buffer, n int, a View)
	// MatMul computes dst = epilogue(a·w) for each group, with a (rows, k), w (k, n), dst (rows, n).
	// The rows of a may overlap (RowStride < Cols): that is how a convolution reads its windows in place.
	// dst must not overlap a.
	MatMul(dst, a View, w *Packed, e Epilogue)
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

// Epilogue is what MatMul does to a product's element before it is written, in this order:
//
//	f = acc (+ dst, with Accumulate) (+ Shift[column])
//	y = f                                           without Skip
//	y = f + s                                       with Skip = s
//	y = f + s + Scale[column]·f·s + Offset[column]  with Skip and Scale (Offset required with Scale)
//	y = max(y, 0)                                   with ReLU
//
// Skip has dst's shape and may be dst itself. The third form is a whole polynomial residual block's output.
type Epilogue struct {
	Accumulate    bool
	Shift         Buffer
	Skip          View
	Scale, Offset Buffer
	ReLU          bool
}
