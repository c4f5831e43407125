package device_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// golden reads one case of testdata/torch_golden.json, which testdata/torch_golden.py wrote with PyTorch.
func golden(t *testing.T, name string) map[string][]float32 {
	t.Helper()
	data, err := os.ReadFile("testdata/torch_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string]map[string][]float32
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if cases[name] == nil {
		t.Fatalf("no case %q", name)
	}
	return cases[name]
}

// eachDevice runs a test on Ref and on the CPU with each kernel set.
func eachDevice(t *testing.T, test func(t *testing.T, d device.Trainer)) {
	devices := []device.Trainer{device.Ref()}
	for _, kernels := range device.Kernels() {
		devices = append(devices, cpuWith(t, kernels, 2))
	}
	for _, d := range devices {
		t.Run(d.Name(), func(t *testing.T) { test(t, d) })
	}
}

func upload(d device.Trainer, values []float32) device.Buffer {
	b := d.Alloc(len(values))
	d.Upload(b, values)
	return b
}

func wantValues(t *testing.T, d device.Trainer, name string, got device.Buffer, want []float32) {
	t.Helper()
	host := make([]float32, got.Len())
	d.Download(host, got)
	if len(host) != len(want) {
		t.Fatalf("%s has %d values, want %d", name, len(host), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(host[i]-w)) <= 1e-5*(1+math.Abs(float64(w)))) {
			t.Errorf("%s: value %d is %v, PyTorch has %v", name, i, host[i], w)
		}
	}
}

// A time-major convolution is a product of overlapping windows, and its weight gradient a product of their transpose.
func TestConvolutionAgreesWithPyTorch(t *testing.T) {
	const clips, frames, in, out, kernel, stride, steps = 2, 9, 3, 4, 5, 2, 3
	g := golden(t, "conv")
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		windows := device.View{Data: upload(d, g["x"]), Groups: clips, Rows: steps, Cols: kernel * in,
			GroupStride: frames * in, RowStride: stride * in}
		rows := func(b device.Buffer) device.View {
			return device.View{Data: b, Groups: clips, Rows: steps, Cols: out, GroupStride: steps * out, RowStride: out}
		}
		var w device.Packed
		d.Pack(&w, upload(d, g["w"]), kernel*in, out)
		y := d.Alloc(len(g["y"]))
		d.MatMul(rows(y), windows, &w, device.Epilogue{})
		wantValues(t, d, "y", y, g["y"])
		dw := d.Alloc(len(g["dw"]))
		d.MatMulTransA(dw, windows, rows(upload(d, g["dy"])))
		wantValues(t, d, "dw", dw, g["dw"])
	})
}

// A polynomial block's sum, forwards and backwards: Moments, NormForward, HadamardSum, GradSums, NormBackward and
// HadamardSumGrad together.
func TestHadamardBlockAgreesWithPyTorch(t *testing.T) {
	const rows, cols, eps = 12, 5, 1e-5
	g := golden(t, "block")
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		matrix := func(b device.Buffer) device.View { return device.Matrix(b, rows, cols) }
		f, s, dy := matrix(upload(d, g["f"])), matrix(upload(d, g["s"])), matrix(upload(d, g["dy"]))
		ones := []float32{1, 1, 1, 1, 1}
		n := device.Norm{
			Gamma: upload(d, g["gamma"]), Beta: upload(d, g["beta"]), Alpha: upload(d, g["alpha"]),
			Mean: d.Alloc(cols), Var: d.Alloc(cols), Scale: d.Alloc(cols), Shift: d.Alloc(cols),
			RunMean: d.Alloc(cols), RunVar: upload(d, ones),
			DGamma: d.Alloc(cols), DBeta: d.Alloc(cols), DAlpha: d.Alloc(1),
		}
		y := d.Alloc(rows * cols)
		d.Moments(n.Mean, n.Var, f, s)
		d.NormForward(n, eps, 0.1, rows)
		d.HadamardSum(matrix(y), f, s, n.Scale, n.Shift)
		wantValues(t, d, "y", y, g["y"])
		wantValues(t, d, "running mean", n.RunMean, g["runmean"])
		wantValues(t, d, "running variance", n.RunVar, g["runvar"])

		sum, dot, a, b, c := d.Alloc(cols), d.Alloc(cols), d.Alloc(cols), d.Alloc(cols), d.Alloc(cols)
		df, ds := d.Alloc(rows*cols), d.Alloc(rows*cols)
		d.GradSums(sum, dot, dy, f, s)
		d.NormBackward(n, sum, dot, a, b, c, eps, rows)
		d.HadamardSumGrad(matrix(df), matrix(ds), dy, f, s, a, b, c)
		wantValues(t, d, "df", df, g["df"])
		wantValues(t, d, "ds", ds, g["ds"])
		wantValues(t, d, "dgamma", n.DGamma, g["dgamma"])
		wantValues(t, d, "dbeta", n.DBeta, g["dbeta"])
		wantValues(t, d, "dalpha", n.DAlpha, g["dalpha"])
	})
}

