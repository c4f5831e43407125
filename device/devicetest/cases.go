package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/device"
)

// testCase is one operation on one shape.
type testCase struct {
	op        string
	shape     shape
	tolerance float64 // of value v, times 1 + |v|
	flops     int     // floating-point operations; 0 where touched counts
	touched   int     // values read and written
	prepare   func(f *fixture) (run func())
}

func (c testCase) name() string { return fmt.Sprintf("%s/%v", c.op, c.shape) }

// shape is the shape of an operation's main view. A product's windows have depth columns and move by step.
type shape struct {
	groups, rows, cols int
	gap                int // values between the rows' end and the next row, and between groups
	depth, step        int
}

func (s shape) String() string {
	name := fmt.Sprintf("%dx%dx%d", s.groups, s.rows, s.cols)
	if s.depth > 0 {
		name += fmt.Sprintf(",depth%d,step%d", s.depth, s.step)
	}
	if s.gap > 0 {
		name += fmt.Sprintf(",gap%d", s.gap)
	}
	return name
}

func (s shape) values() int { return s.groups * s.rows * s.cols }

// main returns a view of the shape; some operands get a row stride of their own.
func (s shape) main(f *fixture, name string) device.View {
	return f.view(name, s.groups, s.rows, s.cols, s.cols+s.gap%2, s.gap)
}

func (s shape) windows(f *fixture, name string) device.View {
	return f.view(name, s.groups, s.rows, s.depth, s.step, s.gap)
}

// operation makes a case of a shape.
type operation func(s shape) testCase

// cases returns the table: every operation on awkward shapes, on a network's and on random ones.
func cases() []testCase {
	plain := []shape{
		{groups: 1, rows: 1, cols: 1},
		{groups: 1, rows: 1, cols: 19},
		{groups: 1, rows: 3, cols: 64},
		{groups: 3, rows: 1, cols: 48},
		{groups: 3, rows: 13, cols: 17, gap: 5},
		{groups: 2, rows: 51, cols: 40, gap: 8},
		{groups: 20, rows: 101, cols: 33, gap: 64},
		{groups: 1, rows: 290, cols: 65},
		{groups: 1, rows: 2, cols: 4500},
		{groups: 0, rows: 4, cols: 8},
		{groups: 2, rows: 0, cols: 8},
	}
	windows := []shape{
		{groups: 1, rows: 1, cols: 1, depth: 1, step: 1},
		{groups: 1, rows: 1, cols: 19, depth: 128, step: 128},
		{groups: 9, rows: 1, cols: 19, depth: 128, step: 128},
		{groups: 3, rows: 13, cols: 48, depth: 90, step: 10, gap: 20},
		{groups: 3, rows: 7, cols: 33, depth: 90, step: 20, gap: 3},
		{groups: 2, rows: 25, cols: 300, depth: 31, step: 31},
		{groups: 3, rows: 51, cols: 48, depth: 72, step: 24},
		{groups: 6, rows: 13, cols: 128, depth: 64, step: 32, gap: 64},
		{groups: 40, rows: 13, cols: 130, depth: 12, step: 12},
		{groups: 1, rows: 1000, cols: 16, depth: 50, step: 50},
		{groups: 3, rows: 101, cols: 40, depth: 216, step: 24, gap: 192}, // a kernel of nine
		{groups: 5, rows: 26, cols: 33, depth: 400, step: 24},            // seventeen: two runs
		{groups: 4, rows: 50, cols: 24, depth: 100, step: 40, gap: 20},   // five with a stride of two: three of twice the channels
		{groups: 2, rows: 77, cols: 50, depth: 150, step: 30},            // five
		{groups: 20, rows: 2, cols: 56, depth: 504, step: 56, gap: 30},   // nine, a tile or less of two or four rows a group
		{groups: 20, rows: 4, cols: 40, depth: 360, step: 40, gap: 30},
		{groups: 3, rows: 14, cols: 72, depth: 648, step: 72},
		{groups: 1, rows: 4, cols: 5, depth: 0, step: 1},
		{groups: 2, rows: 0, cols: 8, depth: 4, step: 4},
	}
	// Every way to end: columns in whole vectors and masks, rows in tiles.
	for cols := 1; cols <= 17; cols++ {
		plain = append(plain, shape{groups: 1, rows: 2, cols: cols, gap: 1})
	}
	for rows := 1; rows <= 25; rows++ {
		windows = append(windows, shape{groups: 1, rows: rows, cols: rows + 7, depth: rows, step: 1})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		s := shape{groups: 1 + rng.IntN(5), rows: 1 + rng.IntN(40), cols: 1 + rng.IntN(140), gap: rng.IntN(20)}
		plain = append(plain, s)
		s.depth, s.step = 1+rng.IntN(200), 1+rng.IntN(50)
		windows = append(windows, s)
	}
	var all []testCase
	for _, op := range append(rowOperations(), vectorOperations()...) {
		for _, s := range plain {
			all = append(all, op(s))
		}
	}
	for _, op := range productOperations() {
		for _, s := range windows {
			all = append(all, op(s))
		}
	}
	return all
}

