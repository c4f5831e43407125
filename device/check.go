package device

import (
	"fmt"
	"strings"
)

// Checked returns d with the shapes of every call checked before d gets it, so that all devices reject the same
// mistakes with the same messages. What d.Serial returns is a Trainer too. Ref and CPU are checked already. The result
// is Narrow where d is.
func Checked(d Trainer) Trainer {
	if _, narrow := d.(Narrow); narrow {
		return checkedNarrow{checked{d}}
	}
	return checked{d}
}

// Unchecked returns d without the checks of shapes, if it has any, for calls that were made before with operands of the
// same shapes in the same memory: checks take a tenth of the time of a product of few rows.
func Unchecked(d Device) Device {
	if c, ok := d.(interface{ unchecked() Trainer }); ok {
		return c.unchecked()
	}
	return d
}

type checked struct{ Trainer }

func (c checked) unchecked() Trainer { return c.Trainer }

func (c checked) Serial() Device { return checked{c.Trainer.Serial().(Trainer)} }

func (c checked) Upload(dst Buffer, src []float32) {
	checkLen("Upload", len(src), "dst", dst)
	c.Trainer.Upload(dst, src)
}

func (c checked) Download(dst []float32, src Buffer) {
	checkLen("Download", len(dst), "src", src)
	c.Trainer.Download(dst, src)
}

func (c checked) Fill(dst View, v float32) {
	checkDst("Fill", "dst", dst)
	c.Trainer.Fill(dst, v)
}

func (c checked) Pack(dst *Packed, w Buffer, k, n int) {
	if k < 0 || n < 0 || w.Len() != k*n {
		panic(fmt.Sprintf("device: Pack: %d values for a (%d,%d) matrix", w.Len(), k, n))
	}
	c.Trainer.Pack(dst, w, k, n)
}

func (c checked) PackWindows(dst *Packed, w Buffer, n int, a View) {
	if a.Cols < 0 || n < 0 || a.RowStride < 1 || w.Len() != a.Cols*n {
		panic(fmt.Sprintf("device: PackWindows: %d values for windows %v, %d values apart, times (%d,%d)",
			w.Len(), a, a.RowStride, a.Cols, n))
	}
	c.Trainer.PackWindows(dst, w, n, a)
}

func (c checked) MatMul(dst, a View, w *Packed, e Epilogue) {
	if w.bytes {
		panic("device: MatMul: w is packed for MatMulNarrow")
	}
	checkDst("MatMul", "dst", dst)
	checkView("MatMul", "a", a)
	if dst.Groups != a.Groups || dst.Rows != a.Rows || a.Cols != w.K || dst.Cols != w.N {
		panic(fmt.Sprintf("device: MatMul: a %v times w (%d,%d) does not give dst %v", a, w.K, w.N, dst))
	}
	if w.Step != 0 && a.RowStride != w.Step {
		panic(fmt.Sprintf("device: MatMul: windows %d values apart, w was packed for %d", a.RowStride, w.Step))
	}
	if e.Skip.Empty() && !e.Scale.Empty() && dst.Count()*dst.Cols > 0 {
		panic("device: MatMul: Scale without Skip")
	}
	if e.Scale.Empty() != e.Offset.Empty() {
		panic(fmt.Sprintf("device: MatMul: Scale has %d values and Offset %d", e.Scale.Len(), e.Offset.Len()))
	}
	checkOptionalLen("MatMul", dst.Cols, "Shift Scale Offset", e.Shift, e.Scale, e.Offset)
	checkOptionalLike("MatMul", dst, "Skip", e.Skip)
	c.Trainer.MatMul(dst, a, w, e)
}

func (c checked) Depthwise(dst, x View, w, shift Buffer, add bool) {
	checkDst("Depthwise", "dst", dst)
	checkTaps("Depthwise", dst, x, w)
	checkOptionalLen("Depthwise", dst.Cols, "shift", shift)
	if add && !shift.Empty() {
		panic("device: Depthwise: shift and add")
	}
	c.Trainer.Depthwise(dst, x, w, shift, add)
}

func (c checked) DepthwiseGrad(dw Buffer, x, dy View) {
	checkView("DepthwiseGrad", "dy", dy)
	checkTaps("DepthwiseGrad", dy, x, dw)
	c.Trainer.DepthwiseGrad(dw, x, dy)
}

// checkTaps rejects windows x and weights w that are not those of a depthwise convolution with rows like y.
func checkTaps(op string, y, x View, w Buffer) {
	checkView(op, "x", x)
	if x.Groups != y.Groups || x.Rows != y.Rows || x.Cols < y.Cols || y.Cols > 0 && x.Cols%y.Cols != 0 {
		mismatch(op, "x", x, y)
	}
	checkLen(op, x.Cols, "w", w)
}

func (c checked) Affine(dst, x, y View, ca, cb, cc Buffer, relu bool) {
	checkDst("Affine", "dst", dst)
	checkLike("Affine", dst, "x", x)
	checkOptionalLike("Affine", dst, "y", y)
	checkOptionalLen("Affine", dst.Cols, "a b c", ca, cb, cc)
	c.Trainer.Affine(dst, x, y, ca, cb, cc, relu)
}

