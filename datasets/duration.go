package datasets

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/audio"
)

// maxWindow is the longest window that LongestClip asks for, in seconds.
const maxWindow = 10

// LongestClip returns the length of the longest clip, in seconds rounded up to tenths, at most 10: the window that
// cuts nothing off. Clips that cannot be read count as nothing; without any other, the error wraps ErrNoData.
func (s *Set) LongestClip() (float64, error) {
	paths := make(chan string)
	var workers sync.WaitGroup
	longest := make([]float64, runtime.GOMAXPROCS(0))
	for i := range longest {
		workers.Go(func() {
			for path := range paths {
				if seconds, err := clipSeconds(path); err == nil {
					longest[i] = max(longest[i], seconds)
				}
			}
		})
	}
	for _, it := range s.Items {
		if !it.silence() {
			paths <- it.Path
		}
	}
	close(paths)
	workers.Wait()
	seconds := slices.Max(longest)
	if seconds == 0 {
		return 0, fmt.Errorf("%w: no clip in %s could be read", ErrNoData, s.Dir)
	}
	return min(math.Ceil(seconds*10-1e-6)/10, maxWindow), nil
}

// clipSeconds returns the length of a clip as its header says it, or as decoding finds it.
func clipSeconds(path string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d, err := audio.Decode(f)
	if err != nil {
		return 0, err
	}
	if n := d.Format().Frames; n >= 0 {
		return float64(n) / float64(d.Rate()), nil
	}
	c, err := audio.ReadAll(d, maxWindow*d.Rate())
	if err != nil {
		return maxWindow, nil
	}
	return c.Duration().Seconds(), nil
}
