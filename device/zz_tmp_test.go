package device

import (
	"fmt"
	"testing"
	"time"
	"github.com/polyphon/polyphon/device/internal/simd"
)

func best(n int, f func()) float64 {
	f()
	b := time.Hour
	for range n {
		t := time.Now()
		f()
		b = min(b, time.Since(t))
	}
	return float64(b.Nanoseconds())
}

func TestZZ(t *testing.T) {
	for _, k := range simd.Sets()[1:] {
		d, _ := CPUWith(k.Name, 1)
		for _, s := range [][5]int{{13, 101, 48, 432, 48}, {13, 51, 64, 576, 64}, {13, 26, 96, 864, 96}, {13, 13, 128, 1152, 128}, {1,101,48,432,48},{1,13,128,1152,128},{1,101,48,360,40}} {
			g, r, n, kk, st := s[0], s[1], s[2], s[3], s[4]
			ext := (r-1)*st + kk
			a := View{Data: d.Alloc(g * ext), Groups: g, Rows: r, Cols: kk, RowStride: st, GroupStride: ext}
			d.Fill(Matrix(a.Data, 1, a.Data.Len()), 0.5)
			dst := View{Data: d.Alloc(g * (r + 8) * n), Groups: g, Rows: r, Cols: n, RowStride: n, GroupStride: (r + 8) * n}
			w := d.Alloc(kk * n)
			d.Fill(Matrix(w, 1, kk*n), 1e-3)
			var p Packed
			d.Pack(&p, w, kk, n)
			v := d.Alloc(n)
			fl := float64(2 * g * r * kk * n)
			var peak, mm, blk, ao float64 = 1e18, 1e18, 1e18, 1e18
			for range 8 {
				peak = min(peak, best(5, func() { k.Peak(20000) })/float64(2*12*20000*k.Width))
				mm = min(mm, best(10, func() { d.MatMul(dst, a, &p, Epilogue{}) })/fl)
				blk = min(blk, best(10, func() { d.MatMul(dst, a, &p, Epilogue{Skip: dst, Shift: v, Scale: v, Offset: v}) })/fl)
				ao = min(ao, best(10, func() { d.AddOuter(w, a, dst) })/fl)
			}
			fmt.Printf("%s %v peak %.1f  matmul %.1f (%.0f%%) block %.1f (%.0f%%) outer %.1f (%.0f%%)\n", k.Name, s, 1/peak, 1/mm, 100*peak/mm, 1/blk, 100*peak/blk, 1/ao, 100*peak/ao)
		}
	}
}
