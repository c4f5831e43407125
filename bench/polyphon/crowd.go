package main

import (
	"fmt"
	"runtime"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/polynet"
)

// crowdArgs describes many streams that are live at the same time.
type crowdArgs struct {
	soundArgs
	Streams int `json:"streams"`
	Group   int `json:"group"` // streams that are computed together; a divisor of Streams
}

// prepareCrowd has each of the streams hear the next step of the sound in turn, over and over. Its fact is the memory that a stream takes.
func prepareCrowd(a crowdArgs) (*serve.Case, error) {
	m, c, samples, step, err := a.classifier()
	if err != nil {
		return nil, err
	}
	if a.Group < 1 || a.Streams%a.Group != 0 {
		return nil, fmt.Errorf("%d streams in groups of %d", a.Streams, a.Group)
	}
	before := memory()
	groups := make([]*polynet.StreamGroup, a.Streams/a.Group)
	for i := range groups {
		if groups[i], err = c.StreamGroup(a.Group, polynet.StreamOptions{Step: a.Step}); err != nil {
			return nil, err
		}
	}
	at := 0
	turn := func() {
		if at+step > len(samples) {
			at = 0
		}
		for _, g := range groups {
			hearTogether(g, samples[at:at+step])
		}
		at += step
	}
	for range 1 + int(2*m.Window/a.Step) { // until all of a step has something to compute
		turn()
	}
	return &serve.Case{Run: turn, Facts: map[string]float64{"bytes": float64(memory()-before) / float64(a.Streams)}}, nil
}

// hearTogether gives all sounds of a group the samples, and takes the decisions that are due.
func hearTogether(g *polynet.StreamGroup, samples []float32) {
	for i := range g.Len() {
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