func TestLossAgreesWithPyTorch(t *testing.T) {
	for _, c := range []struct {
		golden     string
		loss       device.Loss
		rows, cols int
		scale      float32
	}{
		{"crossentropy", device.Loss{}, 4, 6, 0.25},
		{"loss brier", device.Loss{Kind: device.Brier}, 12, 5, 1},
		{"loss focal", device.Loss{Kind: device.Focal, Gamma: 3}, 12, 5, 1},
		{"loss focal half", device.Loss{Kind: device.Focal, Gamma: 0.5}, 12, 5, 1},
		{"loss flsd", device.Loss{Kind: device.FLSD}, 12, 5, 1},
		{"loss dual", device.Loss{Kind: device.DualFocal, Gamma: 2}, 12, 5, 1},
	} {
		g := golden(t, c.golden)
		eachDevice(t, func(t *testing.T, d device.Trainer) {
			matrix := func(b device.Buffer) device.View { return device.Matrix(b, c.rows, c.cols) }
			dlogits, losses := d.Alloc(c.rows*c.cols), d.Alloc(c.rows)
			d.Loss(matrix(dlogits), losses, matrix(upload(d, g["logits"])), matrix(upload(d, g["targets"])), c.loss, c.scale)
			wantValues(t, d, c.golden+": losses", losses, g["losses"])
			wantValues(t, d, c.golden+": dlogits", dlogits, g["dlogits"])
		})
	}
}

// TestLossGradients compares the gradient of each loss for soft targets with differences of the loss, in float64 but
// for the logits.
func TestLossGradients(t *testing.T) {
	const cols, step = 7, 1.0 / 256
	for kind := device.CrossEntropy; kind <= device.DualFocal; kind++ {
		rng := rand.New(rand.NewPCG(1, uint64(kind)))
		d, l := device.Ref(), device.Loss{Kind: kind, Gamma: 2.5}
		x, targets := make([]float32, cols), make([]float32, cols)
		for i := range x {
			x[i], targets[i] = float32(2*rng.NormFloat64()), 0.05
		}
		targets[2], targets[5] = 0.6, 0
		one := func(b device.Buffer) device.View { return device.Matrix(b, 1, cols) }
		dlogits, losses := d.Alloc(cols), d.Alloc(1)
		read := func(b device.Buffer) []float32 {
			host := make([]float32, b.Len())
			d.Download(host, b)
			return host
		}
		loss := func() float64 {
			d.Loss(one(dlogits), losses, one(upload(d, x)), one(upload(d, targets)), l, 1)
			return float64(read(losses)[0])
		}
		loss()
		for i, got := range read(dlogits) {
			v := x[i]
			x[i] = v + step
			up := loss()
			x[i] = v - step
			want := (up - loss()) / (2 * step)
			if x[i] = v; math.Abs(float64(got)-want) > 1e-4 {
				t.Errorf("loss %d, logit %d: gradient %g, differences give %g", kind, i, got, want)
			}
		}
	}
}