func (c checked) Hadamard(dst, x, y View, add bool) {
	checkDst("Hadamard", "dst", dst)
	checkLike("Hadamard", dst, "x y", x, y)
	c.Trainer.Hadamard(dst, x, y, add)
}

func (c checked) Tanh(dst, x View) {
	checkDst("Tanh", "dst", dst)
	checkLike("Tanh", dst, "x", x)
	c.Trainer.Tanh(dst, x)
}

func (c checked) AvgPool(dst, x View) {
	checkDst("AvgPool", "dst", dst)
	checkView("AvgPool", "x", x)
	if dst.Groups != x.Groups || dst.Rows != 1 || dst.Cols != x.Cols {
		mismatch("AvgPool", "x", x, dst)
	}
	c.Trainer.AvgPool(dst, x)
}

func (c checked) Transpose(dst, src View, reverse bool) {
	checkDst("Transpose", "dst", dst)
	checkView("Transpose", "src", src)
	if dst.Groups != src.Groups || dst.Rows != src.Cols || dst.Cols != src.Rows {
		mismatch("Transpose", "src", src, dst)
	}
	c.Trainer.Transpose(dst, src, reverse)
}

func (c checked) MatMulTransA(dw Buffer, a, dy View) {
	checkView("MatMulTransA", "a dy", a, dy)
	if a.Groups != dy.Groups || a.Rows != dy.Rows {
		mismatch("MatMulTransA", "a", a, dy)
	}
	checkLen("MatMulTransA", a.Cols*dy.Cols, "dw", dw)
	c.Trainer.MatMulTransA(dw, a, dy)
}

func (c checked) HadamardSum(dst, f, s View, p, q Buffer) {
	checkDst("HadamardSum", "dst", dst)
	checkLike("HadamardSum", dst, "f s", f, s)
	checkLen("HadamardSum", dst.Cols, "p q", p, q)
	c.Trainer.HadamardSum(dst, f, s, p, q)
}

func (c checked) HadamardSumGrad(df, ds, dy, f, s View, ca, cb, cc Buffer) {
	checkDst("HadamardSumGrad", "df ds", df, ds)
	checkLike("HadamardSumGrad", df, "ds dy f s", ds, dy, f, s)
	checkLen("HadamardSumGrad", df.Cols, "a b c", ca, cb, cc)
	c.Trainer.HadamardSumGrad(df, ds, dy, f, s, ca, cb, cc)
}

func (c checked) ReLUGrad(dx, dy, y View) {
	checkDst("ReLUGrad", "dx", dx)
	checkLike("ReLUGrad", dx, "dy y", dy, y)
	c.Trainer.ReLUGrad(dx, dy, y)
}

func (c checked) TanhGrad(dx, dy, y View) {
	checkDst("TanhGrad", "dx", dx)
	checkLike("TanhGrad", dx, "dy y", dy, y)
	c.Trainer.TanhGrad(dx, dy, y)
}

func (c checked) Moments(mean, variance Buffer, x, y View) {
	checkView("Moments", "x", x)
	checkOptionalLike("Moments", x, "y", y)
	checkLen("Moments", x.Cols, "mean variance", mean, variance)
	c.Trainer.Moments(mean, variance, x, y)
}

func (c checked) GradSums(sum, dot Buffer, dy, x, y View) {
	checkView("GradSums", "dy", dy)
	checkOptionalLike("GradSums", dy, "x y", x, y)
	checkLen("GradSums", dy.Cols, "sum", sum)
	switch {
	case !x.Empty():
		checkLen("GradSums", dy.Cols, "dot", dot)
	case !y.Empty():
		panic("device: GradSums: y without x")
	case dy.Count() > 0 && !dot.Empty():
		panic("device: GradSums: dot without x")
	}
	c.Trainer.GradSums(sum, dot, dy, x, y)
}

func (c checked) NormForward(n Norm, eps, momentum float32, count int) {
	cols := n.Gamma.Len()
	checkLen("NormForward", cols, "Mean Var Beta Scale Shift", n.Mean, n.Var, n.Beta, n.Scale, n.Shift)
	checkOptionalLen("NormForward", cols, "RunMean RunVar", n.RunMean, n.RunVar)
	checkOptionalLen("NormForward", 1, "Alpha", n.Alpha)
	c.Trainer.NormForward(n, eps, momentum, count)
}

func (c checked) NormBackward(n Norm, sum, dot Buffer, ca, cb, cc Buffer, eps float32, count int) {
	cols := n.Gamma.Len()
	checkLen("NormBackward", cols, "Mean Var Beta sum dot a b c", n.Mean, n.Var, n.Beta, sum, dot, ca, cb, cc)
	checkOptionalLen("NormBackward", cols, "DGamma DBeta", n.DGamma, n.DBeta)
	checkOptionalLen("NormBackward", 1, "Alpha DAlpha", n.Alpha, n.DAlpha)
	if count <= 0 {
		panic(fmt.Sprintf("device: NormBackward: count %d", count))
	}
	c.Trainer.NormBackward(n, sum, dot, ca, cb, cc, eps, count)
}