// benchmarks returns every operation on the shapes of the four stages of a network of 1.1 M parameters, a
// batch of 100 for what moves values, and about 1300 rows of 101 to 13 a clip for products.
func benchmarks() []testCase {
	var all []testCase
	for _, op := range productOperations() {
		for _, s := range []shape{
			{groups: 13, rows: 100, cols: 48, depth: 432, step: 48, gap: 384},
			{groups: 13, rows: 50, cols: 64, depth: 576, step: 64, gap: 512},
			{groups: 13, rows: 26, cols: 96, depth: 864, step: 96, gap: 768},
			{groups: 13, rows: 13, cols: 128, depth: 1152, step: 128, gap: 1024},
			{groups: 1, rows: 101, cols: 48, depth: 432, step: 48},
			{groups: 1, rows: 13, cols: 128, depth: 1152, step: 128},
		} {
			all = append(all, op(s))
		}
	}
	for _, op := range rowOperations() {
		for _, s := range []shape{
			{groups: 100, rows: 101, cols: 48, gap: 384},
			{groups: 100, rows: 13, cols: 128, gap: 1024},
		} {
			all = append(all, op(s))
		}
	}
	for _, op := range vectorOperations() {
		all = append(all, op(shape{groups: 1, rows: 1, cols: 1_110_000}))
	}
	return all
}

// productOperations are the matrix products. Sums of depth terms err by about the root of their number.
func productOperations() []operation {
	type epilogue = func(f *fixture, s shape, dst device.View) device.Epilogue
	// A block's epilogue f + s + p∘f∘s multiplies f's error by up to 1 + |p·s|, 5 for the values drawn here.
	block := func(op operation) operation {
		return func(s shape) testCase {
			c := op(s)
			c.tolerance *= 5
			return c
		}
	}
	product := func(op string, e epilogue) operation {
		pack := func(f *fixture, packed *device.Packed, w device.Buffer, s shape) {
			f.d.Pack(packed, w, s.depth, s.cols)
		}
		return matMul(op, 2e-6, pack, e)
	}
	windows := func(op string, e epilogue) operation {
		pack := func(f *fixture, packed *device.Packed, w device.Buffer, s shape) {
			f.d.PackWindows(packed, w, s.cols, device.View{Groups: s.groups, Rows: s.rows, Cols: s.depth, RowStride: s.step})
		}
		return matMul(op, 6e-6, pack, e) // minimal filtering takes differences of larger terms
	}
	addOuter := func(s shape) testCase {
		rounding := 2e-6
		if s.step < s.depth { // windows overlap: minimal filtering again
			rounding = 4e-6
		}
		return testCase{
			op: "MatMulTransA", shape: s, flops: 2 * s.values() * s.depth,
			tolerance: rounding * (1 + math.Sqrt(float64(s.groups*s.rows))),
			prepare: func(f *fixture) func() {
				dw, a, dy := f.vector("dw", s.depth*s.cols), s.windows(f, "a"), s.main(f, "dy")
				return func() { f.d.MatMulTransA(dw, a, dy) }
			},
		}
	}
	return []operation{
		product("MatMul", plainEpilogue),
		windows("MatMul windows", plainEpilogue),
		product("MatMul+shift+relu", func(f *fixture, s shape, _ device.View) device.Epilogue {
			return device.Epilogue{Shift: f.vector("shift", s.cols), ReLU: true}
		}),
		product("MatMul+accumulate", func(*fixture, shape, device.View) device.Epilogue {
			return device.Epilogue{Accumulate: true}
		}),
		product("MatMul+skip", func(f *fixture, s shape, _ device.View) device.Epilogue {
			return device.Epilogue{Skip: s.main(f, "skip"), Shift: f.vector("shift", s.cols), ReLU: true}
		}),
		block(product("MatMul+block", blockEpilogue)),
		block(windows("MatMul windows+block", blockEpilogue)),
		block(product("MatMul+accumulate+block in place", inPlaceEpilogue)),
		block(windows("MatMul windows+accumulate+block in place", inPlaceEpilogue)),
		addOuter,
	}
}

// matMul is a product with what pack makes of its weight. An error of rounding is what a sum of one term may have.
func matMul(op string, rounding float64, pack func(*fixture, *device.Packed, device.Buffer, shape),
	epilogue func(f *fixture, s shape, dst device.View) device.Epilogue) operation {
	return func(s shape) testCase {
		return testCase{
			op: op, shape: s, flops: 2 * s.values() * s.depth,
			tolerance: rounding * (1 + math.Sqrt(float64(s.depth))),
			prepare: func(f *fixture) func() {
				dst, a := s.main(f, "dst"), s.windows(f, "a")
				w := f.vector("w", s.depth*s.cols)
				e := epilogue(f, s, dst)
				var packed device.Packed
				pack(f, &packed, w, s)
				return func() { f.d.MatMul(dst, a, &packed, e) }
			},
		}
	}
}

func plainEpilogue(*fixture, shape, device.View) device.Epilogue { return device.Epilogue{} }

func blockEpilogue(f *fixture, s shape, _ device.View) device.Epilogue {
	return device.Epilogue{Skip: s.main(f, "skip"), Shift: f.vector("shift", s.cols),
		Scale: f.vector("scale", s.cols), Offset: f.vector("offset", s.cols)}
}

func inPlaceEpilogue(f *fixture, s shape, dst device.View) device.Epilogue {
	return device.Epilogue{Accumulate: true, Skip: dst, Scale: f.vector("scale", s.cols),
		Offset: f.vector("offset", s.cols), ReLU: true}
}
