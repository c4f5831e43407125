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

// cache decodes parts of files and keeps them, as far as memory allows, for the next epoch. Samples are 16 bit, kept or
// not: twice as many fit, and what an epoch shows does not depend on what was kept.
type cache struct {
	rate  int          // hertz
	limit int64        // bytes
	used  atomic.Int64 // bytes
	files map[string]*file

	mutex    sync.Mutex // guards warnings
	warnings Warnings
}

// file is a file of which parts are wanted. The first read of any part loads all of them.
type file struct {
	path   string
	memory *audio.Clip // nil: the sound is in the file
	first  sync.Once
	parts  map[Span][]int16 // constant after the first read; nil: not kept, decoded again each time
	err    error            // of the first read
}

// source is a part of a file.
type source struct {
	*file
	part Span
}

// add makes a part of a file, or of a clip in memory, readable. All parts are added before the first one is read.
func (c *cache) add(path string, memory *audio.Clip, part Span) source {
	f := c.files[path]
	if f == nil {
		f = &file{path: path, memory: memory, parts: map[Span][]int16{}}
		c.files[path] = f
	}
	f.parts[part] = nil
	return source{f, part}
}

// read returns a part, full scale being 1<<15, not to be changed. A file whose first read failed fails always.
func (c *cache) read(s source) (samples []int16, err error) {
	s.first.Do(func() {
		keep := func(part Span, decoded []int16) {
			if part == s.part {
				samples = decoded
			}
			if size := 2 * int64(len(decoded)); c.used.Add(size) <= c.limit {
				s.parts[part] = slices.Clone(decoded) // without the room that it grew into
			} else {
				c.used.Add(-size)
			}
		}
		var warning string
		if warning, s.err = decode(s.path, s.memory, c.rate, slices.Collect(maps.Keys(s.parts)), keep); warning != "" {
			c.mutex.Lock()
			defer c.mutex.Unlock()
			c.warnings[s.path] = warning
		}
	})
	if samples == nil {
		samples = s.parts[s.part]
	}
	if err = s.err; err == nil && samples == nil {
		_, err = decode(s.path, s.memory, c.rate, []Span{s.part}, func(_ Span, decoded []int16) { samples = decoded })
	}
	if err == nil && len(samples) == 0 {
		err = fmt.Errorf("%s: %w at %g seconds", s.path, audio.ErrEmpty, s.part.From)
	}
	return samples, err
}

// decode reads parts of a file, mixed down to mono and resampled to rate hertz, and calls done with each one once it is
// complete. Parts that reach beyond the file's end are shorter, or empty but not nil. The warning is that of the sound
// as far as it was needed. Errors name the file.
func decode(
	name string, memory *audio.Clip, rate int, parts []Span, done func(part Span, samples []int16),
) (warning string, err error) {
	samples := make([][]int16, len(parts)) // nil: complete
	for k := range samples {
		samples[k] = []int16{}
	}
	begin, open := 0, len(parts)
	warning, err = readBlocks(name, memory, rate, func(block []float32, _ int) bool {
		for k, p := range parts {
			from, to := int(p.From*float64(rate))-begin, int(p.To*float64(rate))-begin
			for _, v := range block[min(max(from, 0), len(block)):min(max(to, 0), len(block))] {
				samples[k] = append(samples[k], quantise(v))
			}
			if to <= len(block) && samples[k] != nil {
				done(p, samples[k])
				samples[k] = nil
				open--
			}
		}
		begin += len(block)
		return open > 0
	})
	for k, p := range parts {
		if err == nil && samples[k] != nil {
			done(p, samples[k])
		}
	}
	return warning, err
}

// quantise returns a sample of 16 bits.
func quantise(v float32) int16 {
	return int16(max(-1<<15, min(math.RoundToEven(float64(v)*(1<<15)), 1<<15-1)))
}

// duration returns the length of a file in seconds, at most limit. It decodes, since headers lie.
func duration(file string, memory *audio.Clip, limit int) (float64, error) {
	samples, hertz := 0, 0
	_, err := readBlocks(file, memory, 0, func(block []float32, rate int) bool {
		samples, hertz = samples+len(block), rate
		return samples < limit*rate
	})
	if err != nil {
		return 0, err
	}
	return min(float64(samples)/float64(hertz), float64(limit)), nil
}

// readBlocks decodes a file, or takes a clip in memory where there is one, mixed down to mono and resampled to rate
// hertz (0: its own rate), and calls use with each block and its rate until use returns false. It returns the decoder's
// warning. A file without samples is an error; errors name the file.
func readBlocks(
	name string, memory *audio.Clip, rate int, use func(block []float32, rate int) bool,
) (warning string, err error) {
	if memory != nil {
		return "", useSource(name, memory.Source(), rate, use)
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	d, err := audio.Decode(f)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer d.Close()
	if err := useSource(name, d, rate, use); err != nil {
		return "", err
	}
	return d.Warning(), nil
}

// useSource calls use as readBlocks does.
func useSource(name string, sound audio.Source, rate int, use func(block []float32, rate int) bool) error {
	s, err := audio.Resample(sound, cmp.Or(rate, sound.Rate()))
	block, total := make([]float32, 1<<13), 0
	for err == nil {
		var n int
		n, err = s.Read(block)
		if total += n; n > 0 && !use(block[:n], s.Rate()) {
			return nil
		}
	}
	if err == io.EOF {
		if total > 0 {
			return nil
		}
		err = audio.ErrEmpty
	}
	return fmt.Errorf("%s: %w", name, err)
}

// window sets dst to the samples from begin on, with zeros where the recording has none.
func window(dst []float32, samples []int16, begin int) {
	clear(dst)
	for i := max(begin, 0); i < min(begin+len(dst), len(samples)); i++ {
		dst[i-begin] = float32(samples[i]) / (1 << 15)
	}
}

// cut sets dst to noise from the share offset of the possible beginnings on. Noise shorter than dst is repeated.
func cut(dst []float32, noise []int16, offset float64) {
	begin := int(offset * float64(max(len(noise)-len(dst), 0)+1))
	for len(dst) > 0 && len(noise) > 0 {
		n := min(len(dst), len(noise)-begin)
		window(dst[:n], noise, begin)
		dst, begin = dst[n:], 0
	}
	clear(dst)
}
