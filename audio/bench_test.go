package audio

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkEncode writes a minute of mono sound.
func BenchmarkEncode(b *testing.B) {
	c := tone(16000, 60*16000)
	for _, e := range []Encoding{S16LE, F32LE} {
		b.Run(e.String(), func(b *testing.B) {
			var file bytes.Buffer
			for b.Loop() {
				file.Reset()
				if err := WriteWAV(&file, c, e); err != nil {
					b.Fatal(err)
				}
			}
			reportRate(b, float64(file.Len()), "GB/s")
		})
	}
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
			taps := newFilter(r[0]/common, r[1]/common).taps
			reportRate(b, 2*float64(taps*r[1]), "GFLOP/s")
		})
		b.Run(fmt.Sprint(r[0], "-", r[1], "-filter"), func(b *testing.B) {
			size := 0
			for b.Loop() {
				size = len(newFilter(r[0]/common, r[1]/common).table)
			}
			reportRate(b, 4*float64(size), "GB/s")
		})
	}
}

// reportRate reports how many billions of something a second b does, given how many an iteration does.
func reportRate(b *testing.B, each float64, unit string) {
	b.ReportMetric(each*float64(b.N)/float64(b.Elapsed().Nanoseconds()), unit)
}
