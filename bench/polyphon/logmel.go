package main

import (
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/features"
)

// prepareLogMel makes the default log-mel rows of the samples in a file.
func prepareLogMel(a struct {
	Samples string `json:"samples"`
}) *serve.Case {
	e := serve.Must(features.New(features.Default()))
	samples := read(a.Samples)
	var rows []float32
	scratch := e.Scratch()
	return &serve.Case{
		Run:    func() { rows = e.Rows(rows[:0], samples, scratch) },
		Result: func() []float32 { return rows },
	}
}
