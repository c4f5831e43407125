package devicetest

import (
	"math"

	"github.com/polyphon/polyphon/device"
)

const rounding = 1e-6 // of a few operations on values of ordinary size

// rowOperations are the operations on views other than products.
func rowOperations() []operation {
	row := func(op string, operands int, prepare func(f *fixture, s shape) func()) operation {
		return func(s shape) testCase {
			// Terms of sums cancel, so sums over rows may err by more than their own last places.
			tolerance := rounding * (1 + math.Sqrt(float64(s.groups*s.rows)))
			return testCase{op: op, shape: s, tolerance: tolerance, touched: operands * s.values(),
				prepare: func(f *fixture) func() { return prepare(f, s) }}
		}
	}
	var none device.Buffer
	var noView device.View
	return []operation{
		row("Fill", 1, func(f *fixture, s shape) func() {
			dst := s.main(f, "dst")
			return func() { f.d.Fill(dst, 1.5) }
		}),
		row("Fill zero", 1, func(f *fixture, s shape) func() {
			dst := s.main(f, "dst")
			return func() { f.d.Fill(dst, 0) }
		}),
		row("Transpose", 2, func(f *fixture, s shape) func() {
			dst, src := f.view("dst", s.groups, s.cols, s.rows, s.rows+s.gap, s.gap), s.main(f, "src")
			return func() { f.d.Transpose(dst, src, false) }
		}),
		row("Transpose reverse", 2, func(f *fixture, s shape) func() {
			dst, src := f.view("dst", s.groups, s.cols, s.rows, s.rows+s.gap, s.gap), s.main(f, "src")
			return func() { f.d.Transpose(dst, src, true) }
		}),
		row("Affine", 2, func(f *fixture, s shape) func() {
			dst, x := s.main(f, "dst"), s.main(f, "x")
			a, c := f.vector("a", s.cols), f.vector("c", s.cols)
			return func() { f.d.Affine(dst, x, noView, a, none, c, false) }
		}),
		row("Affine relu in place", 2, func(f *fixture, s shape) func() {
			x := s.main(f, "x")
			return func() { f.d.Affine(x, x, noView, none, none, none, true) }
		}),
		row("Affine+y", 3, func(f *fixture, s shape) func() {
			dst, x, y := s.main(f, "dst"), s.main(f, "x"), f.view("y", s.groups, s.rows, s.cols, s.cols, 0)
			a, b, c := f.vector("a", s.cols), f.vector("b", s.cols), f.vector("c", s.cols)
			return func() { f.d.Affine(dst, x, y, a, b, c, true) }
		}),
		row("Affine x+y", 3, func(f *fixture, s shape) func() {
			dst, x, y := s.main(f, "dst"), s.main(f, "x"), s.main(f, "y")
			return func() { f.d.Affine(dst, x, y, none, none, none, false) }
		}),
		row("Affine x+b·y", 3, func(f *fixture, s shape) func() {
			dst, x, y, b := s.main(f, "dst"), s.main(f, "x"), s.main(f, "y"), f.vector("b", s.cols)
			return func() { f.d.Affine(dst, x, y, none, b, none, false) }
		}),
		row("Hadamard", 3, func(f *fixture, s shape) func() {
			dst, x, y := s.main(f, "dst"), s.main(f, "x"), s.main(f, "y")
			return func() { f.d.Hadamard(dst, x, y, false) }
		}),
		row("Hadamard add", 4, func(f *fixture, s shape) func() {
			dst, x, y := s.main(f, "dst"), s.main(f, "x"), s.main(f, "y")
			return func() { f.d.Hadamard(dst, x, y, true) }
		}),
		row("HadamardSum", 3, func(f *fixture, s shape) func() {
			dst, x, y := s.main(f, "dst"), s.main(f, "f"), s.main(f, "s")
			p, q := f.vector("p", s.cols), f.vector("q", s.cols)
			return func() { f.d.HadamardSum(dst, x, y, p, q) }
		}),
		row("HadamardSumGrad", 5, func(f *fixture, s shape) func() {
			df, ds, dy, x, y := s.main(f, "df"), s.main(f, "ds"), s.main(f, "dy"), s.main(f, "f"), s.main(f, "s")
			a, b, c := f.vector("a", s.cols), f.vector("b", s.cols), f.vector("c", s.cols)
			return func() { f.d.HadamardSumGrad(df, ds, dy, x, y, a, b, c) }
		}),
		row("HadamardSumGrad in place", 5, func(f *fixture, s shape) func() {
			dy, x, y := s.main(f, "dy"), s.main(f, "f"), s.main(f, "s")
			a, b, c := f.filled("a", s.cols, f.small), f.filled("b", s.cols, f.small), f.filled("c", s.cols, f.small)
			return func() { f.d.HadamardSumGrad(y, dy, dy, x, y, a, b, c) }
		}),
		row("ReLUGrad", 3, func(f *fixture, s shape) func() {
			dx, dy, y := s.main(f, "dx"), s.main(f, "dy"), s.main(f, "y")
			return func() { f.d.ReLUGrad(dx, dy, y) }
		}),
		row("Tanh", 2, func(f *fixture, s shape) func() {
			dst, x := s.main(f, "dst"), s.main(f, "x")
			return func() { f.d.Tanh(dst, x) }
		}),
		row("TanhGrad", 3, func(f *fixture, s shape) func() {
			dx, dy, y := s.main(f, "dx"), s.main(f, "dy"), s.main(f, "y")
			return func() { f.d.TanhGrad(dx, dy, y) }
		}),
		row("MaxRows", 2, func(f *fixture, s shape) func() {
			dst, x := s.main(f, "dst"), f.levels(s.main(f, "x"))
			return func() { f.d.MaxRows(dst, x, 1) }
		}),
		row("MaxRowsGrad", 3, func(f *fixture, s shape) func() {
			dx, dy, x := s.main(f, "dx"), s.main(f, "dy"), f.levels(s.main(f, "x"))
			return func() { f.d.MaxRowsGrad(dx, dy, x, 2) }
		}),
		row("Moments", 1, func(f *fixture, s shape) func() {
			x, mean, variance := s.main(f, "x"), f.vector("mean", s.cols), f.vector("variance", s.cols)
			return func() { f.d.Moments(mean, variance, x, noView) }
		}),
		row("Moments x∘y", 2, func(f *fixture, s shape) func() {
			x, y := s.main(f, "x"), s.main(f, "y")
			mean, variance := f.vector("mean", s.cols), f.vector("variance", s.cols)
			return func() { f.d.Moments(mean, variance, x, y) }
		}),
		row("GradSums", 1, func(f *fixture, s shape) func() {
			dy, sum := s.main(f, "dy"), f.vector("sum", s.cols)
			return func() { f.d.GradSums(sum, none, dy, noView, noView) }
		}),
		row("GradSums x", 2, func(f *fixture, s shape) func() {
			dy, x, sum, dot := s.main(f, "dy"), s.main(f, "x"), f.vector("sum", s.cols), f.vector("dot", s.cols)
			return func() { f.d.GradSums(sum, dot, dy, x, noView) }
		}),
		row("GradSums x∘y", 3, func(f *fixture, s shape) func() {
			dy, x, y := s.main(f, "dy"), s.main(f, "x"), s.main(f, "y")
			sum, dot := f.vector("sum", s.cols), f.vector("dot", s.cols)
			return func() { f.d.GradSums(sum, dot, dy, x, y) }
		}),
		row("AvgPool", 1, func(f *fixture, s shape) func() {
			dst, x := f.view("dst", s.groups, 1, s.cols, s.cols, 3), s.main(f, "x")
			return func() { f.d.AvgPool(dst, x) }
		}),
		row("AvgPoolGrad", 1, func(f *fixture, s shape) func() {
			dst, x := s.main(f, "dst"), f.view("x", s.groups, 1, s.cols, s.cols, 3)
			return func() { f.d.AvgPoolGrad(dst, x, 0.37) }
		}),
		row("CrossEntropy", 3, func(f *fixture, s shape) func() {
			logits, dlogits, losses := s.main(f, "logits"), s.main(f, "dlogits"), f.vector("losses", s.groups*s.rows)
			// The targets' mass is what losses grow with.
			targets := f.view("targets", s.groups, s.rows, s.cols, s.cols, 0)
			return func() { f.d.CrossEntropy(dlogits, losses, logits, targets, 0.25) }
		}),
	}
}

