package datasets

import (
	"cmp"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/audio"
)

// Span is a stretch of a recording, in seconds.
type Span struct{ From, To float64 }

// Recording is a background recording. Its time line is divided, so that no two splits share noise: the first 80 %
// for training, the next 10 % for validation, the last 10 % for the test. Recordings of less than ten seconds are not
// divided but given to a split as a whole: a tenth of them, at least one if there are three, to validation and to the
// test each. Only the first ten minutes are used.
type Recording struct {
	Path  string
	Parts [All]Span // by Train, Valid and Test; empty where the split gets nothing
}

const minDivided = 10 // seconds

// maxSeconds is how much of a recording is used, of noise and of clips.
const maxSeconds = 600

// silentShare of the silence examples are digital zeros.
const silentShare = 0.1

// openNoise finds the noise recordings that can be read, those in other folders too, and divides them.
func (s *Set) openNoise(t *tree, folders []string) error {
	var files []string
	for _, name := range t.noise {
		files = append(files, filepath.Join(t.dir, filepath.FromSlash(name)))
	}
	for _, folder := range folders {
		known := len(s.added)
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && audio.IsAudio(path) {
				s.added = append(s.added, added{path: path, name: "noise/" + filepath.Base(path)})
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(s.added) == known {
			return fmt.Errorf("%w: no sound files (.wav, .wave, .flac) in the noise folder %s", ErrNoData, folder)
		}
	}
	for _, a := range s.added {
		files = append(files, a.path)
	}
	seconds := make([]float64, 0, len(files))
	for _, file := range files {
		length, err := duration(file, maxSeconds)
		if err != nil {
			s.Notes = append(s.Notes, fmt.Sprintf("a noise recording is left out: %v", err))
			continue
		}
		s.Noise = append(s.Noise, Recording{Path: file})
		seconds = append(seconds, length)
	}
	divide(s.Noise, seconds)
	return nil
}

// addSilence adds the examples of _silence_ that are cut from the noise recordings.
func (s *Set) addSilence(o Options) {
	label := slices.Index(s.Labels, SilenceLabel)
	if label < 0 {
		return
	}
	counts := s.Counts()
	for split := Train; split < All; split++ {
		words := 0
		for _, c := range counts {
			if c.Label != UnknownLabel && c.Label != SilenceLabel {
				words += c.Clips[split]
			}
		}
		n := share(o.Silence, words) - counts[label].Clips[split]
		s.cutSilence(label, split, n, drawSource(o, split, "silence"))
	}
}

// cutSilence adds n examples of a split, from all recordings in turn.
func (s *Set) cutSilence(label int, split Split, n int, rng *rand.Rand) {
	var usable []Recording
	for _, r := range s.Noise {
		if r.Parts[split] != (Span{}) {
			usable = append(usable, r)
		}
	}
	for i := 0; i < n && len(usable) > 0; i++ {
		r := usable[i%len(usable)]
		it := Item{Path: r.Path, Word: noiseFolder, Label: label, Split: split, Silence: true, Part: r.Parts[split]}
		it.Offset, it.Gain = drawSilence(rng)
		s.Items = append(s.Items, it)
	}
}

// drawSilence draws where a silence example begins, and how loud it is.
func drawSilence(rng *rand.Rand) (offset, gain float64) {
	offset, gain = rng.Float64(), rng.Float64()
	if rng.Float64() < silentShare {
		gain = 0
	}
	return offset, gain
}

// divide sets the parts of recordings of the given lengths.
func divide(noise []Recording, seconds []float64) {
	var short []int
	for i, length := range seconds {
		if length < minDivided {
			short = append(short, i)
			continue
		}
		noise[i].Parts = [All]Span{{0, 0.8 * length}, {0.8 * length, 0.9 * length}, {0.9 * length, length}}
	}
	slices.SortStableFunc(short, func(i, j int) int {
		return cmp.Compare(nameHash(filepath.Base(noise[i].Path)), nameHash(filepath.Base(noise[j].Path)))
	})
	held := 0
	if len(short) >= 3 {
		held = max(1, len(short)/10)
	}
	for k, i := range short {
		split := Train
		switch {
		case k < held:
			split = Valid
		case k < 2*held:
			split = Test
		}
		noise[i].Parts[split] = Span{0, seconds[i]}
	}
}
