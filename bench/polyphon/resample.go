package main

import (
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/bench/serve"
)

// prepareResample converts the samples in a file from one rate to another.
func prepareResample(a struct {
	Samples string `json:"samples"`
	From    int    `json:"from"` // hertz
	To      int    `json:"to"`
}) *serve.Case {
	clip := audio.Clip{Rate: a.From, Samples: read(a.Samples)}
	resampled := make([]float32, len(clip.Samples)*a.To/a.From)
	return &serve.Case{
		Run: func() {
			source := serve.Must(audio.Resample(clip.Source(), a.To))
			for n, rest := 0, resampled; len(rest) > 0; rest = rest[n:] {
				if n = serve.Must(source.Read(rest)); n == 0 {
					serve.Fail("only %d samples", len(resampled)-len(rest))
				}
			}
		},
		Result: func() []float32 { return resampled },
	}
}
