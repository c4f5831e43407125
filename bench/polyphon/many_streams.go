package main

import (
	"runtime"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/inference"
)

// manyStreamsArgs describes many streams that are live at the same time.
type manyStreamsArgs struct {
	soundArgs
	Streams int `json:"streams"`
	Group   int `json:"group"` // streams that are computed together; a divisor of Streams
}

// prepareManyStreams pushes the next step of the sound to each of the streams in turn, over and over. Its fact is the
// memory that a stream takes.
func prepareManyStreams(a manyStreamsArgs) *serve.Case {
	plan, samples := a.open()
	if a.Group < 1 || a.Streams%a.Group != 0 {
		serve.Fail("%d streams in groups of %d", a.Streams, a.Group)
	}
	before := memory()
	groups := make([]*inference.Group, a.Streams/a.Group)
	for i := range groups {
		groups[i] = serve.Must(plan.Group(a.Group, inference.StreamOptions{Step: a.Step}))
	}
	step, at := a.stepSamples(plan), 0
	turn := func() {
		if at+step > len(samples) {
			at = 0
		}
		for _, g := range groups {
			for i := range a.Group {
				g.Push(i, samples[at:at+step])
			}
			for ok := true; ok; { // take the decisions that are due
				_, _, ok, _ = g.Next()
			}
		}
		at += step
	}
	for range 1 + int(2*plan.Model().Window/a.Step) { // until all of a step has something to compute
		turn()
	}
	return &serve.Case{Run: turn, Facts: map[string]float64{"bytes": float64(memory()-before) / float64(a.Streams)}}
}

// memory returns the bytes of the heap that are in use.
func memory() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse
}
