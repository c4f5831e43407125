package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// soundArgs describes a sound that a model hears at once.
type soundArgs struct {
	Model   string  `json:"model"`
	Seconds float64 `json:"seconds"`
}

// preparePass makes the features of all of a sound and runs the network over them.
func preparePass(a soundArgs) (*serve.Case, error) {
	m, d, err := netArgs{Model: a.Model, Threads: 1}.openModel()
	if err != nil {
		return nil, err
	}
	plan, err := m.Compile(d)
	if err != nil {
		return nil, err
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return nil, err
	}
	samples := whiteNoise(a.Seconds, m.Features.Rate)
	session, scratch := plan.Session(1, m.Features.Frames(len(samples))), extractor.Scratch()
	var rows []float32
	return &serve.Case{Run: func() {
		rows = extractor.Rows(rows[:0], samples, scratch)
		session.Run(rows, 1)
	}}, nil
}

// streamArgs describes streams that hear sound at the same time, a decision every row of the last stage.
type streamArgs struct {
	Model   string  `json:"model"`
	Streams int     `json:"streams"`
	Step    float64 `json:"step"`    // seconds that are computed at once
	Piece   float64 `json:"piece"`   // seconds that are pushed at once, to one stream after the other
	Seconds float64 `json:"seconds"` // of sound that each hears in a call
}

// prepareStream has streams hear what comes next; its fact is the memory that each of them takes.
func prepareStream(a streamArgs) (*serve.Case, error) {
	m, err := models.Open(a.Model)
	if err != nil {
		return nil, err
	}
	d, err := device.CPU(1)
	if err != nil {
		return nil, err
	}
	c, err := polynet.NewClassifier(m, d)
	if err != nil {
		return nil, err
	}
	before := memory()
	streams := make([]*polynet.Stream, a.Streams)
	for i := range streams {
		if streams[i], err = c.Stream(polynet.StreamOptions{Step: a.Step}); err != nil {
			return nil, err
		}
	}
	piece := whiteNoise(a.Piece, m.Features.Rate)
	run := func() {
		for range int(a.Seconds/a.Piece + 0.5) {
			for _, s := range streams {
				s.Push(piece)
				if err := drain(s); err != nil {
					panic(err)
				}
			}
		}
	}
	run()
	run() // steps are under way in all of them
	return &serve.Case{Run: run, Facts: map[string]float64{"bytes": float64(memory()-before) / float64(a.Streams)}}, nil
}

// drain takes the decisions that are due. Random weights may diverge.
func drain(s *polynet.Stream) error {
	for {
		_, ok, err := s.Next()
		if err != nil && !errors.Is(err, polynet.ErrDiverged) {
			return fmt.Errorf("a stream: %w", err)
		}
		if !ok {
			return nil
		}
	}
}

// memory returns the bytes of the heap that are in use.
func memory() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapInuse
}

func whiteNoise(seconds float64, rate int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 2))
	samples := make([]float32, int(seconds*float64(rate)+0.5))
	for i := range samples {
		samples[i] = float32(0.1 * rng.NormFloat64())
	}
	return samples
}
