// Package device holds memory and loops: the float32 kernels that polyphon's networks run on.
//
// Ref is the oracle (plain Go, float64 sums), CPU the fast path. A device knows matrices, columns and
// rows; it knows neither layers nor labels.
package device

// Device runs the kernels. Unless a method says otherwise:
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

	// Alloc returns n zeroed floats. Free gives them back.
	Alloc(n int) Buffer
	Free(b Buffer)
	// Upload copies src into dst, Download copies src into dst; lengths must agree.
	Upload(dst Buffer, src []float32)
	Download(dst []float32, src Buffer)

	// Fill sets every element of dst to v.
	Fill(dst View, v float32)
	// Transpose writes dst[g] = src[g]ᵀ for each group g, or src[Groups−1−g]ᵀ with reverse set, as a convolution's gradient has its
	// taps: dst is (n, m), src (m, n), and does not overlap it.
	Transpose(dst, src View, reverse bool)

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
	// AddOuter accumulates dw += Σ over groups and rows of a[r]ᵀ·dy[r]: a (rows, k), possibly overlapping,
	// dy (rows, n), dw (k, n) row-major. It is the weight gradient of MatMul.
	AddOuter(dw Buffer, a, dy View)

	// Affine computes dst = a∘x + b∘y + c, with a, b, c one value a column. y, a, b and c are optional
	// (no a or b: 1; no y: no such term; no c: 0). With relu set, negative results become 0.
	Affine(dst, x, y View, a, b, c Buffer, relu bool)
	// Hadamard computes dst = x∘y, or dst += x∘y when add is set.
	Hadamard(dst, x, y View, add bool)
	// HadamardSum computes dst = f + s + p∘(f∘s) + q, with p, q one value a column: the output of a
	// polynomial residual block whose batch norm is given by its scale p and shift q.
	HadamardSum(dst, f, s View, p, q Buffer)
	// HadamardSumGrad is HadamardSum's gradient. With z = f∘s and dz = a∘dy + b∘z + c (the gradient of
	// the batch norm on z, see NormBackward) it computes df = dy + dz∘s and ds = dy + dz∘f.
	HadamardSumGrad(df, ds, dy, f, s View, a, b, c Buffer)
	// ReLUGrad computes dx = dy where y > 0, else 0.
	ReLUGrad(dx, dy, y View)
	// Tanh computes dst = tanh x.
	Tanh(dst, x View)
	// TanhGrad computes dx = dy∘(1 − y∘y), with y what Tanh gave.
	TanhGrad(dx, dy, y View)

	// Moments computes each column's mean and population variance over all rows of all groups of x,
	// or of x∘y when y is given. mean and variance have Cols values.
	Moments(mean, variance Buffer, x, y View)
	// GradSums computes each column's sums over all rows: sum = Σ dy, dot = Σ dy∘x, or Σ dy∘x∘y when y is given.
	// x is optional, and dot with it.
	GradSums(sum, dot Buffer, dy, x, y View)
	// NormForward turns batch statistics into a norm's scale and shift; see Norm.
	NormForward(n Norm, eps, momentum float32, count int)
	// NormBackward turns GradSums' results into the norm's parameter gradients and the coefficients
	// of dx = a∘dy + b∘x + c; see Norm.
	NormBackward(n Norm, sum, dot Buffer, a, b, c Buffer, eps float32, count int)

	// MeanRows computes dst[g] = mean over rows of x[g]; dst has one row a group.
	MeanRows(dst, x View)
	// SpreadRows computes dst[g][r] = scale·x[g] for every row r: x has one row a group. It is MeanRows'
	// gradient with scale = 1/rows.
	SpreadRows(dst, x View, scale float32)

	// MaxRows computes dst[g][r] = the largest of x[g]'s rows r−reach to r+reach, as far as they exist, column by
	// column. dst must not overlap x.
	MaxRows(dst, x View, reach int)
	// MaxRowsGrad is MaxRows' gradient: dx[g][r] = Σ dy[g][t] over those t for which row r is the first of the largest
	// ones that MaxRows found. dx must not overlap dy or x.
	MaxRowsGrad(dx, dy, x View, reach int)

	// CrossEntropy computes, for each row r of logits (one group of n rows), losses[r] = −Σ_c t·log softmax and
	// dlogits = scale·(softmax·Σt − t), with t the row of target probabilities. dlogits may be empty.
	CrossEntropy(dlogits View, losses Buffer, logits, targets View, scale float32)

	// SGD steps w with Nesterov momentum in PyTorch's form: g += decay·w; m = momentum·m + g;
	// w −= rate·(g + momentum·m). g is not written.
	SGD(w, g, m Buffer, rate, momentum, decay float32)
	// AdamW steps w with decoupled weight decay (Loshchilov and Hutter, 2019); step counts from 1.
	AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int)
	// ClipNorm scales g so that its Euclidean norm is at most limit, and writes the norm it had to norm[0].
	ClipNorm(g, norm Buffer, limit float32)
	// Lerp computes dst += t·(src − dst), the step of an exponential moving average.
	Lerp(dst, src Buffer, t float32)
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

// Norm is a batch norm's per-column vectors. With a learned factor Alpha in front of it (one value; optional)
// its output is Alpha·(Gamma·(x−mean)/√(variance+eps) + Beta).
//
// NormForward reads Mean and Var (this batch's), Gamma, Beta and Alpha and writes Scale and Shift, so that the
// output is Scale∘x + Shift; where RunMean and RunVar are given it moves them by momentum towards the batch's
// mean and unbiased variance (count is the number of rows that the statistics were taken over).
//
// NormBackward accumulates DGamma, DBeta and DAlpha.
type Norm struct {
	Gamma, Beta, Alpha    Buffer
	Mean, Var             Buffer
	RunMean, RunVar       Buffer
	Scale, Shift          Buffer
	DGamma, DBeta, DAlpha Buffer
}
