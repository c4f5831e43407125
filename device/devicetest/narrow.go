package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// Narrow checks every case of the table of narrow products and of Quantise on devices against a reference device:
// results are the same, but for the sign of zeros in floats, and all memory before, after and between the rows of
// operands keeps its bits.
func Narrow(t *testing.T, reference device.Trainer, devices ...device.Trainer) {
	const short = 1 << 17 // multiplications of a case, where tests are to be short
	for _, c := range narrowCases() {
		if testing.Short() && 4*c.values()*c.depth > short {
			continue
		}
		want := outcome(c, reference)
		for _, d := range devices {
			got := outcome(c, d)
			for name, w := range want {
				if err := alikeIn(got[name], w, strings.HasPrefix(name, "bytes")); err != nil {
					t.Errorf("%s: %s: %s: %v", d.Name(), c.name(), name, err)
				}
			}
		}
	}
}

// alikeIn compares values, and with bits set their bits.
func alikeIn(got, want []float32, bits bool) error {
	for i, w := range want {
		g := got[i]
		if math.Float32bits(g) == math.Float32bits(w) || !bits && (g == w || g != g && w != w && !isGuard(w)) {
			continue
		}
		return fmt.Errorf("value %d is %v (%08x), want %v (%08x)",
			i-guard, g, math.Float32bits(g), w, math.Float32bits(w))
	}
	return nil
}

func isGuard(v float32) bool { return math.Float32bits(v) == math.Float32bits(guardValue) }

// narrowCases returns the table: the shapes of other products, whose depth and step count words here, and of rows.
func narrowCases() (all []testCase) {
	for _, c := range cases() {
		switch c.op {
		case "MatMul":
			for _, o := range narrowProducts {
				all = append(all, testCase{op: o.name, shape: c.shape, run: o.run})
			}
		case "Hadamard":
			for name, draw := range rounded {
				all = append(all, testCase{op: "Quantise " + name, shape: c.shape, draw: draw, run: func(f *fixture) {
					f.narrow().Quantise(f.byteRows("bytes"), f.main("x"), 0.0117)
				}})
			}
		}
	}
	return all
}

// rounded are the kinds of values that are tried with Quantise.
var rounded = map[string]func(rng *rand.Rand) float32{
	"ordinary": nil, "tiny": scaled(1e-44), "large": scaled(1e38),
	"ties":       func(rng *rand.Rand) float32 { return (float32(rng.IntN(300)-150) + 0.5) * 0.0117 },
	"not finite": rarely(math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat32, -math.MaxFloat32),
}

// narrowProducts are the products of bytes.
var narrowProducts = []operation{
	{"MatMulNarrow", 0, func(f *fixture) { f.matMulNarrow(false, device.NarrowEpilogue{}) }},
	{"MatMulNarrow ternary+shift+relu", 0, func(f *fixture) {
		f.matMulNarrow(true, device.NarrowEpilogue{Shift: f.col("shift"), ReLU: true})
	}},
	{"MatMulNarrow to bytes", 0, func(f *fixture) {
		e := device.NarrowEpilogue{Shift: f.col("shift"), Bytes: f.byteRows("bytes"), BytesScale: 0.05}
		f.multiplyNarrow(noView, false, e)
	}},
	{"MatMulNarrow ternary+block to bytes too", 0, func(f *fixture) {
		e := f.narrowBlock(f.main("skip"))
		e.Bytes, e.BytesScale = f.byteRows("bytes"), 0.05
		f.matMulNarrow(true, e)
	}},
	{"MatMulNarrow+block to bytes", 0, func(f *fixture) {
		e := f.narrowBlock(f.main("skip"))
		e.Bytes, e.BytesScale, e.ReLU = f.byteRows("bytes"), 0.05, true
		f.multiplyNarrow(noView, false, e)
	}},
	{"MatMulNarrow+skip in place", 0, func(f *fixture) {
		f.matMulNarrow(false, device.NarrowEpilogue{Skip: f.main("dst"), ReLU: true})
	}},
	{"MatMulNarrow ternary+block in place", 0, func(f *fixture) {
		f.matMulNarrow(true, f.narrowBlock(f.main("dst")))
	}},
}

func (f *fixture) narrow() device.Narrow { return f.Trainer.(device.Narrow) }

func (f *fixture) narrowBlock(skip device.View) device.NarrowEpilogue {
	return device.NarrowEpilogue{Shift: f.col("shift"), Skip: skip, Scale: f.col("scale"), Offset: f.col("offset")}
}

func (f *fixture) matMulNarrow(ternary bool, e device.NarrowEpilogue) {
	f.multiplyNarrow(f.main("dst"), ternary, e)
}

func (f *fixture) multiplyNarrow(dst device.View, ternary bool, e device.NarrowEpilogue) {
	e.Multiply = f.vector("multiply", f.cols, func() float32 { return 1e-4 * f.rng.Float32() })
	limit := 127
	if ternary {
		limit = 1
	}
	w := make([]int8, 4*f.depth*f.cols)
	for i := range w {
		w[i] = int8(f.rng.IntN(2*limit+1) - limit)
	}
	a := f.byteWindows("bytes of a")
	f.narrow().PackNarrow(&f.w, w, f.cols, ternary, a)
	f.narrow().MatMulNarrow(dst, a, &f.w, e)
}

// byteWindows returns a product's windows of random words.
func (f *fixture) byteWindows(name string) device.View {
	draw := f.draw
	f.draw = func(rng *rand.Rand) float32 { return math.Float32frombits(rng.Uint32()) }
	defer func() { f.draw = draw }()
	return f.windows(name)
}

// byteRows returns a byte matrix of the case's shape.
func (f *fixture) byteRows(name string) device.View {
	words := device.CeilDiv(f.cols, 4)
	return f.view(name, f.rows, words, words+f.gap%2, f.gap)
}
