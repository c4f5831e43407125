package datasets

import (
	"context"
	"hash/maphash"
	"math"
)

// Sound is what a file of a Set is like.
type Sound struct {
	Path    string
	Seconds float64
	Peak    float64 // the greatest magnitude, full scale being 1
	Clipped float64 // share of the samples that are at full scale
	Content uint64  // a hash of its samples from the first to the last that is not 0, equal for copies in this Survey
	Err     error   // the file cannot be read
}

// Silent reports whether there is nothing but silence, 80 dB below full scale.
func (s Sound) Silent() bool { return s.Err == nil && s.Peak < 1e-4 }

// Overdriven reports whether so many samples are at full scale that the sound is distorted.
func (s Sound) Overdriven() bool { return s.Clipped > 0.001 }

// pointSeconds is how long a clip of a cue point that states no length is, at most, before a window is known.
const pointSeconds = 1

// length returns how many seconds of the file an example of it has; none where the file cannot be read, or ends before
// the example.
func (s Sound) length(it Item) float64 {
	switch {
	case s.Err != nil:
		return 0
	case it.Part == (Span{}):
		return s.Seconds
	}
	part := it.Span(pointSeconds)
	return max(0, min(part.To, s.Seconds)-part.From)
}

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
		return true
	})
	if s.Content = content.Sum64(); samples > 0 {
		s.Seconds = float64(samples) / float64(hertz)
		s.Clipped = float64(clipped) / float64(samples)
	}
	return s
}
