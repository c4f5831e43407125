package polynet

import (
	"fmt"
	"testing"

	"github.com/polyphon/polyphon/features"
)

// benchClassifier returns a classifier with the `pi` net of 388 k parameters on one thread.
func benchClassifier(b *testing.B) *Classifier {
	m := randomModel(Config{
		Inputs: 40, Classes: 12, Block: Pi, Stem: Stem{Width: 32, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []Stage{
			{Width: 32, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 1}, {Width: 40, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 2},
			{Width: 56, Blocks: 2, Kernel: 9, Stride: 2}, {Width: 72, Blocks: 2, Kernel: 9, Stride: 2},
		},
	}, seeded(1))
	m.Features, m.Window = features.Default(), 1
	m.tame()
	c, err := NewClassifier(m, oneThread(b))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// perSecond reports the time that a second of sound takes, when an iteration takes so many.
func perSecond(b *testing.B, seconds float64) {
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/seconds, "µs/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOnePass runs a session over all of a recording.
func BenchmarkOnePass(b *testing.B) {
	for _, seconds := range []int{1, 10, 60} {
		b.Run(fmt.Sprintf("%ds", seconds), func(b *testing.B) {
			c := benchClassifier(b)
			samples := noise(seeded(1), seconds*16000)
			session, scratch := c.plan.Session(1, c.model.Features.Frames(len(samples))), c.extractor.Scratch()
			var rows []float32
			for b.Loop() {
				rows = c.extractor.Rows(rows[:0], samples, scratch)
				session.Run(rows, 1)
			}
			perSecond(b, float64(seconds))
		})
	}
}

// BenchmarkFeatures makes the rows of a recording.
func BenchmarkFeatures(b *testing.B) {
	c := benchClassifier(b)
	samples := noise(seeded(1), 160000)
	var rows []float32
	scratch := c.extractor.Scratch()
	for b.Loop() {
		rows = c.extractor.Rows(rows[:0], samples, scratch)
	}
	perSecond(b, 10)
}

// BenchmarkWindows runs a session over the last second every 80 ms.
func BenchmarkWindows(b *testing.B) {
	c := benchClassifier(b)
	samples := noise(seeded(1), 16000)
	session, scratch := c.plan.Session(1, c.model.Features.Frames(len(samples))), c.extractor.Scratch()
	var rows []float32
	for b.Loop() {
		rows = c.extractor.Rows(rows[:0], samples, scratch)
		session.Run(rows, 1)
	}
	perSecond(b, 0.08)
}

// listenTo pushes samples in pieces and takes all decisions.
func listenTo(b *testing.B, s *Stream, samples []float32, chunk int) {
	for len(samples) > 0 {
		n := min(chunk, len(samples))
		listen(b, s, samples[:n])
		samples = samples[n:]
	}
}

// BenchmarkStream takes a decision every 80 ms of sound that comes as it is heard, or in long pieces.
func BenchmarkStream(b *testing.B) {
	samples := noise(seeded(1), 9.6*16000)
	bench := func(name string, o StreamOptions, chunk int) {
		b.Run(name, func(b *testing.B) {
			s, err := benchClassifier(b).Stream(o)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				listenTo(b, s, samples, chunk)
			}
			perSecond(b, float64(len(samples))/16000)
		})
	}
	for _, ms := range []int{80, 160, 240, 320, 480, 720, 960} {
		bench(fmt.Sprintf("step=%dms", ms), StreamOptions{Step: float64(ms) / 1000}, 160)
	}
	bench("file", StreamOptions{}, len(samples))
	bench("resting", StreamOptions{Gate: -1}, 160)
}

// BenchmarkThousandStreams runs a thousand streams on one thread, each of which hears 240 ms in turn.
func BenchmarkThousandStreams(b *testing.B) {
	c := benchClassifier(b)
	streams := make([]*Stream, 1000)
	for i := range streams {
		var err error
		if streams[i], err = c.Stream(StreamOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	samples := noise(seeded(1), 0.24*16000)
	for b.Loop() {
		for _, s := range streams {
			listen(b, s, samples)
		}
	}
	perSecond(b, 0.24*float64(len(streams)))
}
