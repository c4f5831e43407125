package simd

// matMulTile computes two rows by one vector of four at a time: amd64's registers hold eight sums and their operands.
func matMulTile(c []float32, cStride int, a []float32, starts *[MaxTileRows]int, b []float32,
	depth, rows, vectors int) {
	const width = 4
	for v := range vectors {
		for r := 0; r < rows; r += 2 {
			// An odd number's last row is computed and stored twice.
			second := min(r+1, rows-1)
			a0, a1 := a[starts[r]:][:depth], a[starts[second]:][:depth]
			var s00, s01, s02, s03, s10, s11, s12, s13 float32
			at := v * width
			for k, x0 := range a0 {
				x1, p := a1[k], b[at:at+width:at+width]
				s00 += x0 * p[0]
				s01 += x0 * p[1]
				s02 += x0 * p[2]
				s03 += x0 * p[3]
				s10 += x1 * p[0]
				s11 += x1 * p[1]
				s12 += x1 * p[2]
				s13 += x1 * p[3]
				at += vectors * width
			}
			out := c[r*cStride+v*width:][:width]
			out[0], out[1], out[2], out[3] = s00, s01, s02, s03
			out = c[second*cStride+v*width:][:width]
			out[0], out[1], out[2], out[3] = s10, s11, s12, s13
		}
	}
}

// outerTile computes two columns of a by four of dy at a time, and the remaining ones one by one.
func outerTile(dw []float32, dwStride int, a []float32, aRowStride, aGroupStride int,
	dy []float32, dyRowStride, dyGroupStride int, groups, rows, tileRows, cols int) {
	for k := 0; k < tileRows; k += 2 {
		pair := min(2, tileRows-k)
		for c := 0; c < cols; c += 4 {
			var sum [2][4]float32
			for g := range groups {
				x, d := a[g*aGroupStride+k:], dy[g*dyGroupStride+c:]
				if pair == 2 && c+4 <= cols {
					addProducts2x4(&sum, x, aRowStride, d, dyRowStride, rows)
				} else {
					addProducts(&sum, x, aRowStride, d, dyRowStride, rows, pair, min(4, cols-c))
				}
			}
			for i := range pair {
				out := dw[(k+i)*dwStride+c:][:min(4, cols-c)]
				for j := range out {
					out[j] += sum[i][j]
				}
			}
		}
	}
}

func addProducts2x4(sum *[2][4]float32, x []float32, xStride int, d []float32, dStride, rows int) {
	s00, s01, s02, s03 := sum[0][0], sum[0][1], sum[0][2], sum[0][3]
	s10, s11, s12, s13 := sum[1][0], sum[1][1], sum[1][2], sum[1][3]
	for r := range rows {
		u, v := x[r*xStride:][:2], d[r*dStride:][:4]
		s00 += u[0] * v[0]
		s01 += u[0] * v[1]
		s02 += u[0] * v[2]
		s03 += u[0] * v[3]
		s10 += u[1] * v[0]
		s11 += u[1] * v[1]
		s12 += u[1] * v[2]
		s13 += u[1] * v[3]
	}
	*sum = [2][4]float32{{s00, s01, s02, s03}, {s10, s11, s12, s13}}
}

func addProducts(sum *[2][4]float32, x []float32, xStride int, d []float32, dStride, rows, xs, ds int) {
	for r := range rows {
		for i, u := range x[r*xStride:][:xs] {
			for j, v := range d[r*dStride:][:ds] {
				sum[i][j] += u * v
			}
		}
	}
}
