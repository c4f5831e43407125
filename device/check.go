package device

import "fmt"

// Checked returns d with the shapes of every call checked before d sees it, so that all devices refuse the
// same mistakes in the same words. Ref and CPU come checked.
func Checked(d Trainer) Trainer { return checked{d} }

type checked struct{ d Trainer }

func (c checked) Name() string       { return c.d.Name() }
func (c checked) Alloc(n int) Buffer { return c.d.Alloc(n) }
func (c checked) Serial() Device     { return Checked(c.d.Serial().(Trainer)) }
func (c checked) Free(b Buffer)      { c.d.Free(b) }

func (c checked) Upload(dst Buffer, src []float32) {
	checkLen("Upload", "dst", dst, len(src))
	c.d.Upload(dst, src)
}

func (c checked) Download(dst []float32, src Buffer) {
	checkLen("Download", "src", src, len(dst))
	c.d.Download(dst, src)
}

func (c checked) Fill(dst View, v float32) {
	checkDst("Fill", "dst", dst)
	c.d.Fill(dst, v)
}

func (c checked) Transpose(dst, src View, reverse bool) {
	checkDst("Transpose", "dst", dst)
	checkView("Transpose", "src", src)
	if dst.Groups != src.Groups || dst.Rows != src.Cols || dst.Cols != src.Rows {
		mismatch("Transpose", "src", src, dst)
	}
	c.d.Transpose(dst, src, reverse)
}

func (c checked) Pack(dst *Packed, w Buffer, k, n int) {
	if k < 0 || n < 0 || w.Len() != k*n {
		panic(fmt.Sprintf("device: Pack: %d values for a (%d,%d) matrix", w.Len(), k, n))
	}
	c.d.Pack(dst, w, k, n)
}

func (c checked) PackWindows(dst *Packed, w Buffer, n int, a View) {
	if a.Cols < 0 || n < 0 || a.RowStride < 1 || w.Len() != a.Cols*n {
		panic(fmt.Sprintf("device: PackWindows: %d values for windows %v, %d values apart, times (%d,%d)",
			w.Len(), a, a.RowStride, a.Cols, n))
	}
	c.d.PackWindows(dst, w, n, a)
}

func (c checked) MatMul(dst, a View, w *Packed, e Epilogue) {
	const op = "MatMul"
	checkDst(op, "dst", dst)
	checkView(op, "a", a)
	if dst.Groups != a.Groups || dst.Rows != a.Rows || a.Cols != w.K || dst.Cols != w.N {
		panic(fmt.Sprintf("device: MatMul: a %v times w (%d,%d) does not give dst %v", a, w.K, w.N, dst))
	}
	if w.Step != 0 && a.RowStride != w.Step {
		panic(fmt.Sprintf("device: MatMul: windows %d values apart, w was packed for %d", a.RowStride, w.Step))
	}
	checkOptional(op, "Shift", e.Shift, dst.Cols)
	checkOptional(op, "Scale", e.Scale, dst.Cols)
	if e.Skip.Empty() && !e.Scale.Empty() && dst.Count()*dst.Cols > 0 {
		panic("device: MatMul: Scale without Skip")
	}
	if e.Scale.Empty() != e.Offset.Empty() {
		panic(fmt.Sprintf("device: MatMul: Scale has %d values and Offset %d", e.Scale.Len(), e.Offset.Len()))
	}
	checkOptional(op, "Offset", e.Offset, dst.Cols)
	checkOptionalLike(op, "Skip", e.Skip, dst)
	c.d.MatMul(dst, a, w, e)
}

func (c checked) MatMulTransA(dw Buffer, a, dy View) {
	checkView("MatMulTransA", "a", a)
	checkView("MatMulTransA", "dy", dy)
	if a.Groups != dy.Groups || a.Rows != dy.Rows {
		mismatch("MatMulTransA", "a", a, dy)
	}
	checkLen("MatMulTransA", "dw", dw, a.Cols*dy.Cols)
	c.d.MatMulTransA(dw, a, dy)
}

func (c checked) Affine(dst, x, y View, ca, cb, cc Buffer, relu bool) {
	const op = "Affine"
	checkDst(op, "dst", dst)
	checkLike(op, "x", x, dst)
	checkOptionalLike(op, "y", y, dst)
	checkOptional(op, "a", ca, dst.Cols)
	checkOptional(op, "b", cb, dst.Cols)
	checkOptional(op, "c", cc, dst.Cols)
	c.d.Affine(dst, x, y, ca, cb, cc, relu)
}

func (c checked) Hadamard(dst, x, y View, add bool) {
	checkDst("Hadamard", "dst", dst)
	checkLike("Hadamard", "x", x, dst)
	checkLike("Hadamard", "y", y, dst)
	c.d.Hadamard(dst, x, y, add)
}

