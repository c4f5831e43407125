package devicetest

import "github.com/polyphon/polyphon/device"

// operation is a call of a device's method on operands of any shape, which the fixture makes on the first call.
type operation struct {
	name     string
	operands int // how many operands are read and written, for the cost of moving them
	run      func(f *fixture)
}

var (
	none   device.Buffer
	noView device.View
)

// rowOperations are the operations on views other than products.
var rowOperations = []operation{
	{"Fill", 1, func(f *fixture) { f.Fill(f.main("dst"), 1.5) }},
	{"Fill zero", 1, func(f *fixture) { f.Fill(f.main("dst"), 0) }},
	{"Transpose", 2, func(f *fixture) { f.Transpose(f.transposed("dst"), f.main("src"), false) }},
	{"Transpose reverse", 2, func(f *fixture) { f.Transpose(f.transposed("dst"), f.main("src"), true) }},
	{"Affine", 2, func(f *fixture) {
		f.Affine(f.main("dst"), f.main("x"), noView, f.col("a"), none, f.col("c"), false)
	}},
	{"Affine relu in place", 2, func(f *fixture) { f.Affine(f.main("x"), f.main("x"), noView, none, none, none, true) }},
	{"Affine+y", 3, func(f *fixture) {
		f.Affine(f.main("dst"), f.main("x"), f.dense("y"), f.col("a"), f.col("b"), f.col("c"), true)
	}},
	{"Affine x+y", 3, func(f *fixture) { f.Affine(f.main("dst"), f.main("x"), f.main("y"), none, none, none, false) }},
	{"Affine x+b·y", 3, func(f *fixture) {
		f.Affine(f.main("dst"), f.main("x"), f.main("y"), none, f.col("b"), none, false)
	}},
	{"Hadamard", 3, func(f *fixture) { f.Hadamard(f.main("dst"), f.main("x"), f.main("y"), false) }},
	{"Hadamard add", 4, func(f *fixture) { f.Hadamard(f.main("dst"), f.main("x"), f.main("y"), true) }},
	{"HadamardSum", 3, func(f *fixture) {
		f.HadamardSum(f.main("dst"), f.main("f"), f.main("s"), f.col("p"), f.col("q"))
	}},
	{"HadamardSumGrad", 5, func(f *fixture) {
		f.HadamardSumGrad(f.main("df"), f.main("ds"), f.main("dy"), f.main("f"), f.main("s"),
			f.col("a"), f.col("b"), f.col("c"))
	}},
	{"HadamardSumGrad in place", 5, func(f *fixture) {
		f.HadamardSumGrad(f.main("s"), f.main("dy"), f.main("dy"), f.main("f"), f.main("s"),
			f.positive("a"), f.positive("b"), f.positive("c"))
	}},
	{"ReLUGrad", 3, func(f *fixture) { f.ReLUGrad(f.main("dx"), f.main("dy"), f.main("y")) }},
	{"Tanh", 2, func(f *fixture) { f.Tanh(f.main("dst"), f.main("x")) }},
	{"TanhGrad", 3, func(f *fixture) { f.TanhGrad(f.main("dx"), f.main("dy"), f.main("y")) }},
	{"Moments", 1, func(f *fixture) { f.Moments(f.col("mean"), f.col("variance"), f.main("x"), noView) }},
	{"Moments x∘y", 2, func(f *fixture) { f.Moments(f.col("mean"), f.col("variance"), f.main("x"), f.main("y")) }},
	{"GradSums", 1, func(f *fixture) { f.GradSums(f.col("sum"), none, f.main("dy"), noView, noView) }},
	{"GradSums x", 2, func(f *fixture) { f.GradSums(f.col("sum"), f.col("dot"), f.main("dy"), f.main("x"), noView) }},
	{"GradSums x∘y", 3, func(f *fixture) {
		f.GradSums(f.col("sum"), f.col("dot"), f.main("dy"), f.main("x"), f.main("y"))
	}},
	{"AvgPool", 1, func(f *fixture) { f.AvgPool(f.pooled("dst"), f.main("x")) }},
	{"AvgPoolGrad", 1, func(f *fixture) { f.AvgPoolGrad(f.main("dst"), f.pooled("x"), 0.37) }},
	{"Loss", 3, func(f *fixture) { f.loss(device.Loss{}) }},
	{"Loss, Brier", 3, func(f *fixture) { f.loss(device.Loss{Kind: device.Brier}) }},
	{"Loss, focal", 3, func(f *fixture) { f.loss(device.Loss{Kind: device.Focal, Gamma: 3}) }},
	{"Loss, focal of a small gamma", 3, func(f *fixture) { f.loss(device.Loss{Kind: device.Focal, Gamma: 0.5}) }},
	{"Loss, FLSD", 3, func(f *fixture) { f.loss(device.Loss{Kind: device.FLSD}) }},
	{"Loss, dual focal", 3, func(f *fixture) { f.loss(device.Loss{Kind: device.DualFocal, Gamma: 2}) }},
}

func (f *fixture) loss(l device.Loss) {
	losses := f.vector("losses", f.groups*f.rows, f.random)
	f.Loss(f.main("dlogits"), losses, f.main("logits"), f.dense("targets"), l, 0.25)
}

