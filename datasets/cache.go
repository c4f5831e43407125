package datasets

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/polyphon/polyphon/audio"
)

// cache decodes parts of files and keeps them, as far as memory allows, for the next epoch. Samples are 16 bit, so that
// twice as many fit, and always so: what an epoch shows does not depend on what was kept.
type cache struct {
	rate  int // hertz
	limit int64
	used  atomic.Int64 // bytes
	files map[string]*file
}

// file is a file of which parts are wanted. The first read of any part loads all of them.
type file struct {
	path    string
	first   sync.Once
	parts   map[Span][]int16 // constant after the first read; nil: not kept, decoded again each time
	failure atomic.Pointer[error]
}

// source is a part of a file.
type source struct {
	*file
	part Span
}

func newCache(rate int, limit int64) *cache {
	return &cache{rate: rate, limit: limit, files: map[string]*file{}}
}

// add makes a part of a file readable. All parts are added before the first one is read.
func (c *cache) add(path string, part Span) source {
	f := c.files[path]
	if f == nil {
		f = &file{path: path, parts: map[Span][]int16{}}
		c.files[path] = f
	}
	f.parts[part] = nil
	return source{f, part}
}

// read returns the samples of a part, full scale being 1<<15. They must not be changed. A file that failed once fails
// always.
func (c *cache) read(s source) (samples []int16, err error) {
	s.first.Do(func() {
		s.decode(c.rate, slices.Collect(maps.Keys(s.parts)), func(part Span, decoded []int16) {
			if part == s.part {
				samples = decoded
			}
			if size := 2 * int64(len(decoded)); c.used.Add(size) <= c.limit {
				s.parts[part] = slices.Clone(decoded) // without the room that it grew into
			} else {
				c.used.Add(-size)
			}
		})
	})
	if samples == nil {
		samples = s.parts[s.part]
	}
	if samples == nil {
		s.decode(c.rate, []Span{s.part}, func(_ Span, decoded []int16) { samples = decoded })
	}
	switch failure := s.failure.Load(); {
	case failure != nil:
		return nil, *failure
	case len(samples) == 0:
		return nil, fmt.Errorf("%s: %w at %g seconds", s.path, audio.ErrEmpty, s.part.From)
	}
	return samples, nil
}

// decode calls done with each part, unless the file fails or has failed.
func (f *file) decode(rate int, parts []Span, done func(part Span, samples []int16)) {
	if f.failure.Load() != nil {
		return
	}
	if err := decode(f.path, rate, parts, done); err != nil {
		f.failure.CompareAndSwap(nil, &err)
	}
}

// decode reads parts of a file, mixed down to mono and resampled to rate hertz, and calls done with each one once it is
// complete. Parts that lie beyond the file's end are shorter, or empty but not nil. Errors name the file.
func decode(name string, rate int, parts []Span, done func(part Span, samples []int16)) error {
	samples := make([][]int16, len(parts)) // nil: complete
	for k := range samples {
		samples[k] = []int16{}
	}
	end, open := 0, len(parts)
	err := readBlocks(name, rate, func(block []float32, _ int) bool {
		begin := end
		end += len(block)
		for k, p := range parts {
			from, to := int(p.From*float64(rate)), int(p.To*float64(rate))
			if from >= end || to <= begin {
				continue
			}
			for _, v := range block[max(from-begin, 0) : min(to, end)-begin] {
				q := max(-1<<15, min(math.RoundToEven(float64(v)*(1<<15)), 1<<15-1))
				samples[k] = append(samples[k], int16(q))
			}
			if to <= end {
				done(p, samples[k])
				samples[k] = nil
				open--
			}
		}
		return open > 0
	})
	for k, p := range parts {
		if err == nil && samples[k] != nil {
			done(p, samples[k])
		}
	}
	return err
}

// duration returns the length of a file in seconds, at most limit. It decodes, since headers lie. An empty file is an
// error.
func duration(file string, limit int) (float64, error) {
	samples, hertz := 0, 0
	err := readBlocks(file, 0, func(block []float32, rate int) bool {
		samples, hertz = samples+len(block), rate
		return samples < limit*rate
	})
	if err != nil {
		return 0, err
	}
	return min(float64(samples)/float64(hertz), float64(limit)), nil
}

// readBlocks decodes a file, mixed down to mono and resampled to rate hertz (0: its own rate), and calls use with one
// block after the other and their rate, until the file ends or use returns false. A file without samples is an error.
// Errors name the file.
func readBlocks(name string, rate int, use func(block []float32, rate int) bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var s audio.Source
	d, err := audio.Decode(f)
	if err == nil {
		s, err = audio.Resample(d, cmp.Or(rate, d.Rate()))
	}
	block, total := make([]float32, 1<<13), 0
	for err == nil {
		var n int
		n, err = s.Read(block)
		if total += n; n > 0 && !use(block[:n], s.Rate()) {
			return nil
		}
	}
	switch {
	case err == io.EOF && total > 0:
		return nil
	case err == io.EOF:
		err = audio.ErrEmpty
	}
	return fmt.Errorf("%s: %w", name, err)
}

// window sets dst to the samples from begin on, with zeros where the recording has none.
func window(dst []float32, samples []int16, begin int) {
	end := min(max(begin+len(dst), 0), len(samples))
	first := min(max(begin, 0), end)
	before := min(max(-begin, 0), len(dst))
	clear(dst[:before])
	n := end - first
	for i, v := range samples[first:end] {
		dst[before+i] = float32(v) / (1 << 15)
	}
	clear(dst[before+n:])
}

// cut sets dst to a stretch of noise that begins at the share offset of the possible beginnings. Noise shorter than dst
// is repeated.
func cut(dst []float32, noise []int16, offset float64) {
	begin := int(offset * float64(max(len(noise)-len(dst), 0)+1))
	for len(dst) > 0 && len(noise) > 0 {
		n := min(len(dst), len(noise)-begin)
		window(dst[:n], noise, begin)
		dst, begin = dst[n:], 0
	}
	clear(dst)
}
