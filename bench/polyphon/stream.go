package main

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/inference"
)

// soundArgs describes a sound that a model classifies on one thread.
type soundArgs struct {
	Model   string  `json:"model"`   // file; empty: the embedded model
	Samples string  `json:"samples"` // file, at the model's rate
	Step    float64 `json:"step"`    // seconds, of a stream
}

func (a soundArgs) open() (plan *inference.Plan, samples []float32) {
	m, d := netArgs{Model: a.Model, Threads: 1}.open()
	return serve.Must(inference.Compile(m, d)), read(a.Samples)
}

// stepSamples returns how many samples a step has.
func (a soundArgs) stepSamples(p *inference.Plan) int {
	return int(math.Round(a.Step * float64(p.Model().Features.Rate)))
}

// prepareOnePass runs the model over the whole sound at once: log-mel rows, network, logits.
func prepareOnePass(a soundArgs) *serve.Case {
	plan, samples := a.open()
	clips := plan.Clips(1, plan.Model().Features.Frames(len(samples)))
	var logits []float32
	return &serve.Case{
		Run:    func() { logits = clips.RunSamples(samples, 1) },
		Result: func() []float32 { return logits },
	}
}

// prepareStream pushes the sound to an endless stream once more, a step at a time. The result is the decisions of a
// stream of nothing else.
func prepareStream(a soundArgs) *serve.Case {
	plan, samples := a.open()
	endless := serve.Must(plan.Group(1, inference.StreamOptions{Step: a.Step}))
	once := serve.Must(plan.Group(1, inference.StreamOptions{Step: a.Step}))
	step := a.stepSamples(plan)
	return &serve.Case{
		Run: func() { push(endless, samples, step, func(inference.Decision) {}) },
		Result: func() []float32 {
			var p []float32
			keep := func(d inference.Decision) {
				for _, v := range d.P {
					p = append(p, float32(v))
				}
			}
			once.Reset(0)
			push(once, samples, step, keep)
			once.Flush(0)
			decide(once, keep)
			return p
		},
	}
}

// push pushes samples in steps and calls use with the decisions.
func push(s *inference.Group, samples []float32, step int, use func(inference.Decision)) {
	for part := range slices.Chunk(samples, step) {
		s.Push(0, part)
		decide(s, use)
	}
}

// decide calls use with the decisions that are due. One whose network diverged has no probabilities, which the
// comparison of results shows.
func decide(s *inference.Group, use func(inference.Decision)) {
	for _, d, ok, _ := s.Next(); ok; _, d, ok, _ = s.Next() {
		use(d)
	}
}