func TestLossOfExtremeLogits(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		inf := float32(math.Inf(-1))
		logits := device.Matrix(upload(d, []float32{1000, -1000, inf, 300, 300, inf}), 2, 3)
		targets := device.Matrix(upload(d, []float32{0, 1, 0, 0.5, 0.5, 0}), 2, 3)
		dlogits, losses := d.Alloc(6), d.Alloc(2)
		d.Loss(device.Matrix(dlogits, 2, 3), losses, logits, targets, device.Loss{}, 1)
		wantValues(t, d, "losses", losses, []float32{2000, math.Ln2})
		wantValues(t, d, "dlogits", dlogits, []float32{1, -1, 0, 0, 0, 0})
		// A certain wrong answer has the weight 1, and the gradient of cross entropy.
		first := func(v device.View) device.View { return device.Matrix(v.Data.Slice(0, 3), 1, 3) }
		for _, l := range []device.Loss{
			{Kind: device.Focal, Gamma: 3}, {Kind: device.FLSD}, {Kind: device.DualFocal, Gamma: 2},
		} {
			d.Loss(device.Matrix(dlogits, 1, 3), losses.Slice(0, 1), first(logits), first(targets), l, 1)
			wantValues(t, d, "losses", losses.Slice(0, 1), []float32{2000})
			wantValues(t, d, "dlogits", dlogits.Slice(0, 3), []float32{1, -1, 0})
		}
	})
}

func TestOptimisersAgreeWithPyTorch(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		g := golden(t, "sgd")
		w, m := upload(d, g["start"]), d.Alloc(7)
		for step := range 3 {
			d.SGD(w, upload(d, g["grads"][7*step:7*step+7]), m, 0.1, 0.9, 0.01)
		}
		wantValues(t, d, "SGD", w, g["end"])

		g = golden(t, "adamw")
		w, m = upload(d, g["start"]), d.Alloc(7)
		v := d.Alloc(7)
		for step := range 3 {
			d.AdamW(w, upload(d, g["grads"][7*step:7*step+7]), m, v, 0.01, 0.9, 0.99, 1e-6, 0.05, step+1)
		}
		wantValues(t, d, "AdamW", w, g["end"])

		g = golden(t, "clip")
		grad, norm := upload(d, g["g"]), d.Alloc(1)
		d.ClipNorm(grad, norm, 0.5)
		wantValues(t, d, "norm", norm, g["norm"])
		wantValues(t, d, "clipped", grad, g["clipped"])
	})
}

// Variances are accurate even where means are much larger than deviations.
func TestMomentsOfALargeMean(t *testing.T) {
	const rows, cols = 5000, 3
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = 4096 + float32(i/cols%2)
	}
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		mean, variance := d.Alloc(cols), d.Alloc(cols)
		d.Moments(mean, variance, device.Matrix(upload(d, values), rows, cols), device.View{})
		wantValues(t, d, "mean", mean, []float32{4096.5, 4096.5, 4096.5})
		wantValues(t, d, "variance", variance, []float32{0.25, 0.25, 0.25})
	})
}

// ReLU keeps NaN, so that a training step that diverged is noticed.
func TestReLUKeepsNaN(t *testing.T) {
	nan := float32(math.NaN())
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		x := device.Matrix(upload(d, []float32{nan, -1, 2}), 1, 3)
		d.Affine(x, x, device.View{}, device.Buffer{}, device.Buffer{}, device.Buffer{}, true)
		got := make([]float32, 3)
		d.Download(got, x.Data)
		if got[0] == got[0] || got[1] != 0 || got[2] != 2 {
			t.Errorf("ReLU of NaN, -1, 2 is %v", got)
		}
	})
}

