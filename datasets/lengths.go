package datasets

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
)

const (
	longClips  = 10 // seconds
	longWindow = 5  // seconds, for such
)

// Lengths says how long the clips of a Set are, in seconds.
type Lengths struct {
	Clips   int     // that could be read
	Usual   float64 // no shorter than 95 % of them
	Longest float64
	Path    string // of the file with the longest
	Longer  int    // clips longer than Window, where there are Outliers
}

// Outliers reports whether a few clips are so much longer than all others, more than twice as long, that a window that
// fits them would consist of silence for the others. No clip is so much longer than recordings of five seconds.
func (l Lengths) Outliers() bool { return min(l.Longest, longClips) > 2*l.Usual }

// Window returns the window that suits the clips, in seconds, rounded up to tenths: the longest clip, so that nothing
// is cut off, or where there are Outliers the usual length. Recordings of ten seconds or more are learnt in windows of
// 5 s.
func (l Lengths) Window() float64 {
	seconds := l.Longest
	if l.Outliers() {
		seconds = l.Usual
	}
	if seconds >= longClips {
		return longWindow
	}
	return tenths(seconds)
}

func tenths(seconds float64) float64 { return math.Ceil(seconds*10-1e-6) / 10 }

// Lengths measures the clips: it is Survey and Survey.Lengths.
func (s *Set) Lengths(ctx context.Context, progress Progress) (l Lengths, err error) {
	survey, err := s.Survey(ctx, progress)
	if err != nil {
		return l, err
	}
	return survey.Lengths(s)
}

// Lengths returns how long the clips of s are. Those of cue points are as long as the cues state, or at most a second
// where they state no length. Clips that cannot be read do not count; if none can, the error wraps ErrNoData.
func (v Survey) Lengths(s *Set) (l Lengths, err error) {
	type length struct {
		seconds float64
		path    string
	}
	var lengths []length
	for _, it := range s.Items {
		if it.Silence || it.Negative {
			continue
		}
		if seconds := v[it.Path].length(it); seconds > 0 {
			lengths = append(lengths, length{seconds, it.Path})
		}
	}
	if l.Clips = len(lengths); l.Clips == 0 {
		return l, fmt.Errorf("%w: no clip in %s could be read", ErrNoData, s.Dir)
	}
	slices.SortStableFunc(lengths, func(a, b length) int { return cmp.Compare(a.seconds, b.seconds) })
	longest := lengths[l.Clips-1]
	l.Usual, l.Longest, l.Path = lengths[95*(l.Clips-1)/100].seconds, longest.seconds, longest.path
	for _, c := range lengths {
		if l.Outliers() && c.seconds > l.Window() {
			l.Longer++
		}
	}
	return l, nil
}
