package main

import (
	"fmt"
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

// prepareManyStreams pushes the next step of the sound to each of the streams in turn, over and over. Its fact is the memory
// that a stream takes.
func prepareManyStreams(a manyStreamsArgs) (*serve.Case, error) {
	plan, samples, err := a.open()
	if err != nil {
		return nil, err
	}
	if a.Group < 1 || a.Streams%a.Group != 0 {
		return nil, fmt.Errorf("%d streams in groups of %d", a.Streams, a.Group)
	}
	before := memory()
	groups := make([]*inference.Group, a.Streams/a.Group)
	for i := range groups {
		if groups[i], err = plan.Group(a.Group, inference.StreamOptions{Step: a.Step}); err != nil {
			return nil, err
		}
	}
	step, at := a.stepSamples(plan), 0
	turn := func() {
		if at+step > len(samples) {
			at = 0
		}
		for _, g := range groups {
			pushTogether(g, a.Group, samples[at:at+step])
		}
		at += step
	}
	for range 1 + int(2*plan.Model().Window/a.Step) { // until all of a step has something to compute
		turn()
	}
	return &serve.Case{Run: turn, Facts: map[string]float64{"bytes": float64(memory()-before) / float64(a.Streams)}}, nil
}

// pushTogether pushes the samples to all streams of a group, and takes the decisions that are due.
func pushTogether(g *inference.Group, streams int, samples []float32) {
	for i := range streams {
		g.Push(i, samples)
	}
	for ok := true; ok; {
		_, _, ok, _ = g.Next()
	}
}

// memory returns the bytes of the heap that are in use.
func memory() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse
}
