package simd

import "testing"

func BenchmarkPeak(b *testing.B) {
	for _, k := range Sets() {
		if k.Peak == nil {
			continue
		}
		b.Run(k.Name, func(b *testing.B) {
			const steps = 10000
			for range b.N {
				k.Peak(steps)
			}
			flops := 2 * 12 * steps * k.Width * b.N
			b.ReportMetric(float64(flops)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		})
	}
}
