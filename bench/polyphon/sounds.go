package main

import (
	"errors"
	"fmt"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bench/serve"
)

// prepareSounds classifies the sounds in the file that Rows names, each as many samples as the model's window, together: from
// samples to probabilities, in the labels' order.
func prepareSounds(a netArgs) (*serve.Case, error) {
	samples, err := serve.ReadFloats(a.Rows)
	if err != nil {
		return nil, err
	}
	a.Rows = ""
	m, d, err := a.openModel()
	if err != nil {
		return nil, err
	}
	r, err := polyphon.New(m, polyphon.WithDevice(d))
	if err != nil {
		return nil, err
	}
	if len(samples)%a.Batch != 0 {
		return nil, fmt.Errorf("%d samples of %d sounds", len(samples), a.Batch)
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
	run()
	return &serve.Case{Run: run, Result: func() []float32 { return p }}, failed
}
