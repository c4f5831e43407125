package datasets

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/audio"
)

// Skip is a clip that could not be read.
type Skip struct {
	Path string
	Err  error // names the path, too
}

// maxClipSeconds bounds how much of a clip is read; a background recording may be longer.
const (
	maxClipSeconds  = 60
	maxNoiseSeconds = 3600
)

// store reads clips and keeps as many of them as it may.
type store struct {
	items      []Item
	rate       int
	limit      int   // samples of a clip
	maximum    int64 // bytes to keep
	noise      map[string]*noise
	recordings []string // the keys of noise, in order

	mutex  sync.Mutex
	used   int64
	kept   map[int][]float32
	failed map[string]error
}

// noise is a background recording, read when it is first needed.
type noise struct {
	once    sync.Once
	samples []float32
	err     error
}

func newStore(items []Item, recordings []string, rate, limit int, maximum int64) *store {
	s := &store{
		items: items, rate: rate, limit: limit, maximum: maximum,
		recordings: recordings, noise: map[string]*noise{}, kept: map[int][]float32{}, failed: map[string]error{},
	}
	for _, path := range recordings {
		s.noise[path] = &noise{}
	}
	return s
}

// clip returns the samples of example i, at most limit of them. They must not be changed.
func (s *store) clip(i int) ([]float32, error) {
	path := s.items[i].Path
	s.mutex.Lock()
	samples, failed := s.kept[i], s.failed[path]
	s.mutex.Unlock()
	if samples != nil || failed != nil {
		return samples, failed
	}
	samples, err := read(path, s.rate, s.limit)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if err != nil {
		s.failed[path] = err
		return nil, err
	}
	if size := int64(4 * len(samples)); s.used+size <= s.maximum {
		s.kept[i] = samples
		s.used += size
	}
	return samples, nil
}

// Parts of a background recording that belong to the splits, so that none of them share sound.
var noiseParts = [...][2]float64{Train: {0, 0.8}, Valid: {0.8, 0.9}, Test: {0.9, 1}}

// background returns the split's part of a background recording. It must not be changed.
func (s *store) background(path string, split Split) ([]float32, error) {
	n := s.noise[path]
	if n == nil {
		return nil, fmt.Errorf("%w: %s is not one of the background recordings", ErrOptions, path)
	}
	n.once.Do(func() { n.samples, n.err = read(path, s.rate, maxNoiseSeconds*s.rate) })
	if n.err != nil {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.failed[path] = n.err
		return nil, n.err
	}
	part, size := noiseParts[split], float64(len(n.samples))
	return n.samples[int(part[0]*size):int(part[1]*size)], nil
}

// skips returns the failures in the order of the examples.
func (s *store) skips() []Skip {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var list []Skip
	for _, it := range s.items {
		err := s.failed[it.Path]
		if err != nil && !slices.ContainsFunc(list, func(k Skip) bool { return k.Path == it.Path }) {
			list = append(list, Skip{Path: it.Path, Err: err})
		}
	}
	return list
}

// read returns up to limit samples of a file at the given rate.
func read(path string, rate, limit int) ([]float32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	samples, err := readSource(f, rate, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return samples, nil
}

func readSource(r io.Reader, rate, limit int) ([]float32, error) {
	decoder, err := audio.Decode(r)
	if err != nil {
		return nil, err
	}
	source, err := audio.Resample(decoder, rate)
	if err != nil {
		return nil, err
	}
	samples := make([]float32, 0, rate)
	for len(samples) < limit {
		samples = slices.Grow(samples, rate/4)
		n, err := source.Read(samples[len(samples):min(cap(samples), limit)])
		samples = samples[:len(samples)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if len(samples) == 0 {
		return nil, audio.ErrEmpty
	}
	return slices.Clip(samples), nil
}
