package simd

// Filter is a minimal filtering algorithm F(Outputs, Taps) for convolutions over rows: Outputs neighbouring outputs of a
// convolution with Taps taps take Points = Outputs+Taps−1 multiplications instead of Outputs·Taps (Winograd, "Arithmetic
// complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016).
//
// With d the Points input values that a tile of outputs y depends on and g the taps, y[j] = Σ g[i]·d[j+i] is
//
//	y = OutputMatrix·((WeightMatrix·g)∘(InputMatrix·d)).
//
// The matrices follow from the points 0, ±1, ... at which the two polynomials are multiplied. Where inputs and outputs
// have channels, the product in the middle is a matrix product a point.
type Filter struct {
	Outputs, Taps, Points int
	InputMatrix           [][]float64 // (Points, Points)
	WeightMatrix          [][]float64 // (Points, Taps)
	OutputMatrix          [][]float64 // (Outputs, Points)

	FilterKernels
}

// FilterKernels apply a Filter's matrices to columns.
type FilterKernels struct {
	// Input applies InputMatrix to each column of tiles tiles: tile t reads the rows from x[t·Outputs·xStride] on.
	Input IntoPoints
	// Weight applies WeightMatrix: tile t reads the Taps rows from x[t·Taps·xStride] on.
	Weight IntoPoints
	// OutputGrad applies OutputMatrix transposed: tile t reads the Outputs rows from x[t·Outputs·xStride] on.
	OutputGrad IntoPoints
	// Output applies OutputMatrix: tile t writes its rows from y[t·Outputs·yStride] on.
	Output FromPoints
	// WeightGrad applies WeightMatrix transposed: tile t writes its rows from y[t·Taps·yStride] on.
	WeightGrad FromPoints
}

type (
	// IntoPoints turns the rows of a tile, xStride apart, into one of cols values for each point: the one of tile t for
	// point k is written at v[k·vPoint + t·cols].
	IntoPoints func(v, x []float32, tiles, cols, xStride, vPoint int)
	// FromPoints turns a row for each point, that of tile t for point k being at x[k·xPoint + t·xStride], into rows that
	// are written yStride apart.
	FromPoints func(y, x []float32, tiles, cols, yStride, xStride, xPoint int)
)

// filter23 multiplies at 0, 1, −1 and ∞.
func filter23() Filter {
	return Filter{
		Outputs: 2, Taps: 3, Points: 4,
		InputMatrix: [][]float64{
			{1, 0, -1, 0},
			{0, 1, 1, 0},
			{0, -1, 1, 0},
			{0, -1, 0, 1},
		},
		WeightMatrix: [][]float64{
			{1, 0, 0},
			{1. / 2, 1. / 2, 1. / 2},
			{1. / 2, -1. / 2, 1. / 2},
			{0, 0, 1},
		},
		OutputMatrix: [][]float64{
			{1, 1, 1, 0},
			{0, 1, -1, 1},
		},
	}
}

// filter33 multiplies at 0, 1, −1, 2 and ∞.
func filter33() Filter {
	return Filter{
		Outputs: 3, Taps: 3, Points: 5,
		InputMatrix: [][]float64{
			{2, -1, -2, 1, 0},
			{0, -2, -1, 1, 0},
			{0, 2, -3, 1, 0},
			{0, -1, 0, 1, 0},
			{0, 2, -1, -2, 1},
		},
		WeightMatrix: [][]float64{
			{1. / 2, 0, 0},
			{-1. / 2, -1. / 2, -1. / 2},
			{-1. / 6, 1. / 6, -1. / 6},
			{1. / 6, 1. / 3, 2. / 3},
			{0, 0, 1},
		},
		OutputMatrix: [][]float64{
			{1, 1, 1, 1, 0},
			{0, 1, -1, 2, 0},
			{0, 1, 1, 4, 1},
		},
	}
}

