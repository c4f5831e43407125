package audio

import (
	"fmt"
	"testing"
)

// BenchmarkWriteWAV writes a second of sound.
func BenchmarkWriteWAV(b *testing.B) {
	c, file := tone(16000, 16000), new(memory)
	for b.Loop() {
		*file = memory{b: file.b[:0]}
		if err := WriteWAV(file, c, Tags{}); err != nil {
			b.Fatal(err)
		}
	}
	reportRate(b, float64(len(file.b)), "GB/s")
}

// BenchmarkResample converts a second of sound, and makes the filter alone.
func BenchmarkResample(b *testing.B) {
	for _, r := range [][2]int{{44100, 16000}, {48000, 16000}, {8000, 16000}, {44101, 16000}} {
		c, common := tone(r[0], r[0]), gcd(r[0], r[1])
		b.Run(fmt.Sprint(r[0], "-", r[1]), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resampled(b, c, r[1])
			}
			taps := newKernel(r[0]/common, r[1]/common).taps
			reportRate(b, 2*float64(taps*r[1]), "GFLOP/s")
		})
		b.Run(fmt.Sprint(r[0], "-", r[1], "-filter"), func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = len(newKernel(r[0]/common, r[1]/common).table)
			}
			reportRate(b, 4*float64(size), "GB/s")
		})
	}
}

// reportRate reports how many billions of something a second b does, given how many an iteration does.
func reportRate(b *testing.B, each float64, unit string) {
	b.ReportMetric(each*float64(b.N)/float64(b.Elapsed().Nanoseconds()), unit)
}
