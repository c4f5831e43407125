package device_test

import (
	"fmt"
	"testing"

	"github.com/polyphon/polyphon/device"
)

// BenchmarkNarrow measures products of bytes beside those of floats, on the windows of networks' stages.
func BenchmarkNarrow(b *testing.B) {
	shapes := [][2]int{{101, 48}, {51, 64}, {26, 96}, {13, 128}, {8, 32}, {4, 40}, {2, 56}, {1, 72}}
	for _, kernels := range device.Kernels()[1:] {
		d := cpuWith(b, kernels, 1)
		narrow := d.(device.Narrow)
		for _, s := range shapes {
			rows, width, k := s[0], s[1], 9*s[1]
			windows := func(cols int) device.View {
				data := d.Alloc((rows + 8) * cols)
				return device.View{
					Data: data, Groups: 1, Rows: rows, Cols: 9 * cols, GroupStride: data.Len(), RowStride: cols,
				}
			}
			dst, skip := device.Matrix(d.Alloc(rows*width), rows, width), device.Matrix(d.Alloc(rows*width), rows, width)
			vector := d.Alloc(width)
			bytes := device.Matrix(d.Alloc(rows*width/4), rows, width/4)
			var packed, packedBytes, ternary device.Packed
			floats, words := windows(width), windows(width/4)
			d.PackWindows(&packed, d.Alloc(k*width), width, floats)
			narrow.PackNarrow(&packedBytes, make([]int8, k*width), width, false, words)
			narrow.PackNarrow(&ternary, make([]int8, k*width), width, true, words)
			e := device.Epilogue{Shift: vector, Skip: skip, Scale: vector, Offset: vector}
			n := device.NarrowEpilogue{
				Multiply: vector, Shift: vector, Skip: skip, Scale: vector, Offset: vector, Bytes: bytes, BytesScale: 1,
			}
			for _, c := range []struct {
				name string
				run  func()
			}{
				{"float32", func() { d.MatMul(dst, floats, &packed, e) }},
				{"int8", func() { narrow.MatMulNarrow(dst, words, &packedBytes, n) }},
				{"ternary", func() { narrow.MatMulNarrow(dst, words, &ternary, n) }},
			} {
				b.Run(fmt.Sprintf("%s/%dx%d/%s", kernels, rows, width, c.name), func(b *testing.B) {
					for b.Loop() {
						c.run()
					}
					b.ReportMetric(float64(2*rows*k*width)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "Gop/s")
				})
			}
		}
	}
}
