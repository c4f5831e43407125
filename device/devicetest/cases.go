package devicetest

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// testCase is one operation on one shape.
type testCase struct {
	op string
	shape
	tolerance float64 // of value v, times 1 + |v|
	flops     int     // floating-point operations, of products
	touched   int     // values read and written, of other operations
	run       func(f *fixture)
	draw      func(rng *rand.Rand) float32 // of operands; nil: ordinary values
}

func (c testCase) name() string { return fmt.Sprintf("%s/%v", c.op, c.shape) }

// shape is the shape of an operation's main view. A product's windows have depth columns, step values apart.
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

// cases returns the table: every operation on edge cases, on a network's shapes and on random ones.
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
		{groups: 3, rows: 101, cols: 40, depth: 216, step: 24, gap: 192}, // nine taps
		{groups: 5, rows: 26, cols: 33, depth: 400, step: 24},            // seventeen: two runs
		{groups: 4, rows: 50, cols: 24, depth: 100, step: 40, gap: 20},   // five, stride two: three of twice the channels
		{groups: 2, rows: 77, cols: 50, depth: 150, step: 30},            // five
		{groups: 20, rows: 2, cols: 56, depth: 504, step: 56, gap: 30},   // nine, at most one tile of 2 or 4 rows a group
		{groups: 20, rows: 4, cols: 40, depth: 360, step: 40, gap: 30},
		{groups: 3, rows: 14, cols: 72, depth: 648, step: 72},
		{groups: 1, rows: 4, cols: 5, depth: 0, step: 1},
		{groups: 2, rows: 0, cols: 8, depth: 4, step: 4},
	}
	taps := []shape{
		{groups: 1, rows: 1, cols: 1, depth: 1, step: 1},
		{groups: 9, rows: 1, cols: 19, depth: 57, step: 19, gap: 2},
		{groups: 3, rows: 13, cols: 24, depth: 216, step: 24, gap: 192},
		{groups: 2, rows: 7, cols: 33, depth: 165, step: 66, gap: 3}, // a stride of two
		{groups: 5, rows: 51, cols: 96, depth: 288, step: 96},
		{groups: 40, rows: 30, cols: 20, depth: 100, step: 20},
		{groups: 1, rows: 1000, cols: 16, depth: 272, step: 16},
		{groups: 1, rows: 2, cols: 4500, depth: 9000, step: 4500},
		{groups: 1, rows: 3, cols: 5, depth: 500, step: 5}, // more taps than rows
		{groups: 0, rows: 4, cols: 8, depth: 24, step: 8},
		{groups: 2, rows: 0, cols: 8, depth: 24, step: 8},
	}
	// Every remainder: of columns after whole vectors, of rows after tiles.
	for cols := 1; cols <= 17; cols++ {
		plain = append(plain, shape{groups: 1, rows: 2, cols: cols, gap: 1})
	}
	for rows := 1; rows <= 25; rows++ {
		windows = append(windows, shape{groups: 1, rows: rows, cols: rows + 7, depth: rows, step: 1})
		taps = append(taps, shape{groups: 1, rows: rows, cols: 5 * rows, depth: 5 * rows * (1 + rows%9), step: 5*rows + 1})
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		s := shape{groups: 1 + rng.IntN(5), rows: 1 + rng.IntN(40), cols: 1 + rng.IntN(140), gap: rng.IntN(20)}
		plain = append(plain, s)
		s.depth, s.step = 1+rng.IntN(200), 1+rng.IntN(50)
		windows = append(windows, s)
	}
	return table(plain, plain, windows, taps)
}

// benchmarks returns every operation on the shapes of the four stages of a network of 1.1 M parameters, a
// batch of 100 for what moves values, and about 1300 rows of 101 to 13 a clip for products.
func benchmarks() []testCase {
	return table(
		[]shape{
			{groups: 100, rows: 101, cols: 48, gap: 384},
			{groups: 100, rows: 13, cols: 128, gap: 1024},
		}, []shape{
			{groups: 1, rows: 1, cols: 1_110_000},
		}, []shape{
			{groups: 13, rows: 100, cols: 48, depth: 432, step: 48, gap: 384},
			{groups: 13, rows: 50, cols: 64, depth: 576, step: 64, gap: 512},
			{groups: 13, rows: 26, cols: 96, depth: 864, step: 96, gap: 768},
			{groups: 13, rows: 13, cols: 128, depth: 1152, step: 128, gap: 1024},
			{groups: 1, rows: 101, cols: 48, depth: 432, step: 48},
			{groups: 1, rows: 13, cols: 128, depth: 1152, step: 128},
		}, []shape{
			{groups: 100, rows: 101, cols: 48, depth: 432, step: 48, gap: 384},
			{groups: 100, rows: 13, cols: 128, depth: 1152, step: 128, gap: 1024},
			{groups: 1, rows: 101, cols: 24, depth: 216, step: 24},
			{groups: 1, rows: 13, cols: 64, depth: 576, step: 64},
		})
}

// table returns all operations on the shapes; taps are those of depthwise convolutions, whose depth is a multiple of
// the columns. Rounding errors of sums grow with the root of the number of terms.
func table(rows, vectors, windows, taps []shape) (all []testCase) {
	const rounding = 1e-6 // of a few operations on values of ordinary size
	for _, o := range rowOperations {
		for _, s := range rows {
			// Terms of sums over rows cancel, so these may err by more than their own last places.
			tolerance := rounding * (1 + math.Sqrt(float64(s.groups*s.rows)))
			all = append(all, testCase{o.name, s, tolerance, 0, o.operands * s.values(), o.run, nil})
		}
	}
	for _, o := range vectorOperations {
		for _, s := range vectors {
			all = append(all, testCase{o.name, s, 10 * rounding, 0, o.operands * s.cols, o.run, nil})
		}
	}
	for _, s := range windows {
		flops, errors := 2*s.values()*s.depth, 1+math.Sqrt(float64(s.depth))
		for _, p := range matMuls {
			all = append(all, testCase{p.name, s, p.rounding * errors, flops, 0, p.run, nil})
		}
		relative := plainRounding
		if s.step < s.depth {
			relative = 2 * plainRounding // windows overlap: the gradient may use Winograd's algorithms
		}
		errors = 1 + math.Sqrt(float64(s.groups*s.rows))
		all = append(all, testCase{"MatMulTransA", s, relative * errors, flops, 0, matMulTransA, nil})
	}
	for _, s := range taps {
		flops := 2 * s.groups * s.rows * s.depth
		for _, o := range depthwiseOperations {
			terms := s.depth / s.cols
			if o.operands == overRows {
				terms = s.groups * s.rows
			}
			all = append(all, testCase{o.name, s, plainRounding * (1 + math.Sqrt(float64(terms))), flops, 0, o.run, nil})
		}
	}
	return all
}
