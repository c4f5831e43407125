package enroll

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/datasets"
)

const (
	variants  = 30   // of each clip, besides the clip itself
	longClip  = 1.25 // windows, from which on the word is looked for in a clip
	soundPart = 0.01 // of the loudest hundredth of a second's power, with which a word begins and ends
	silent    = 1e-4 // peak below which a clip is silent: three steps of 16 bits
)

// Examples are the embeddings of a word's clips.
type Examples struct {
	Notes []string // what a user should know of the files, one sentence each

	items []datasets.Item
	files map[string]string    // by their sound
	rows  calibrate.Embeddings // of each clip as it is, and of variants

	surrounded []surrounded
}

// Examples returns those of sound files, and of those below folders. Of a file longer than a window, the part where the
// sound is is used, or the loudest window, which Notes say, and of files with the same sound one. Seed draws variants.
// An error that wraps ErrWord names a file that is silent, or a folder without files; others are of reading.
func (e *Embedder) Examples(ctx context.Context, paths []string, seed int64) (*Examples, error) {
	x := &Examples{files: map[string]string{}}
	for _, path := range paths {
		empty := true
		for f, err := range audio.Files(path) {
			if err != nil {
				return nil, err
			}
			empty = false
			if err := e.addClip(x, f.Path); err != nil {
				return nil, err
			}
		}
		if empty {
			return nil, fmt.Errorf("%w: there are no sound files in %s", ErrWord, path)
		}
	}
	var err error
	x.rows, err = e.Clips(ctx, x.items, variants, seed, func(skipped error) { err = errors.Join(err, skipped) })
	return x, err
}

// addClip adds a file.
func (e *Embedder) addClip(x *Examples, path string) error {
	rate, window := e.model.Features.Rate, e.model.WindowSamples()
	c, err := audio.ReadFile(path, rate)
	if err != nil {
		return err
	}
	if peak(c.Samples) < silent {
		return fmt.Errorf("%w: %s is silent", ErrWord, path)
	}
	note := func(format string, args ...any) { x.Notes = append(x.Notes, fmt.Sprintf(format, args...)) }
	if c.Warning != "" {
		note("%s: %s", path, c.Warning)
	}
	key := content(c.Samples)
	if other := x.files[key]; other != "" {
		note("%s has the sound of %s and is left out", path, other)
		return nil
	}
	x.files[key] = path
	it := datasets.Item{Path: path, Split: datasets.Train}
	if float64(len(c.Samples)) > longClip*float64(window) {
		begin, whole := place(c.Samples, rate, window)
		at := float64(begin) / float64(rate)
		it.Part = datasets.Span{From: at, To: at + e.model.Window}
		if !whole {
			note("%s has more sound than a window of %g s: the loudest one is used, from %.1f s on", path, e.model.Window, at)
		}
	}
	x.items = append(x.items, it)
	return nil
}

// fileOf returns the example that has a sound; "" where none has, as of no examples.
func (x *Examples) fileOf(samples []float32) string {
	if x == nil {
		return ""
	}
	return x.files[content(samples)]
}

// content returns a digest of a sound.
func content(samples []float32) string {
	sum := sha256.New()
	binary.Write(sum, binary.LittleEndian, samples)
	return string(sum.Sum(nil))
}

// samples returns the sound of an example.
func (e *Embedder) samples(it datasets.Item) ([]float32, error) {
	rate := e.model.Features.Rate
	c, err := audio.ReadFile(it.Path, rate)
	if err != nil || it.Part == (datasets.Span{}) {
		return c.Samples, err
	}
	at := func(seconds float64) int { return min(int(seconds*float64(rate)), len(c.Samples)) }
	return c.Samples[at(it.Part.From):at(it.Part.To)], nil
}

func peak(x []float32) float64 {
	if len(x) == 0 {
		return 0
	}
	return float64(max(slices.Max(x), -slices.Min(x)))
}

// place returns the first sample of the window around what sounds in x, which is longer, and whether all of it fits;
// otherwise the loudest window.
func place(x []float32, rate, window int) (begin int, whole bool) {
	first, last := audio.Extent(x, rate, soundPart)
	if last-first <= window {
		return min(max((first+last-window)/2, 0), len(x)-window), true
	}
	step, powers := audio.Levels(x, rate)
	n := max(window/step, 1)
	sum, most := 0.0, math.Inf(-1)
	for i, p := range powers {
		sum += p
		if i >= n {
			sum -= powers[i-n]
		}
		if i >= n-1 && sum > most {
			begin, most = (i-n+1)*step, sum
		}
	}
	return min(begin, len(x)-window), false
}