func (c checked) HadamardSum(dst, f, s View, p, q Buffer) {
	const op = "HadamardSum"
	checkDst(op, "dst", dst)
	checkLike(op, "f", f, dst)
	checkLike(op, "s", s, dst)
	checkLen(op, "p", p, dst.Cols)
	checkLen(op, "q", q, dst.Cols)
	c.d.HadamardSum(dst, f, s, p, q)
}

func (c checked) HadamardSumGrad(df, ds, dy, f, s View, ca, cb, cc Buffer) {
	const op = "HadamardSumGrad"
	checkDst(op, "df", df)
	checkDst(op, "ds", ds)
	checkLike(op, "ds", ds, df)
	checkLike(op, "dy", dy, df)
	checkLike(op, "f", f, df)
	checkLike(op, "s", s, df)
	checkLen(op, "a", ca, df.Cols)
	checkLen(op, "b", cb, df.Cols)
	checkLen(op, "c", cc, df.Cols)
	c.d.HadamardSumGrad(df, ds, dy, f, s, ca, cb, cc)
}

func (c checked) ReLUGrad(dx, dy, y View) {
	checkDst("ReLUGrad", "dx", dx)
	checkLike("ReLUGrad", "dy", dy, dx)
	checkLike("ReLUGrad", "y", y, dx)
	c.d.ReLUGrad(dx, dy, y)
}

func (c checked) Tanh(dst, x View) {
	checkDst("Tanh", "dst", dst)
	checkLike("Tanh", "x", x, dst)
	c.d.Tanh(dst, x)
}

func (c checked) TanhGrad(dx, dy, y View) {
	checkDst("TanhGrad", "dx", dx)
	checkLike("TanhGrad", "dy", dy, dx)
	checkLike("TanhGrad", "y", y, dx)
	c.d.TanhGrad(dx, dy, y)
}

func (c checked) MaxRows(dst, x View, reach int) {
	checkDst("MaxRows", "dst", dst)
	checkLike("MaxRows", "x", x, dst)
	checkReach("MaxRows", reach)
	c.d.MaxRows(dst, x, reach)
}

func (c checked) MaxRowsGrad(dx, dy, x View, reach int) {
	checkDst("MaxRowsGrad", "dx", dx)
	checkLike("MaxRowsGrad", "dy", dy, dx)
	checkLike("MaxRowsGrad", "x", x, dx)
	checkReach("MaxRowsGrad", reach)
	c.d.MaxRowsGrad(dx, dy, x, reach)
}

func checkReach(op string, reach int) {
	if reach < 0 {
		panic(fmt.Sprintf("device: %s: a reach of %d rows", op, reach))
	}
}

func (c checked) Moments(mean, variance Buffer, x, y View) {
	checkView("Moments", "x", x)
	checkOptionalLike("Moments", "y", y, x)
	checkLen("Moments", "mean", mean, x.Cols)
	checkLen("Moments", "variance", variance, x.Cols)
	c.d.Moments(mean, variance, x, y)
}

func (c checked) GradSums(sum, dot Buffer, dy, x, y View) {
	const op = "GradSums"
	checkView(op, "dy", dy)
	checkOptionalLike(op, "x", x, dy)
	checkOptionalLike(op, "y", y, dy)
	checkLen(op, "sum", sum, dy.Cols)
	if x.Empty() && !y.Empty() {
		panic("device: GradSums: y without x")
	}
	if x.Empty() && dy.Count() > 0 && !dot.Empty() {
		panic("device: GradSums: dot without x")
	}
	if !x.Empty() {
		checkLen(op, "dot", dot, dy.Cols)
	}
	c.d.GradSums(sum, dot, dy, x, y)
}

func (c checked) NormForward(n Norm, eps, momentum float32, count int) {
	const op = "NormForward"
	cols := checkNorm(op, n)
	checkLen(op, "Beta", n.Beta, cols)
	checkLen(op, "Scale", n.Scale, cols)
	checkLen(op, "Shift", n.Shift, cols)
	checkOptional(op, "RunMean", n.RunMean, cols)
	checkOptional(op, "RunVar", n.RunVar, cols)
	c.d.NormForward(n, eps, momentum, count)
}

func (c checked) NormBackward(n Norm, sum, dot Buffer, ca, cb, cc Buffer, eps float32, count int) {
	const op = "NormBackward"
	cols := checkNorm(op, n)
	checkLen(op, "Beta", n.Beta, cols)
	checkOptional(op, "DGamma", n.DGamma, cols)
	checkOptional(op, "DBeta", n.DBeta, cols)
	checkOptional(op, "DAlpha", n.DAlpha, 1)
	checkLen(op, "sum", sum, cols)
	checkLen(op, "dot", dot, cols)
	checkLen(op, "a", ca, cols)
	checkLen(op, "b", cb, cols)
	checkLen(op, "c", cc, cols)
	if count <= 0 {
		panic(fmt.Sprintf("device: NormBackward: count %d", count))
	}
	c.d.NormBackward(n, sum, dot, ca, cb, cc, eps, count)
}

