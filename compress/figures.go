package compress

import (
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// Figures are a model's size and cost.
type Figures struct {
	Parameters int     `json:"parameters"`
	MACs       int64   `json:"macs"`           // multiply-adds of a second of sound
	Bytes      int64   `json:"bytes"`          // of its file
	Clip       float64 `json:"clip_seconds"`   // computing a clip of its window, features included
	Second     float64 `json:"second_seconds"` // computing a second of live sound in steps of inference.LiveStep
}

// MACs returns a model's multiply-adds for a second of sound.
func MACs(m *polynet.Model) int64 {
	return m.Net.Program().MACs(m.Features.Frames(m.Features.Rate))
}

// Measure returns a model's figures on a device. Times are medians of several runs.
func Measure(m *polynet.Model, d device.Device) (Figures, error) {
	var size counter
	if err := m.Write(&size); err != nil {
		return Figures{}, err
	}
	f := Figures{Parameters: m.Net.Program().Parameters(), MACs: MACs(m), Bytes: int64(size)}
	plan, err := inference.Compile(m, d)
	if err != nil {
		return f, err
	}
	defer plan.Close()
	rng := rand.New(rand.NewPCG(1, 1))
	samples := make([]float32, max(m.WindowSamples(), m.Features.Rate))
	for i := range samples {
		samples[i] = float32(rng.NormFloat64()) / 10
	}
	clip := samples[:m.WindowSamples()]
	clips := plan.Clips(1, m.Features.Frames(len(clip)))
	defer clips.Close()
	f.Clip = median(func() { clips.RunSamples(clip, 1) })
	f.Second, err = liveSecond(plan, samples[:m.Features.Rate])
	return f, err
}

// liveSecond returns the time for a second of sound that arrives in steps.
func liveSecond(plan *inference.Plan, second []float32) (float64, error) {
	group, err := plan.Group(1, inference.StreamOptions{Step: inference.LiveStep})
	if err != nil {
		return 0, err
	}
	defer group.Close()
	step := max(1, int(inference.LiveStep*float64(len(second))))
	return median(func() {
		for chunk := range slices.Chunk(second, step) {
			group.Push(0, chunk)
			for ok := true; ok && err == nil; {
				_, _, ok, err = group.Next()
			}
		}
	}), err
}

// median returns the median time of several runs, after some that do not count, in seconds.
func median(run func()) float64 {
	const before, runs, enough = 3, 51, 2 * time.Second
	var times []float64
	for i, begun := 0, time.Now(); i < before+runs && (i <= before || time.Since(begun) < enough); i++ {
		start := time.Now()
		run()
		if i >= before {
			times = append(times, time.Since(start).Seconds())
		}
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// counter counts what is written to it.
type counter int64

var _ io.Writer = new(counter)

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
