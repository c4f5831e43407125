package tuning

import (
	"cmp"
	"runtime"
	"slices"

	"github.com/polyphon/polyphon/detect"
	"golang.org/x/sync/errgroup"
)

// Grid returns base with several smoothings and minimum durations, each with thresholds from low to high.
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
	0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99,
	0.995, 0.9975, 0.999,
}

// Sweep returns the scores of the operating points, in their order, computed on all cores.
func Sweep(tracks []*Track, grid []detect.Config) ([]Score, error) {
	scores := make([]Score, len(grid))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range grid {
		g.Go(func() (err error) {
			scores[i], err = Measure(tracks, c)
			return err
		})
	}
	return scores, g.Wait()
}

// Limits are what an operating point may cost. False alarms an hour are those counted, not the upper end of their
// interval: without a single one, it takes over seven hours of sound until that end is below 0.5.
type Limits struct {
	FalseAlarms float64            // an hour, of a Score's own Counts
	Delay       float64            // seconds from a word's end to its event, for 95 % of the detected words
	Folders     map[string]float64 // false alarms an hour in folders of Material.Without
}

// Keeps reports whether a score is within the limits.
func (l Limits) Keeps(s Score) bool {
	return s.FalseAlarmsPerHour() <= l.FalseAlarms && !(s.Delays.Quantile(0.95) > l.Delay) &&
		!slices.ContainsFunc(s.Parts, func(p Part) bool {
			limit, limited := l.Folders[p.Folder]
			return limited && p.Kind == Wordless && p.FalseAlarmsPerHour() > limit
		})
}

// Choose returns the score with the fewest misses among those that keep to the limits, or, where there is none, the
// one with the fewest false alarms. Of equals it takes the one with fewer false alarms, and then the higher threshold.
func Choose(scores []Score, limits Limits) Score {
	return slices.MinFunc(scores, func(a, b Score) int {
		misses, alarms := a.Missed-b.Missed, a.FalseAlarms-b.FalseAlarms
		threshold := cmp.Compare(b.Config.Threshold, a.Config.Threshold)
		switch okA, okB := limits.Keeps(a), limits.Keeps(b); {
		case okA && okB:
			return cmp.Or(misses, alarms, threshold)
		case okA:
			return -1
		case okB:
			return 1
		}
		return cmp.Or(alarms, misses, threshold)
	})
}

// Frontier returns the detection error trade-off: the scores that no other beats in both respects, by false alarms.
func Frontier(scores []Score) []Score {
	sorted := slices.SortedStableFunc(slices.Values(scores), func(a, b Score) int {
		return cmp.Or(a.FalseAlarms-b.FalseAlarms, a.Missed-b.Missed)
	})
	var frontier []Score
	for _, s := range sorted {
		if len(frontier) == 0 || s.Missed < frontier[len(frontier)-1].Missed {
			frontier = append(frontier, s)
		}
	}
	return frontier
}
