package simd

// Winograd is a minimal filtering algorithm F(Outputs, Taps) for convolutions over rows: Outputs neighbouring outputs
// of a convolution with Taps taps take Points = Outputs+Taps−1 multiplications instead of Outputs·Taps (Winograd,
// "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks",
// 2016).
//
// With d the Points input values that a tile of outputs y depends on and g the taps, y[j] = Σ g[i]·d[j+i] is
//
//	y = OutputMatrix·((WeightMatrix·g)∘(InputMatrix·d)).
//
// The matrices follow from the points 0, ±1, ... at which the two polynomials are multiplied. Where inputs and outputs
// have channels, the elementwise product becomes one matrix product for each point.
//
// The functions apply the matrices to tiles: runs of rows, of which each column is transformed by itself.
type Winograd struct {
	Outputs, Taps, Points int
	InputMatrix           [][]float64 // (Points, Points)
	WeightMatrix          [][]float64 // (Points, Taps)
	OutputMatrix          [][]float64 // (Outputs, Points)

	// Input applies InputMatrix; tile t is the Points rows from x[t·Outputs·xStride] on.
	Input IntoPoints
	// Weight applies WeightMatrix; tile t is the Taps rows from x[t·Taps·xStride] on.
	Weight IntoPoints
	// OutputGrad applies OutputMatrix transposed; tile t is the Outputs rows from x[t·Outputs·xStride] on.
	OutputGrad IntoPoints
	// Output applies OutputMatrix; tile t is the Outputs rows from y[t·Outputs·yStride] on.
	Output FromPoints
	// WeightGrad applies WeightMatrix transposed; tile t is the Taps rows from y[t·Taps·yStride] on.
	WeightGrad FromPoints
}

type (
	// IntoPoints transforms the rows of each tile, xStride apart, into one row of cols values a point: that of tile t and
	// point k is written to v[k·vPoint + t·cols].
	IntoPoints func(v, x []float32, tiles, cols, xStride, vPoint int)
	// FromPoints transforms one row a point, that of tile t and point k being at x[k·xPoint + t·xStride], into the rows of
	// each tile, yStride apart.
	FromPoints func(y, x []float32, tiles, cols, yStride, xStride, xPoint int)
)

// winogradF23 multiplies at 0, 1, −1 and ∞.
func winogradF23() Winograd {
	return Winograd{
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
	}.generic()
}

// winogradF33 multiplies at 0, 1, −1, 2 and ∞.
func winogradF33() Winograd {
	return Winograd{
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
	}.generic()
}

// winogradF45 multiplies at 0, ±1, ±2, ±½ and ∞.
func winogradF45() Winograd {
	return Winograd{
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
	}.generic()
}

// generic returns w with transforms in plain Go.
func (w Winograd) generic() Winograd {
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
	w.Input, w.Weight = into(w.InputMatrix, w.Outputs), into(w.WeightMatrix, w.Taps)
	w.OutputGrad = into(transposed(w.OutputMatrix), w.Outputs)
	w.Output, w.WeightGrad = from(w.OutputMatrix), from(transposed(w.WeightMatrix))
	return w
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
