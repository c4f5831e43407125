package simd

import "math"

// Winograd is a minimal filtering algorithm F(Outputs, Taps): that many outputs of a convolution with Taps taps over
// rows take Points = Outputs+Taps−1 multiplications instead of Outputs·Taps (Winograd, "Arithmetic complexity of
// computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016).
//
// With d the Points input values that a tile of outputs y depends on and g the taps, y[j] = Σ g[i]·d[j+i] is
//
//	y = OutputMatrix·((WeightMatrix·g)∘(InputMatrix·d)).
//
// The matrices follow from the points at which two polynomials are multiplied (winogradAt). Where inputs and outputs
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
	// IntoPoints transforms the rows of each tile t, xStride apart, to v[k·vPoint+t·cols:][:cols] for each point k.
	IntoPoints func(v, x []float32, tiles, cols, xStride, vPoint int)
	// FromPoints transforms x[k·xPoint+t·xStride:][:cols] for each point k to the rows of each tile t, yStride apart.
	FromPoints func(y, x []float32, tiles, cols, yStride, xStride, xPoint int)
)

// winogradAt returns the algorithm for so many outputs that multiplies at the points p, of which the first is 0, and ∞,
// with transforms in plain Go. The matrices' rows and columns of p[k], and of ∞, are
//
//	InputMatrix[k]     = coefficients of c(x) = Π_{l≠k} (x − p[l]), of ascending powers, times −1 where c(0) < 0
//	WeightMatrix[k][i] = p[k]^i / c(p[k]), with that sign; for ∞ 1 for the highest power, else 0
//	OutputMatrix[j][k] = p[k]^j; for ∞ 1 for the highest power, else 0
func winogradAt(outputs int, p ...float64) Winograd {
	points := len(p) + 1
	taps := points + 1 - outputs
	input, weight, output := zeros(points, points), zeros(points, taps), zeros(outputs, points)
	for k, c := range input {
		c[0] = 1
		for l, root := range p {
			if l != k {
				for i := points - 1; i > 0; i-- {
					c[i] = c[i-1] - root*c[i]
				}
				c[0] *= -root
			}
		}
		if k == len(p) {
			weight[k][taps-1], output[outputs-1][k] = 1, 1
			break
		}
		sign, value := 1.0, 0.0
		if c[0] < 0 {
			sign = -1
		}
		for i := points - 1; i >= 0; i-- {
			c[i] *= sign
			value = value*p[k] + c[i]
		}
		for i := range taps {
			weight[k][i] = math.Pow(p[k], float64(i)) / value
		}
		for j := range outputs {
			output[j][k] = math.Pow(p[k], float64(j))
		}
	}
	return Winograd{
		Outputs: outputs, Taps: taps, Points: points, InputMatrix: input, WeightMatrix: weight, OutputMatrix: output,
	}.generic()
}

func zeros(rows, cols int) [][]float64 {
	a := make([][]float64, rows)
	for i := range a {
		a[i] = make([]float64, cols)
	}
	return a
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
	t := zeros(len(a[0]), len(a))
	for i, row := range a {
		for j, v := range row {
			t[j][i] = v
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