// filter45 multiplies at 0, ±1, ±2, ±½ and ∞.
func filter45() Filter {
	return Filter{
		Outputs: 4, Taps: 5, Points: 8,
		InputMatrix: [][]float64{
			{1, 0, -21. / 4, 0, 21. / 4, 0, -1, 0},
			{0, 1, 1, -17. / 4, -17. / 4, 1, 1, 0},
			{0, -1, 1, 17. / 4, -17. / 4, -1, 1, 0},
			{0, 1. / 2, 1. / 4, -5. / 2, -5. / 4, 2, 1, 0},
			{0, -1. / 2, 1. / 4, 5. / 2, -5. / 4, -2, 1, 0},
			{0, 2, 4, -5. / 2, -5, 1. / 2, 1, 0},
			{0, -2, 4, 5. / 2, -5, -1. / 2, 1, 0},
			{0, -1, 0, 21. / 4, 0, -21. / 4, 0, 1},
		},
		WeightMatrix: [][]float64{
			{1, 0, 0, 0, 0},
			{-2. / 9, -2. / 9, -2. / 9, -2. / 9, -2. / 9},
			{-2. / 9, 2. / 9, -2. / 9, 2. / 9, -2. / 9},
			{1. / 90, 1. / 45, 2. / 45, 4. / 45, 8. / 45},
			{1. / 90, -1. / 45, 2. / 45, -4. / 45, 8. / 45},
			{32. / 45, 16. / 45, 8. / 45, 4. / 45, 2. / 45},
			{32. / 45, -16. / 45, 8. / 45, -4. / 45, 2. / 45},
			{0, 0, 0, 0, 1},
		},
		OutputMatrix: [][]float64{
			{1, 1, 1, 1, 1, 1, 1, 0},
			{0, 1, -1, 2, -2, 1. / 2, -1. / 2, 0},
			{0, 1, 1, 4, 4, 1. / 4, 1. / 4, 0},
			{0, 1, -1, 8, -8, 1. / 8, -1. / 8, 1},
		},
	}
}

// with returns f with the kernels given.
func (f Filter) with(k FilterKernels) Filter {
	f.FilterKernels = k
	return f
}

// generic returns f with kernels in plain Go.
func (f Filter) generic() Filter {
	into := func(matrix [][]float64, advance int) IntoPoints {
		return func(v, x []float32, tiles, cols, xStride, vPoint int) {
			for t := range tiles {
				applyRows(matrix, v[t*cols:], vPoint, x[t*advance*xStride:], xStride, cols)
			}
		}
	}
	from := func(matrix [][]float64) FromPoints {
		return func(y, x []float32, tiles, cols, yStride, xStride, xPoint int) {
			for t := range tiles {
				applyRows(matrix, y[t*len(matrix)*yStride:], yStride, x[t*xStride:], xPoint, cols)
			}
		}
	}
	return f.with(FilterKernels{
		Input:      into(f.InputMatrix, f.Outputs),
		Weight:     into(f.WeightMatrix, f.Taps),
		OutputGrad: into(transposed(f.OutputMatrix), f.Outputs),
		Output:     from(f.OutputMatrix),
		WeightGrad: from(transposed(f.WeightMatrix)),
	})
}

func transposed(a [][]float64) [][]float64 {
	t := make([][]float64, len(a[0]))
	for j := range t {
		for _, row := range a {
			t[j] = append(t[j], row[j])
		}
	}
	return t
}

// applyRows computes dst[i] = Σ_j a[i][j]·src[j], where dst[i] and src[j] are rows of cols values, a stride apart.
func applyRows(a [][]float64, dst []float32, dstStride int, src []float32, srcStride, cols int) {
	for i, factors := range a {
		row := dst[i*dstStride:][:cols]
		clear(row)
		for j, factor := range factors {
			if factor == 0 {
				continue
			}
			for c, x := range src[j*srcStride:][:cols] {
				row[c] += float32(factor) * x
			}
		}
	}
}