func (c checked) AvgPoolGrad(dst, x View, scale float32) {
	checkDst("AvgPoolGrad", "dst", dst)
	checkView("AvgPoolGrad", "x", x)
	if dst.Groups != x.Groups || x.Rows != 1 || dst.Cols != x.Cols {
		mismatch("AvgPoolGrad", "x", x, dst)
	}
	c.Trainer.AvgPoolGrad(dst, x, scale)
}

func (c checked) Loss(dlogits View, losses Buffer, logits, targets View, l Loss, scale float32) {
	checkView("Loss", "logits", logits)
	checkLike("Loss", logits, "targets", targets)
	checkLen("Loss", logits.Count(), "losses", losses)
	if !dlogits.Empty() {
		checkDst("Loss", "dlogits", dlogits)
		checkLike("Loss", logits, "dlogits", dlogits)
	}
	c.Trainer.Loss(dlogits, losses, logits, targets, l, scale)
}

func (c checked) SGD(w, g, m Buffer, rate, momentum, decay float32) {
	checkLen("SGD", w.Len(), "g m", g, m)
	c.Trainer.SGD(w, g, m, rate, momentum, decay)
}

func (c checked) AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	checkLen("AdamW", w.Len(), "g m v", g, m, v)
	if step < 1 {
		panic(fmt.Sprintf("device: AdamW: step %d, counted from 1", step))
	}
	c.Trainer.AdamW(w, g, m, v, rate, beta1, beta2, eps, decay, step)
}

func (c checked) ClipNorm(g, norm Buffer, limit float32) {
	checkLen("ClipNorm", 1, "norm", norm)
	c.Trainer.ClipNorm(g, norm, limit)
}

func (c checked) EMAUpdate(dst, src Buffer, t float32) {
	checkLen("EMAUpdate", dst.Len(), "src", src)
	c.Trainer.EMAUpdate(dst, src, t)
}

// The functions below panic where operands do not fit. names are the operands', separated by spaces.

func mismatch(op, name string, v, other View) {
	panic(fmt.Sprintf("device: %s: %s %v does not fit %v", op, name, v, other))
}

// checkView rejects views whose numbers are negative or that reach past their Data.
func checkView(op, names string, views ...View) {
	for i := range views {
		v := &views[i]
		if v.Groups|v.Rows|v.Cols|v.GroupStride|v.RowStride < 0 || v.extent() > v.Data.n {
			panic(fmt.Sprintf("device: %s: %s %v, strides (%d,%d), reaches over %d of %d values",
				op, strings.Fields(names)[i], *v, v.GroupStride, v.RowStride, v.extent(), v.Data.n))
		}
	}
}

// checkDst is checkView for destinations: no element may lie in two rows.
func checkDst(op, names string, views ...View) {
	checkView(op, names, views...)
	for i := range views {
		v := &views[i]
		rowsApart := v.Rows <= 1 || v.RowStride >= v.Cols
		groupsApart := v.Groups <= 1 || v.Rows == 0 || v.GroupStride >= (v.Rows-1)*v.RowStride+v.Cols
		interleaved := v.GroupStride >= v.Cols && v.RowStride >= (v.Groups-1)*v.GroupStride+v.Cols
		if !(rowsApart && groupsApart) && !interleaved {
			panic(fmt.Sprintf("device: %s: rows of %s %v, strides (%d,%d), overlap",
				op, strings.Fields(names)[i], *v, v.GroupStride, v.RowStride))
		}
	}
}

// checkLike is checkView for operands of like's shape.
func checkLike(op string, like View, names string, views ...View) {
	checkView(op, names, views...)
	for i := range views {
		if v := &views[i]; v.Groups != like.Groups || v.Rows != like.Rows || v.Cols != like.Cols {
			mismatch(op, strings.Fields(names)[i], *v, like)
		}
	}
}

// checkOptionalLike is checkLike for those views that are given. It writes views.
func checkOptionalLike(op string, like View, names string, views ...View) {
	for i := range views {
		if views[i].Data.n == 0 {
			views[i] = like
		}
	}
	checkLike(op, like, names, views...)
}

// checkLen rejects buffers that do not have n values.
func checkLen(op string, n int, names string, buffers ...Buffer) {
	for i := range buffers {
		if buffers[i].n != n {
			panic(fmt.Sprintf("device: %s: %s has %d values, want %d", op, strings.Fields(names)[i], buffers[i].n, n))
		}
	}
}

// checkOptionalLen is checkLen for those buffers that are given.
func checkOptionalLen(op string, n int, names string, buffers ...Buffer) {
	for i := range buffers {
		if b := &buffers[i]; b.n != 0 && b.n != n {
			checkLen(op, n, strings.Fields(names)[i], *b)
		}
	}
}
