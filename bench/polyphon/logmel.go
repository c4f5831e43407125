package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/features"
)

// prepareLogMel makes the default log-mel rows of the samples in a file.
func prepareLogMel(a struct {
	Samples string `json:"samples"`
}) (*serve.Case, error) {
	e, err := features.New(features.Default())
	if err != nil {
		return nil, err
	}
	samples, err := serve.ReadFloats(a.Samples)
	if err != nil {
		return nil, err
	}
	var rows []float32
	scratch := e.Scratch()
	return &serve.Case{
		Run:    func() { rows = e.Rows(rows[:0], samples, scratch) },
		Result: func() []float32 { return rows },
	}, nil
}
