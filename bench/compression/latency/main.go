// Command latency measures the time of a clip of several models in turns, so that what else a machine does falls on all
// of them alike.
//
//	latency [-rounds 31] [-threads 1] MODEL...
//
// A model's time in a round is the shortest of several runs, which other programs have interrupted the least. It prints
// a JSON list with, for each model, the median of its times in seconds, and of its times by those of the first model in
// the same round the median, the lower and the upper quartile.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/models"
	"gonum.org/v1/gonum/stat"
)

// result is what is printed of a model.
type result struct {
	Model  string  `json:"model"`
	Clip   float64 `json:"clip_seconds"`
	Ratio  float64 `json:"ratio"`
	Lower  float64 `json:"ratio_lower_quartile"`
	Higher float64 `json:"ratio_upper_quartile"`
}

// enough is how long a model runs in a round, and 10 times at least.
const enough = 20 * time.Millisecond

func main() {
	rounds, threads := flag.Int("rounds", 31, "rounds"), flag.Int("threads", 1, "threads")
	flag.Parse()
	results, err := measure(flag.Args(), *rounds, *threads)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(results)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func measure(names []string, rounds, threads int) ([]result, error) {
	dev, err := device.CPU(threads)
	if err != nil {
		return nil, err
	}
	var runs []func()
	for _, name := range names {
		m, err := models.Open(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		plan, err := inference.Compile(m, dev)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		defer plan.Close()
		rng, samples := rand.New(rand.NewPCG(1, 1)), make([]float32, m.WindowSamples())
		for i := range samples {
			samples[i] = float32(rng.NormFloat64()) / 10
		}
		clips := plan.Clips(1, m.Features.Frames(len(samples)))
		defer clips.Close()
		runs = append(runs, func() { clips.RunSamples(samples, 1) })
	}
	times := make([][]float64, len(runs)) // by model and round
	order := make([]int, len(runs))
	for i := range order {
		order[i] = i
	}
	for range rounds {
		for _, i := range order {
			runs[i]() // brings caches back
			least := time.Duration(math.MaxInt64)
			for begun, count := time.Now(), 0; count < 10 || time.Since(begun) < enough; count++ {
				start := time.Now()
				runs[i]()
				least = min(least, time.Since(start))
			}
			times[i] = append(times[i], least.Seconds())
		}
		slices.Reverse(order)
	}
	var results []result
	for i, name := range names {
		var ratios []float64
		for k, t := range times[i] {
			ratios = append(ratios, t/times[0][k])
		}
		slices.Sort(ratios)
		sorted := slices.Sorted(slices.Values(times[i]))
		at := func(values []float64, share float64) float64 {
			return stat.Quantile(share, stat.Empirical, values, nil)
		}
		results = append(results, result{name, at(sorted, 0.5), at(ratios, 0.5), at(ratios, 0.25), at(ratios, 0.75)})
	}
	return results, nil
}
