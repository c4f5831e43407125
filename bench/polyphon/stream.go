package main

import (
	"math"

	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// soundArgs describes a sound that a model hears on one thread.
type soundArgs struct {
	Model   string  `json:"model"`   // file; empty: the embedded model
	Samples string  `json:"samples"` // file, at the model's rate
	Step    float64 `json:"step"`    // seconds, of a stream
}

func (a soundArgs) open() (m *polynet.Model, d device.Trainer, samples []float32, err error) {
	if m, d, err = (netArgs{Model: a.Model, Threads: 1}).openModel(); err == nil {
		samples, err = serve.ReadFloats(a.Samples)
	}
	return m, d, samples, err
}

// classifier opens all that streams need, and says how many samples a step has.
func (a soundArgs) classifier() (m *polynet.Model, c *polynet.Classifier, samples []float32, step int, err error) {
	m, d, samples, err := a.open()
	if err != nil {
		return nil, nil, nil, 0, err
	}
	c, err = polynet.NewClassifier(m, d)
	return m, c, samples, int(math.Round(a.Step * float64(m.Features.Rate))), err
}

// prepareOnePass runs the model over the whole sound at once: log-mel rows, network, logits.
func prepareOnePass(a soundArgs) (*serve.Case, error) {
	m, d, samples, err := a.open()
	if err != nil {
		return nil, err
	}
	e, err := features.New(m.Features)
	if err != nil {
		return nil, err
	}
	plan, err := m.Compile(d)
	if err != nil {
		return nil, err
	}
	session, scratch := plan.Session(1, m.Features.Frames(len(samples))), e.Scratch()
	var rows, logits []float32
	return &serve.Case{
		Run: func() {
			rows = e.Rows(rows[:0], samples, scratch)
			logits = session.Run(rows, 1)
		},
		Result: func() []float32 { return logits },
	}, nil
}

// prepareStream lets a stream that goes on for ever hear the sound once more, a step at a time. The result is the decisions
// of a stream that hears nothing else.
func prepareStream(a soundArgs) (*serve.Case, error) {
	_, c, samples, step, err := a.classifier()
	if err != nil {
		return nil, err
	}
	endless, err := c.Stream(polynet.StreamOptions{Step: a.Step})
	if err != nil {
		return nil, err
	}
	once, err := c.Stream(polynet.StreamOptions{Step: a.Step})
	if err != nil {
		return nil, err
	}
	return &serve.Case{
		Run: func() { hear(endless, samples, step, func(polynet.Decision) {}) },
		Result: func() []float32 {
			var p []float32
			keep := func(d polynet.Decision) {
				for _, v := range d.P {
					p = append(p, float32(v))
				}
			}
			once.Reset()
			hear(once, samples, step, keep)
			once.Flush()
			decide(once, keep)
			return p
		},
	}, nil
}

// hear pushes samples in steps and tells the decisions.
func hear(s *polynet.Stream, samples []float32, step int, tell func(polynet.Decision)) {
	for len(samples) > 0 {
		n := min(step, len(samples))
		s.Push(samples[:n])
		samples = samples[n:]
		decide(s, tell)
	}
}

// decide tells the decisions that are due. One whose network diverged has no probabilities, which the comparison of results
// shows.
func decide(s *polynet.Stream, tell func(polynet.Decision)) {
	for {
		d, ok, _ := s.Next()
		if !ok {
			return
		}
		tell(d)
	}
}
