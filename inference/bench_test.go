package inference

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// benchPlan returns a plan of a `pi` network of 388 k parameters on one thread.
func benchPlan(b *testing.B) *Plan {
	m := nettest.RandomModel(polynet.Config{
		Inputs: 40, Classes: 12, Block: polynet.Pi, Stem: polynet.Stem{Width: 32, Kernel: 5, Ahead: 2, Stride: 1},
		Stages: []polynet.Stage{
			{Width: 32, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 1}, {Width: 40, Blocks: 2, Kernel: 9, Ahead: 4, Stride: 2},
			{Width: 56, Blocks: 2, Kernel: 9, Stride: 2}, {Width: 72, Blocks: 2, Kernel: 9, Stride: 2},
		},
	}, nettest.Rand(1))
	m.Features, m.Window = features.Default(), 1
	tame(m)
	return newPlan(b, m, oneThread(b))
}

// perSecond reports the time that a second of sound takes, when an iteration takes so many.
func perSecond(b *testing.B, seconds float64) {
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/seconds, "µs/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOnePass runs over a whole recording at once.
func BenchmarkOnePass(b *testing.B) {
	for _, seconds := range []int{1, 10, 60} {
		b.Run(fmt.Sprintf("%ds", seconds), func(b *testing.B) {
			p := benchPlan(b)
			samples := noise(nettest.Rand(1), seconds*16000)
			c := p.Clips(1, p.model.Features.Frames(len(samples)))
			for b.Loop() {
				c.RunSamples(samples, 1)
			}
			perSecond(b, float64(seconds))
		})
	}
}

// BenchmarkFeatures computes the rows of features of a recording.
func BenchmarkFeatures(b *testing.B) {
	p := benchPlan(b)
	samples := noise(nettest.Rand(1), 160000)
	var rows []float32
	scratch := p.extractor.Scratch()
	for b.Loop() {
		rows = p.extractor.Rows(rows[:0], samples, scratch)
	}
	perSecond(b, 10)
}

// BenchmarkWindows runs over the last second of sound as a clip every 80 ms.
func BenchmarkWindows(b *testing.B) {
	p := benchPlan(b)
	samples := noise(nettest.Rand(1), 16000)
	c := p.Clips(1, p.model.Features.Frames(len(samples)))
	for b.Loop() {
		c.RunSamples(samples, 1)
	}
	perSecond(b, 0.08)
}

// BenchmarkStream takes a decision every 80 ms of sound that comes in pieces of 10 ms, as a microphone gives it.
func BenchmarkStream(b *testing.B) {
	for _, ms := range []int{80, 160, 240, 320, 480, 720, 960} {
		b.Run(fmt.Sprintf("step=%dms", ms), func(b *testing.B) { benchStream(b, StreamOptions{Step: float64(ms) / 1000}) })
	}
	b.Run("gated", func(b *testing.B) { benchStream(b, StreamOptions{Gate: -1}) })
}

func benchStream(b *testing.B, o StreamOptions) {
	s := newStream(b, benchPlan(b), o)
	samples := noise(nettest.Rand(1), 9.6*16000)
	for b.Loop() {
		for piece := range slices.Chunk(samples, 160) {
			pushAndTake(b, s, piece)
		}
	}
	perSecond(b, float64(len(samples))/16000)
}

// BenchmarkGroup takes a decision every 80 ms of several streams that come in steps.
func BenchmarkGroup(b *testing.B) {
	for _, n := range []int{8, 32, 128} {
		for _, ms := range []int{80, 240} {
			b.Run(fmt.Sprintf("streams=%d/step=%dms", n, ms), func(b *testing.B) {
				g, err := benchPlan(b).Group(n, StreamOptions{Step: float64(ms) / 1000})
				if err != nil {
					b.Fatal(err)
				}
				samples := noise(nettest.Rand(1), 960*16)
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
	s := newStream(b, benchPlan(b), StreamOptions{Hop: 0.08, WholeWindows: true})
	samples := noise(nettest.Rand(1), 60*16000)
	for b.Loop() {
		s.Reset()
		for piece := range slices.Chunk(samples, 1<<15) {
			pushAndTake(b, s, piece)
		}
	}
	perSecond(b, 60)
}

// BenchmarkThousandStreams runs a thousand streams on one thread, 240 ms of each in turn.
func BenchmarkThousandStreams(b *testing.B) {
	p, before := benchPlan(b), inUse()
	streams := make([]stream, 1000)
	for i := range streams {
		streams[i] = newStream(b, p, StreamOptions{})
	}
	samples := noise(nettest.Rand(1), 0.24*16000)
	for b.Loop() {
		for _, s := range streams {
			pushAndTake(b, s, samples)
		}
	}
	perSecond(b, 0.24*float64(len(streams)))
	b.ReportMetric(float64(inUse()-before)/float64(len(streams)), "B/stream")
	runtime.KeepAlive(streams)
}
