package main

import (
	"fmt"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bench/serve"
	"github.com/polyphon/polyphon/polynet"
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
	c, err := polynet.NewClassifier(m, d)
	if err != nil {
		return nil, err
	}
	w, err := c.Worker(polynet.Options{Batch: a.Batch})
	if err != nil {
		return nil, err
	}
	if len(samples)%a.Batch != 0 {
		return nil, fmt.Errorf("%d samples of %d sounds", len(samples), a.Batch)
	}
	column := map[string]int{}
	for i, label := range m.Labels {
		column[label] = i
	}
	p := make([]float32, a.Batch*len(m.Labels))
	var failed error
	run := func() {
		length := len(samples) / a.Batch
		for i := range a.Batch {
			row := p[i*len(m.Labels):][:len(m.Labels)]
			w.Push(audio.Clip{Rate: m.Features.Rate, Samples: samples[i*length:][:length]}.Source(),
				func(window polynet.Window) bool {
					for _, s := range window.Scores {
						row[column[s.Label]] = float32(s.P)
					}
					return true
				}, func(err error) { failed = err })
		}
		w.Flush()
	}
	run()
	return &serve.Case{Run: run, Result: func() []float32 { return p }}, failed
}