func TestShapeMistakesPanicWithBothShapes(t *testing.T) {
	eachDevice(t, func(t *testing.T, d device.Trainer) {
		var none device.Buffer
		buffer := d.Alloc(100)
		matrix := func(rows, cols int) device.View { return device.Matrix(buffer, rows, cols) }
		var w device.Packed
		d.Pack(&w, buffer.Slice(0, 12), 3, 4)
		overlapping := device.View{Data: buffer, Groups: 1, Rows: 4, Cols: 5, RowStride: 2}
		short := device.View{Data: buffer, Groups: 3, Rows: 5, Cols: 7, GroupStride: 35, RowStride: 7}
		for name, mistake := range map[string]struct {
			call func()
			want []string
		}{
			"inner dimension": {
				func() { d.MatMul(matrix(2, 4), matrix(2, 5), &w, device.Epilogue{}) },
				[]string{"(1,2,4)", "(1,2,5)", "(3,4)"},
			},
			"rows": {
				func() { d.Hadamard(matrix(2, 4), matrix(2, 4), matrix(3, 4), false) },
				[]string{"Hadamard", "y (1,3,4)", "(1,2,4)"},
			},
			"vector": {
				func() { d.Affine(matrix(2, 4), matrix(2, 4), device.View{}, none, none, buffer.Slice(0, 3), false) },
				[]string{"c has 3", "want 4"},
			},
			"optional operand": {
				func() { d.Affine(matrix(2, 4), matrix(2, 4), matrix(2, 3), none, none, none, false) },
				[]string{"y (1,2,3)", "(1,2,4)"},
			},
			"overlapping result": {
				func() { d.Fill(overlapping, 1) },
				[]string{"dst (1,4,5)", "overlap"},
			},
			"past the end": {
				func() { d.AvgPool(matrix(3, 7), short) },
				[]string{"(3,5,7)", "105 of 100"},
			},
			"skip": {
				func() { d.MatMul(matrix(2, 4), matrix(2, 3), &w, device.Epilogue{Skip: matrix(1, 4)}) },
				[]string{"(1,1,4)", "(1,2,4)"},
			},
			"scale alone": {
				func() { d.MatMul(matrix(2, 4), matrix(2, 3), &w, device.Epilogue{Scale: buffer.Slice(0, 4)}) },
				[]string{"Scale without Skip"},
			},
			"outer rows": {
				func() { d.MatMulTransA(buffer.Slice(0, 12), matrix(5, 3), matrix(6, 4)) },
				[]string{"(1,5,3)", "(1,6,4)"},
			},
			"taps": {
				func() { d.Depthwise(matrix(5, 4), matrix(5, 6), buffer.Slice(0, 6), none, false) },
				[]string{"Depthwise", "x (1,5,6)", "(1,5,4)"},
			},
			"weights of the taps": {
				func() { d.DepthwiseGrad(buffer.Slice(0, 7), matrix(5, 8), matrix(5, 4)) },
				[]string{"w has 7", "want 8"},
			},
			"shift and add": {
				func() { d.Depthwise(matrix(5, 4), matrix(5, 8), buffer.Slice(0, 8), buffer.Slice(0, 4), true) },
				[]string{"shift and add"},
			},
			"optimiser": {
				func() { d.SGD(buffer, buffer.Slice(0, 99), buffer, 0, 0, 0) },
				[]string{"99", "100"},
			},
			"serial": {
				func() { d.Serial().Hadamard(matrix(2, 4), matrix(2, 4), matrix(3, 4), false) },
				[]string{"(1,2,4)", "(1,3,4)"},
			},
		} {
			message := panicOf(mistake.call)
			for _, want := range mistake.want {
				if !strings.Contains(message, want) {
					t.Errorf("%s: panic %q does not name %s", name, message, want)
				}
			}
		}
	})
}

// panicOf returns what f panics with, "" where it does not.
func panicOf(f func()) (message string) {
	defer func() {
		if p := recover(); p != nil {
			message, _ = p.(string)
		}
	}()
	f()
	return ""
}
