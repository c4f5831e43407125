package datasets

import (
	"context"
	"hash/maphash"
	"math"
)

// Sound is what a file of a Set is like.
type Sound struct {
	Path    string
	Seconds float64 // at most 600 are read
	Peak    float64 // the greatest magnitude, full scale being 1
	Clipped float64 // share of the samples that are at full scale
	Content uint64  // a hash of its samples from the first to the last that is not 0, equal for copies in this Survey
	Err     error   // the file cannot be read
}

// Silent reports whether there is nothing but silence, 80 dB below full scale.
func (s Sound) Silent() bool { return s.Err == nil && s.Peak < 1e-4 }

// Overdriven reports whether so many samples are at full scale that the sound is distorted.
func (s Sound) Overdriven() bool { return s.Clipped > 0.001 }

// Survey is what the files of a Set's clips are like, by their paths. Noise and negatives are not in it.
type Survey map[string]Sound

// Survey reads the file of every clip once, on all cores.
func (s *Set) Survey(ctx context.Context, progress Progress) (Survey, error) {
	var files []Item
	survey := Survey{}
	for _, it := range s.Items {
		if _, seen := survey[it.Path]; !it.Silence && !it.Negative && !seen {
			survey[it.Path] = Sound{}
			files = append(files, it)
		}
	}
	sounds, seed := make([]Sound, len(files)), maphash.MakeSeed()
	err := forEach(ctx, len(files), progress, func(i int) error {
		sounds[i] = surveyed(files[i], seed)
		return nil
	})
	for _, sound := range sounds {
		survey[sound.Path] = sound
	}
	return survey, err
}

// surveyed reads the file of an item.
func surveyed(it Item, seed maphash.Seed) Sound {
	const full = 1<<15 - 1
	s := Sound{Path: it.Path}
	var content maphash.Hash
	content.SetSeed(seed)
	samples, clipped, zeros, begun, hertz := 0, 0, 0, false, 0
	_, s.Err = readBlocks(it.Path, it.Memory, 0, func(block []float32, rate int) bool {
		for _, v := range block {
			s.Peak = max(s.Peak, math.Abs(float64(v)))
			q := quantise(v)
			if q == 0 {
				zeros++
				continue
			}
			if q >= full || q <= -full {
				clipped++
			}
			for ; begun && zeros > 0; zeros-- {
				content.WriteByte(0)
			}
			content.WriteByte(byte(q))
			content.WriteByte(byte(q >> 8))
			zeros, begun = 0, true
		}
		samples, hertz = samples+len(block), rate
		return samples < maxSeconds*rate
	})
	if s.Content = content.Sum64(); samples > 0 {
		s.Seconds = min(float64(samples)/float64(hertz), maxSeconds)
		s.Clipped = float64(clipped) / float64(samples)
	}
	return s
}
