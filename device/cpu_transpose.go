package device

func (d *cpu) Transpose(dst, src View, reverse bool) {
	const edge = 16                  // of the squares that are transposed one by one
	bands := CeilDiv(src.Rows, edge) // of edge rows, in a group
	onHost(dst, src)
	parallelFor(d, src.Groups*bands, src.Count()*src.Cols, pieces(func(first, last int) {
		for i := first; i < last; i++ {
			g, r := i/bands, i%bands*edge
			rows, dstGroup := min(edge, src.Rows-r), g
			if reverse {
				dstGroup = src.Groups - 1 - g
			}
			for c := 0; c < src.Cols; c += edge {
				cols := min(edge, src.Cols-c)
				in, out := src.from(g, r, c, rows, cols), dst.from(dstGroup, c, r, cols, rows)
				for j := range cols {
					for k, to := 0, out[j*dst.RowStride:][:rows]; k < rows; k++ {
						to[k] = in[k*src.RowStride+j]
					}
				}
			}
		}
	}))
}
