package main

import (
	"errors"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bench/serve"
)

// prepareSounds classifies the sounds in the file that Rows names, each as many samples as the model's window,
// together: from samples to probabilities, in the labels' order.
func prepareSounds(a netArgs) *serve.Case {
	samples := read(a.Rows)
	m, d := a.open()
	r := serve.Must(polyphon.New(m, polyphon.WithDevice(d)))
	if len(samples)%a.Batch != 0 {
		serve.Fail("%d samples of %d sounds", len(samples), a.Batch)
	}
	length := len(samples) / a.Batch
	clips := make([]audio.Clip, a.Batch)
	for i := range clips {
		clips[i] = audio.Clip{Rate: m.Features.Rate, Samples: samples[i*length:][:length]}
	}
	column := map[string]int{}
	for i, label := range m.Labels {
		column[label] = i
	}
	p := make([]float32, a.Batch*len(m.Labels))
	var failed error
	run := func() {
		for i, result := range r.ClassifyBatch(clips) {
			for _, s := range result.Scores {
				p[i*len(m.Labels)+column[s.Label]] = float32(s.P)
			}
			failed = errors.Join(failed, result.Err)
		}
	}
	if run(); failed != nil {
		serve.Fail("%w", failed)
	}
	return &serve.Case{Run: run, Result: func() []float32 { return p }}
}