func (c checked) AvgPool(dst, x View) {
	checkDst("AvgPool", "dst", dst)
	checkView("AvgPool", "x", x)
	if dst.Groups != x.Groups || dst.Rows != 1 || dst.Cols != x.Cols {
		mismatch("AvgPool", "x", x, dst)
	}
	c.d.AvgPool(dst, x)
}

func (c checked) AvgPoolGrad(dst, x View, scale float32) {
	checkDst("AvgPoolGrad", "dst", dst)
	checkView("AvgPoolGrad", "x", x)
	if dst.Groups != x.Groups || x.Rows != 1 || dst.Cols != x.Cols {
		mismatch("AvgPoolGrad", "x", x, dst)
	}
	c.d.AvgPoolGrad(dst, x, scale)
}

func (c checked) CrossEntropy(dlogits View, losses Buffer, logits, targets View, scale float32) {
	const op = "CrossEntropy"
	checkView(op, "logits", logits)
	checkLike(op, "targets", targets, logits)
	checkLen(op, "losses", losses, logits.Count())
	if !dlogits.Empty() {
		checkDst(op, "dlogits", dlogits)
		checkLike(op, "dlogits", dlogits, logits)
	}
	c.d.CrossEntropy(dlogits, losses, logits, targets, scale)
}

func (c checked) SGD(w, g, m Buffer, rate, momentum, decay float32) {
	checkLen("SGD", "g", g, w.Len())
	checkLen("SGD", "m", m, w.Len())
	c.d.SGD(w, g, m, rate, momentum, decay)
}

func (c checked) AdamW(w, g, m, v Buffer, rate, beta1, beta2, eps, decay float32, step int) {
	checkLen("AdamW", "g", g, w.Len())
	checkLen("AdamW", "m", m, w.Len())
	checkLen("AdamW", "v", v, w.Len())
	if step < 1 {
		panic(fmt.Sprintf("device: AdamW: step %d, counted from 1", step))
	}
	c.d.AdamW(w, g, m, v, rate, beta1, beta2, eps, decay, step)
}

func (c checked) ClipNorm(g, norm Buffer, limit float32) {
	checkLen("ClipNorm", "norm", norm, 1)
	c.d.ClipNorm(g, norm, limit)
}

func (c checked) EMAUpdate(dst, src Buffer, t float32) {
	checkLen("EMAUpdate", "src", src, dst.Len())
	c.d.EMAUpdate(dst, src, t)
}

func mismatch(op, name string, v, dst View) {
	panic(fmt.Sprintf("device: %s: %s %v does not fit %v", op, name, v, dst))
}

// checkView panics where v's numbers make no sense or reach past its Data.
func checkView(op, name string, v View) {
	if v.Groups < 0 || v.Rows < 0 || v.Cols < 0 || v.GroupStride < 0 || v.RowStride < 0 {
		panic(fmt.Sprintf("device: %s: %s %v, strides (%d,%d)", op, name, v, v.GroupStride, v.RowStride))
	}
	if v.Extent() > v.Data.Len() {
		panic(fmt.Sprintf("device: %s: %s %v, strides (%d,%d), reaches over %d of %d values",
			op, name, v, v.GroupStride, v.RowStride, v.Extent(), v.Data.Len()))
	}
}

// checkDst is checkView for what is written: no element may lie in two rows.
func checkDst(op, name string, v View) {
	checkView(op, name, v)
	rowsApart := v.Rows <= 1 || v.RowStride >= v.Cols
	groupsApart := v.Groups <= 1 || v.Rows == 0 || v.GroupStride >= (v.Rows-1)*v.RowStride+v.Cols
	interleaved := v.GroupStride >= v.Cols && v.RowStride >= (v.Groups-1)*v.GroupStride+v.Cols
	if !(rowsApart && groupsApart) && !interleaved {
		panic(fmt.Sprintf("device: %s: rows of %s %v, strides (%d,%d), overlap",
			op, name, v, v.GroupStride, v.RowStride))
	}
}

// checkLike is checkView for an operand of like's shape.
func checkLike(op, name string, v, like View) {
	checkView(op, name, v)
	if v.Groups != like.Groups || v.Rows != like.Rows || v.Cols != like.Cols {
		mismatch(op, name, v, like)
	}
}

func checkOptionalLike(op, name string, v, like View) {
	if !v.Empty() {
		checkLike(op, name, v, like)
	}
}

func checkLen(op, name string, b Buffer, n int) {
	if b.Len() != n {
		panic(fmt.Sprintf("device: %s: %s has %d values, want %d", op, name, b.Len(), n))
	}
}

func checkOptional(op, name string, b Buffer, n int) {
	if !b.Empty() {
		checkLen(op, name, b, n)
	}
}

// checkNorm checks what both directions of a norm read, and returns its number of columns.
func checkNorm(op string, n Norm) int {
	cols := n.Gamma.Len()
	checkLen(op, "Mean", n.Mean, cols)
	checkLen(op, "Var", n.Var, cols)
	checkOptional(op, "Alpha", n.Alpha, 1)
	return cols
}
