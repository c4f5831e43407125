package tuning

import (
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/detect"
)

// Grid returns the operating points that are tried around base: several smoothings and minimum durations, each with
// thresholds from the anxious to the deaf.
func Grid(base detect.Config, window float64) []detect.Config {
	base.Thresholds = nil
	var grid []detect.Config
	for _, smoothing := range []float64{0, 0.1, 0.2, 0.3, 0.45} {
		for _, duration := range []float64{0, 0.1, 0.2} {
			for _, threshold := range thresholds {
				c := base
				c.Smoothing, c.MinDuration, c.Threshold = smoothing*window, duration*window, threshold
				grid = append(grid, c)
			}
		}
	}
	return grid
}

var thresholds = []float64{
	0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995,
}

// Sweep returns the scores of the operating points, in their order, computed on all cores.
func Sweep(tracks []*Track, grid []detect.Config) ([]Score, error) {
	scores, errs := make([]Score, len(grid)), make([]error, len(grid))
	var workers sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range next {
				scores[i], errs[i] = Measure(tracks, grid[i])
			}
		})
	}
	for i := range grid {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return scores, nil
}

// Limits are what an operating point may cost.
type Limits struct {
	FalseAlarms float64 // an hour
	Delay       float64 // seconds from a word's end to its event, for 95 % of the words that are heard
}

// keeps reports whether s keeps to the limits.
func (l Limits) keeps(s Score) bool {
	return s.FalseAlarmsPerHour() <= l.FalseAlarms && !(s.Delay(0.95) > l.Delay)
}

// Choose returns the score with the fewest misses among those that keep to the limits, or, where there is none, the
// one with the fewest false alarms. Of equals it takes the one with fewer false alarms, and then the higher threshold.
func Choose(scores []Score, limits Limits) Score {
	return slices.MinFunc(scores, func(a, b Score) int {
		okA, okB := limits.keeps(a), limits.keeps(b)
		switch {
		case okA != okB:
			return sign(okB, okA)
		case okA && a.Missed != b.Missed:
			return a.Missed - b.Missed
		case a.FalseAlarms != b.FalseAlarms:
			return a.FalseAlarms - b.FalseAlarms
		case a.Missed != b.Missed:
			return a.Missed - b.Missed
		}
		return sign(a.Config.Threshold < b.Config.Threshold, b.Config.Threshold < a.Config.Threshold)
	})
}

// sign returns 1 where after is set, −1 where before is.
func sign(after, before bool) int {
	switch {
	case after:
		return 1
	case before:
		return -1
	}
	return 0
}

// Frontier returns the scores that no other beats in both misses and false alarms, by rising false alarms: the points of the
// detection error trade-off.
func Frontier(scores []Score) []Score {
	sorted := slices.Clone(scores)
	slices.SortStableFunc(sorted, func(a, b Score) int {
		if a.FalseAlarms != b.FalseAlarms {
			return a.FalseAlarms - b.FalseAlarms
		}
		return a.Missed - b.Missed
	})
	var frontier []Score
	for _, s := range sorted {
		if len(frontier) == 0 || s.Missed < frontier[len(frontier)-1].Missed {
			frontier = append(frontier, s)
		}
	}
	return frontier
}