// levels rounds v's values to a few, so that some are equal.
func (f *fixture) levels(v device.View) device.View {
	host := make([]float32, v.Data.Len())
	f.d.Download(host, v.Data)
	for i, x := range host {
		if x == x { // no guard
			host[i] = float32(math.Round(float64(2 * x)))
		}
	}
	f.d.Upload(v.Data, host)
	return v
}

// vectorOperations are those on whole vectors or on one value a column; they use a shape's columns.
func vectorOperations() []operation {
	vector := func(op string, operands int, prepare func(f *fixture, n int) func()) operation {
		return func(s shape) testCase {
			return testCase{op: op, shape: s, tolerance: 10 * rounding, touched: operands * s.cols,
				prepare: func(f *fixture) func() { return prepare(f, s.cols) }}
		}
	}
	return []operation{
		vector("NormForward", 8, func(f *fixture, n int) func() {
			norm := f.norm(n)
			return func() { f.d.NormForward(norm, 1e-5, 0.1, 37) }
		}),
		vector("NormBackward", 10, func(f *fixture, n int) func() {
			norm, sum, dot := f.norm(n), f.vector("sum", n), f.vector("dot", n)
			a, b, c := f.vector("a", n), f.vector("b", n), f.vector("c", n)
			return func() { f.d.NormBackward(norm, sum, dot, a, b, c, 1e-5, 37) }
		}),
		vector("SGD", 5, func(f *fixture, n int) func() {
			w, g, m := f.vector("w", n), f.vector("g", n), f.vector("m", n)
			return func() { f.d.SGD(w, g, m, 0.1, 0.9, 1e-3) }
		}),
		vector("AdamW", 7, func(f *fixture, n int) func() {
			w, g, m, v := f.vector("w", n), f.vector("g", n), f.vector("m", n), f.filled("v", n, f.small)
			return func() { f.d.AdamW(w, g, m, v, 1e-2, 0.9, 0.999, 1e-8, 0.05, 3) }
		}),
		vector("ClipNorm", 3, func(f *fixture, n int) func() {
			g, norm := f.vector("g", n), f.vector("norm", 1)
			return func() { f.d.ClipNorm(g, norm, 0.5) }
		}),
		vector("ClipNorm below the limit", 1, func(f *fixture, n int) func() {
			g, norm := f.vector("g", n), f.vector("norm", 1)
			return func() { f.d.ClipNorm(g, norm, 1e6) }
		}),
		vector("EMAUpdate", 3, func(f *fixture, n int) func() {
			dst, src := f.vector("dst", n), f.vector("src", n)
			return func() { f.d.EMAUpdate(dst, src, 0.01) }
		}),
	}
}

// small returns a positive value.
func (f *fixture) small() float32 { return 0.1 + 0.8*f.rng.Float32() }

func (f *fixture) norm(n int) device.Norm {
	return device.Norm{
		Gamma: f.vector("gamma", n), Beta: f.vector("beta", n), Alpha: f.vector("alpha", 1),
		Mean: f.vector("mean", n), Var: f.filled("var", n, f.small),
		RunMean: f.vector("runMean", n), RunVar: f.filled("runVar", n, f.small),
		Scale: f.vector("scale", n), Shift: f.vector("shift", n),
		DGamma: f.vector("dgamma", n), DBeta: f.vector("dbeta", n), DAlpha: f.vector("dalpha", 1),
	}
}
