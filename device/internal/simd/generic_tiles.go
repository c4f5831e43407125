package simd

// matMulTile takes two rows by one vector of four at a time: eight sums are what amd64's registers hold beside
// the operands.
func matMulTile(c []float32, cStride int, a []float32, starts *[MaxTileRows]int, b []float32, depth, rows, vectors int) {
	const width = 4
	for v := range vectors {
		for r := 0; r < rows; r += 2 {
			// The last row of an odd number is computed twice and stored twice.
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

func outerTile(dw []float32, dwStride int, a []float32, aRowStride, aGroupStride int,
	dy []float32, dyRowStride, dyGroupStride int, groups, rows, tileRows, cols int) {
	for k := range tileRows {
		out := dw[k*dwStride:][:cols]
		for first := 0; first < cols; first += 4 {
			n := min(4, cols-first)
			var sum [4]float32
			for g := range groups {
				for r := range rows {
					x := a[g*aGroupStride+r*aRowStride+k]
					for i, d := range dy[g*dyGroupStride+r*dyRowStride+first:][:n] {
						sum[i] += x * d
					}
				}
			}
			for i := range n {
				out[first+i] += sum[i]
			}
		}
	}
}
