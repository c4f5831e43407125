package datasets

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"

	"github.com/polyphon/polyphon/audio"
)

// maxLongest bounds what LongestClip returns, in seconds.
const maxLongest = 10

// LongestClip returns the length of the longest clip in seconds, rounded up to tenths and at most 10: the window that
// cuts nothing off. It decodes every clip. Those that cannot be read do not count; if none can, the error wraps
// ErrNoData.
func (s *Set) LongestClip() (float64, error) {
	paths := make(chan string)
	longest := make([]float64, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for i := range longest {
		workers.Go(func() {
			for path := range paths {
				if seconds, err := duration(path, maxLongest); err == nil {
					longest[i] = max(longest[i], seconds)
				}
			}
		})
	}
	for _, it := range s.Items {
		if !it.Silence {
			paths <- it.Path
		}
	}
	close(paths)
	workers.Wait()
	seconds := 0.0
	for _, v := range longest {
		seconds = max(seconds, v)
	}
	if seconds == 0 {
		return 0, fmt.Errorf("%w: no clip in %s could be read", ErrNoData, s.Dir)
	}
	return math.Ceil(seconds*10-1e-6) / 10, nil
}

// duration returns the length of a file in seconds, at most limit. It decodes, since headers lie. An empty file is an
// error.
func duration(file string, limit int) (float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d, err := audio.Decode(f)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", file, err)
	}
	buffer := make([]float32, 1<<13)
	samples := 0
	for samples < limit*d.Rate() {
		n, err := d.Read(buffer)
		samples += n
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
	}
	if samples == 0 {
		return 0, fmt.Errorf("%s: %w", file, audio.ErrEmpty)
	}
	return min(float64(samples)/float64(d.Rate()), float64(limit)), nil
}
