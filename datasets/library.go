package datasets

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"github.com/polyphon/polyphon/audio"
)

// library decodes recordings and keeps them, as far as memory allows, for the next epoch. Samples are 16 bit, so that
// twice as many fit, and always so: what an epoch sees does not depend on what was kept.
type library struct {
	rate  int // hertz
	limit int64
	kept  atomic.Int64 // bytes
	files []file
	index map[string]int
}

// file is one recording; samples and failure are set once it was read.
type file struct {
	path    string
	samples atomic.Pointer[[]int16]
	failure atomic.Pointer[error]
}

// newLibrary returns a library of the given files, of which some may be the same.
func newLibrary(rate int, limit int64, paths []string) *library {
	l := &library{rate: rate, limit: limit, index: map[string]int{}}
	for _, p := range paths {
		if _, known := l.index[p]; !known {
			l.index[p] = len(l.index)
		}
	}
	l.files = make([]file, len(l.index))
	for p, i := range l.index {
		l.files[i].path = p
	}
	return l
}

// read returns a recording's samples, full scale being 1<<15. They must not be changed.
func (l *library) read(i int) ([]int16, error) {
	f := &l.files[i]
	if samples := f.samples.Load(); samples != nil {
		return *samples, nil
	}
	if failure := f.failure.Load(); failure != nil {
		return nil, *failure
	}
	samples, err := decode(f.path, l.rate)
	if err != nil {
		f.failure.CompareAndSwap(nil, &err)
		return nil, *f.failure.Load()
	}
	size := 2 * int64(len(samples))
	if l.kept.Add(size) > l.limit || !f.samples.CompareAndSwap(nil, &samples) {
		l.kept.Add(-size)
	}
	return samples, nil
}

// decode reads a file, mixed down to mono and resampled to rate hertz. Errors name the file.
func decode(name string, rate int) ([]int16, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var clip audio.Clip
	d, err := audio.Decode(f)
	if err == nil {
		var source audio.Source
		if source, err = audio.Resample(d, rate); err == nil {
			clip, err = audio.ReadAll(source, maxSeconds*rate)
		}
	}
	if err != nil && !errors.Is(err, audio.ErrTooLong) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(clip.Samples) == 0 {
		return nil, fmt.Errorf("%s: %w", name, audio.ErrEmpty)
	}
	samples := make([]int16, len(clip.Samples))
	for i, v := range clip.Samples {
		samples[i] = int16(max(-1<<15, min(math.RoundToEven(float64(v)*(1<<15)), 1<<15-1)))
	}
	return samples, nil
}

// of returns the part of a recording. Where lengths are off by a rounding, it ends early.
func (p Span) of(samples []int16, rate int) []int16 {
	from, to := int(p.From*float64(rate)), int(p.To*float64(rate))
	return samples[min(from, len(samples)):min(to, len(samples))]
}

// window sets dst to the samples from begin on, with zeros where the recording has none.
func window(dst []float32, samples []int16, begin int) {
	end := min(max(begin+len(dst), 0), len(samples))
	first := min(max(begin, 0), end)
	lead := min(max(-begin, 0), len(dst))
	clear(dst[:lead])
	n := end - first
	for i, v := range samples[first:end] {
		dst[lead+i] = float32(v) / (1 << 15)
	}
	clear(dst[lead+n:])
}

// cut sets dst to a stretch of noise that begins at the share offset of the places there are. Noise shorter than dst is
// repeated.
func cut(dst []float32, noise []int16, offset float64) {
	begin := int(offset * float64(max(len(noise)-len(dst), 0)+1))
	for len(dst) > 0 && len(noise) > 0 {
		n := min(len(dst), len(noise)-begin)
		window(dst[:n], noise, begin)
		dst, begin = dst[n:], 0
	}
	clear(dst)
}
