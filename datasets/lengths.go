package datasets

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

// Lengths says how long the clips of a Set are, in seconds, of which at most 10 are measured.
type Lengths struct {
	Clips   int     // that could be read
	Usual   float64 // no shorter than 95 % of them
	Longest float64
	Path    string // of the file with the longest
	Longer  int    // clips longer than Window
}

// Outliers reports whether a few clips are so much longer than all others, more than twice as long, that a window that
// fits them would consist of silence for the others.
func (l Lengths) Outliers() bool { return l.Longest > 2*l.Usual }

// Window returns the window that suits the clips, in seconds, rounded up to tenths: the longest clip, so that nothing
// is cut off, or where there are Outliers the usual length.
func (l Lengths) Window() float64 {
	if l.Outliers() {
		return tenths(l.Usual)
	}
	return tenths(l.Longest)
}

func tenths(seconds float64) float64 { return math.Ceil(seconds*10-1e-6) / 10 }

// Lengths measures the clips. Every clip is decoded but those of cue points: their lengths are what the cues state, or
// at most a second where they state none. Clips that cannot be read do not count; if none can, the error wraps
// ErrNoData.
func (s *Set) Lengths(ctx context.Context, progress Progress) (l Lengths, err error) {
	const limit, pointSeconds = 10, 1
	type length struct {
		seconds float64
		path    string
	}
	lengths := make([]length, len(s.Items))
	err = forEach(ctx, len(s.Items), progress, func(i int) error {
		it, seconds := s.Items[i], 0.0
		switch {
		case it.Silence || it.Negative:
		case it.Part == Span{}:
			seconds, _ = duration(it.Path, limit)
		default:
			part := it.Span(pointSeconds)
			seconds = min(part.To-part.From, limit)
		}
		lengths[i] = length{seconds, it.Path}
		return nil
	})
	if err != nil {
		return l, err
	}
	lengths = slices.DeleteFunc(lengths, func(l length) bool { return l.seconds == 0 })
	if l.Clips = len(lengths); l.Clips == 0 {
		return l, fmt.Errorf("%w: no clip in %s could be read", ErrNoData, s.Dir)
	}
	slices.SortStableFunc(lengths, func(a, b length) int { return cmp.Compare(a.seconds, b.seconds) })
	longest := lengths[l.Clips-1]
	l.Usual, l.Longest, l.Path = lengths[95*(l.Clips-1)/100].seconds, longest.seconds, longest.path
	for _, c := range lengths {
		if c.seconds > l.Window() {
			l.Longer++
		}
	}
	return l, nil
}
