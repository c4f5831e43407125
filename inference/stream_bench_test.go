package inference

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
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

// BenchmarkStream takes a decision every 80 ms of sound that comes in pieces of 10 ms, as a microphone gives it.
func BenchmarkStream(b *testing.B) {
	for _, ms := range []int{80, 160, 240, 320, 480, 720, 960} {
		b.Run(fmt.Sprintf("step=%dms", ms), func(b *testing.B) { benchStream(b, StreamOptions{Step: float64(ms) / 1000}) })
	}
	b.Run("resting", func(b *testing.B) { benchStream(b, StreamOptions{Gate: -1}) })
}

func benchStream(b *testing.B, o StreamOptions) {
	s, err := benchClassifier(b).Stream(o)
	if err != nil {
		b.Fatal(err)
	}
	samples := noise(seeded(1), 9.6*16000)
	for b.Loop() {
		for piece := range slices.Chunk(samples, 160) {
			listen(b, s, piece)
		}
	}
	perSecond(b, float64(len(samples))/16000)
}

// BenchmarkStreamGroup takes a decision every 80 ms of several sounds that come in steps.
func BenchmarkStreamGroup(b *testing.B) {
	for _, n := range []int{8, 32, 128} {
		for _, ms := range []int{80, 240} {
			b.Run(fmt.Sprintf("sounds=%d/step=%dms", n, ms), func(b *testing.B) {
				g, err := benchClassifier(b).StreamGroup(n, StreamOptions{Step: float64(ms) / 1000})
				if err != nil {
					b.Fatal(err)
				}
				samples := noise(seeded(1), 960*16)
				for b.Loop() {
					for piece := range slices.Chunk(samples, ms*16) {
						for i := range n {
							g.Push(i, piece)
						}
						for ok := true; ok; {
							if _, _, ok, err = g.Next(); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
				perSecond(b, float64(n*len(samples))/16000)
			})
		}
	}
}

// BenchmarkRecording classifies a long recording, a window every 80 ms.
func BenchmarkRecording(b *testing.B) {
	w, err := benchClassifier(b).Worker(Options{Hop: 0.08, Top: 1})
	if err != nil {
		b.Fatal(err)
	}
	clip := audio.Clip{Rate: 16000, Samples: noise(seeded(1), 60*16000)}
	for b.Loop() {
		for _, err := range w.Classify(clip.Source()) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	perSecond(b, 60)
}

// BenchmarkThousandStreams runs a thousand streams on one thread, each of which hears 240 ms in turn.
func BenchmarkThousandStreams(b *testing.B) {
	c, before := benchClassifier(b), inUse()
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
	b.ReportMetric(float64(inUse()-before)/float64(len(streams)), "B/stream")
	runtime.KeepAlive(streams)
}
