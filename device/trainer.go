package device

// Trainer is a Device that also runs training's kernels: gradients, statistics of norms, losses and optimisers.
type Trainer interface {
	Device

	// Transpose writes dst[g] = src[g]ᵀ for each group g or, with reverse set, src[Groups−1−g]ᵀ, the order of
	// taps in a convolution's gradient. dst is (n, m), src (m, n), and does not overlap it.
	Transpose(dst, src View, reverse bool)

	// MatMulTransA accumulates dw += Σ over groups and rows of a[r]ᵀ·dy[r]: a (rows, k), possibly overlapping,
	// dy (rows, n), dw (k, n) row-major. It is the weight gradient of MatMul.
	MatMulTransA(dw Buffer, a, dy View)

	// DepthwiseGrad accumulates dw[k][c] += Σ over groups and rows of x[r][k·n+c]·dy[r][c]: x (rows, K·n), possibly
	// overlapping, dy (rows, n), dw (K, n) row-major. It is the weight gradient of Depthwise.
	DepthwiseGrad(dw Buffer, x, dy View)

	// HadamardSum computes dst = f + s + p∘(f∘s) + q, with p, q one value a column: the output of a
	// polynomial residual block whose batch norm has scale p and shift q.
	HadamardSum(dst, f, s View, p, q Buffer)
	// HadamardSumGrad is HadamardSum's gradient. With z = f∘s and dz = a∘dy + b∘z + c (the gradient of
	// the batch norm on z, see NormBackward) it computes df = dy + dz∘s and ds = dy + dz∘f.
	HadamardSumGrad(df, ds, dy, f, s View, a, b, c Buffer)
	// ReLUGrad computes dx = dy where y > 0, else 0.
	ReLUGrad(dx, dy, y View)
	// TanhGrad computes dx = dy∘(1 − y∘y), with y the result of Tanh.
	TanhGrad(dx, dy, y View)

	// Moments computes each column's mean and population variance over all rows of all groups of x,
	// or of x∘y when y is given. mean and variance have Cols values.
	Moments(mean, variance Buffer, x, y View)
	// GradSums computes each column's sums over all rows: sum = Σ dy, dot = Σ dy∘x (optional), or Σ dy∘x∘y
	// with y.
	GradSums(sum, dot Buffer, dy, x, y View)
	// NormForward computes a norm's scale and shift from batch statistics; see Norm.
	NormForward(n Norm, eps, momentum float32, count int)
	// NormBackward computes from GradSums' results the gradients of a Norm and the a, b and c of
	// dx = a∘dy + b∘x + c.
	NormBackward(n Norm, sum, dot Buffer, a, b, c Buffer, eps float32, count int)

	// AvgPoolGrad computes dst[g][r] = scale·x[g] for every row r, AvgPool's gradient with scale = 1/rows.
	AvgPoolGrad(dst, x View, scale float32)

	// Loss computes, for each row of logits, losses[row] = l with t the row of target probabilities, and dlogits = scale
	// times its gradient with respect to the logits. A target of 0 adds nothing, whatever the logit, except to Brier's.
	// dlogits may be empty, and overlaps none of the others.
	Loss(dlogits View, losses Buffer, logits, targets View, l Loss, scale float32)

	// SGD steps w with Nesterov momentum in PyTorch's form: g += decay·w; m = momentum·m + g;
	// w −= rate·(g + momentum·m). g is not written.
	SGD(w, g, m Buffer, rate, momentum, decay float32)
	// AdamW steps w with decoupled weight decay (Loshchilov and Hutter, 2019); step counts from 1.
	AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int)
	// ClipNorm scales g so that its Euclidean norm is at most limit, and writes the norm before that to norm[0], of
	// vectors beyond float32's range the greatest float32. Squares neither overflow nor vanish. Where g has infinite
	// values or NaN, the norm is no finite number either, and g stays as it is.
	ClipNorm(g, norm Buffer, limit float32)
	// EMAUpdate computes dst += t·(src − dst), the step of an exponential moving average.
	EMAUpdate(dst, src Buffer, t float32)
}

// Norm is a batch norm's vectors, with one value a column. With a learned factor Alpha (one value; optional)
// its output is Alpha·(Gamma·(x−mean)/√(variance+eps) + Beta).
//
// NormForward reads the batch's Mean and Var, Gamma, Beta and Alpha and writes Scale and Shift: the output is
// Scale∘x + Shift. RunMean and RunVar (optional) move by momentum towards the mean and unbiased variance of count
// rows.
//
// NormBackward accumulates DGamma, DBeta and DAlpha.
type Norm struct {
	Gamma, Beta, Alpha    Buffer
	Mean, Var             Buffer
	RunMean, RunVar       Buffer
	Scale, Shift          Buffer
	DGamma, DBeta, DAlpha Buffer
}