// vectorOperations are those on whole vectors or on one value a column; they use a shape's columns.
var vectorOperations = []operation{
	{"NormForward", 8, func(f *fixture) { f.NormForward(f.norm(), 1e-5, 0.1, 37) }},
	{"NormBackward", 10, func(f *fixture) {
		f.NormBackward(f.norm(), f.col("sum"), f.col("dot"), f.col("a"), f.col("b"), f.col("c"), 1e-5, 37)
	}},
	{"SGD", 5, func(f *fixture) { f.SGD(f.col("w"), f.col("g"), f.col("m"), 0.1, 0.9, 1e-3) }},
	{"AdamW", 7, func(f *fixture) {
		f.AdamW(f.col("w"), f.col("g"), f.col("m"), f.positive("v"), 1e-2, 0.9, 0.999, 1e-8, 0.05, 3)
	}},
	{"ClipNorm", 3, func(f *fixture) { f.ClipNorm(f.col("g"), f.vector("norm", 1, f.random), 0.5) }},
	{"ClipNorm below the limit", 1, func(f *fixture) { f.ClipNorm(f.col("g"), f.vector("norm", 1, f.random), 1e6) }},
	{"EMAUpdate", 3, func(f *fixture) { f.EMAUpdate(f.col("dst"), f.col("src"), 0.01) }},
}

// product is a matrix product, whose tolerance is rounding for sums of one term.
type product struct {
	name     string
	rounding float64
	run      func(f *fixture)
}

// Products with windows may use Winograd's algorithms, which subtract terms that are larger than the results.
const (
	plainRounding    = 2e-6
	winogradRounding = 6e-6
	// A block's epilogue f + s + p∘f∘s multiplies f's error by up to 1 + |p·s|, 5 for the values drawn here.
	blockSlack = 5
)

// matMuls are the matrix products.
var matMuls = []product{
	{"MatMul", plainRounding, func(f *fixture) { f.matMul(f.packed(), device.Epilogue{}) }},
	{"MatMul windows", winogradRounding, func(f *fixture) { f.matMul(f.packedWindows(), device.Epilogue{}) }},
	{"MatMul+shift+relu", plainRounding, func(f *fixture) {
		f.matMul(f.packed(), device.Epilogue{Shift: f.col("shift"), ReLU: true})
	}},
	{"MatMul+accumulate", plainRounding, func(f *fixture) { f.matMul(f.packed(), device.Epilogue{Accumulate: true}) }},
	{"MatMul+skip", plainRounding, func(f *fixture) {
		f.matMul(f.packed(), device.Epilogue{Skip: f.main("skip"), Shift: f.col("shift"), ReLU: true})
	}},
	{"MatMul+block", blockSlack * plainRounding, func(f *fixture) { f.matMul(f.packed(), f.block()) }},
	{"MatMul windows+block", blockSlack * winogradRounding, func(f *fixture) { f.matMul(f.packedWindows(), f.block()) }},
	{"MatMul+accumulate+block in place", blockSlack * plainRounding, func(f *fixture) {
		f.matMul(f.packed(), f.blockInPlace())
	}},
	{"MatMul windows+accumulate+block in place", blockSlack * winogradRounding, func(f *fixture) {
		f.matMul(f.packedWindows(), f.blockInPlace())
	}},
}

// overRows stands, as the number of operands of one of depthwiseOperations, for sums over rows rather than taps.
const overRows = -1

// depthwiseOperations are the depthwise convolutions.
var depthwiseOperations = []operation{
	{"Depthwise", 0, func(f *fixture) { f.Depthwise(f.main("dst"), f.windows("x"), f.taps("w"), none, false) }},
	{"Depthwise+shift", 0, func(f *fixture) {
		f.Depthwise(f.main("dst"), f.windows("x"), f.taps("w"), f.col("shift"), false)
	}},
	{"Depthwise add", 0, func(f *fixture) { f.Depthwise(f.main("dst"), f.windows("x"), f.taps("w"), none, true) }},
	{"DepthwiseGrad", overRows, func(f *fixture) { f.DepthwiseGrad(f.taps("dw"), f.windows("x"), f.main("dy")) }},
}

func matMulTransA(f *fixture) {
	f.MatMulTransA(f.vector("dw", f.depth*f.cols, f.random), f.windows("a"), f.main("dy"))
}

func (f *fixture) matMul(w *device.Packed, e device.Epilogue) {
	f.MatMul(f.main("dst"), f.windows("a"), w, e)
}

func (f *fixture) block() device.Epilogue {
	return device.Epilogue{Skip: f.main("skip"), Shift: f.col("shift"),
		Scale: f.col("scale"), Offset: f.col("offset")}
}

func (f *fixture) blockInPlace() device.Epilogue {
	return device.Epilogue{Accumulate: true, Skip: f.main("dst"), Scale: f.col("scale"),
		Offset: f.col("offset"), ReLU: true}
}

func (f *fixture) norm() device.Norm {
	return device.Norm{
		Gamma: f.col("gamma"), Beta: f.col("beta"), Alpha: f.vector("alpha", 1, f.random),
		Mean: f.col("mean"), Var: f.positive("var"), RunMean: f.col("runMean"), RunVar: f.positive("runVar"),
		Scale: f.col("scale"), Shift: f.col("shift"),
		DGamma: f.col("dgamma"), DBeta: f.col("dbeta"), DAlpha: f.vector("dalpha", 1, f.random),
	}
}
