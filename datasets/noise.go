package datasets

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
)

// Recording is a background recording. It is divided in time, so that no two splits share noise: the first 80 % for
// training, the next 10 % for validation, the last 10 % for the test. Recordings of less than ten seconds are not
// divided: a tenth of them, at least one of three, is for validation, and as many for the test. Ten minutes are used.
type Recording struct {
	Path   string
	Memory *audio.Clip // the sound, where it is no file's
	Parts  [All]Span   // by Train, Valid and Test; empty where the split gets nothing
}

const (
	minDivided  = 10  // seconds
	maxSeconds  = 600 // of a noise recording or clip that are used
	silentShare = 0.1 // of the silence examples, which are digital zeros
)

// openNoise finds the noise recordings that can be read, those in other folders too, and divides them.
func (s *Set) openNoise(t *tree, o Options) error {
	var files []string
	for _, name := range t.noise {
		files = append(files, t.file(name))
	}
	for _, folder := range o.Noise {
		found, err := recordingsBelow(folder, "noise folder")
		if err != nil {
			return err
		}
		for _, f := range found {
			files = append(files, f.Path)
			s.files = append(s.files, dataFile{path: f.Path, name: "noise/" + filepath.Base(f.Path)})
		}
	}
	for _, file := range files {
		if whole, ok := s.measure(file, t.memory[file], "noise recording"); ok {
			s.Noise = append(s.Noise, Recording{Path: file, Memory: t.memory[file], Parts: [All]Span{Train: whole}})
		}
	}
	if len(s.Noise) == 0 && o.MakeNoise {
		s.Noise = append(s.Noise, madeNoise())
	}
	divide(s.Noise)
	return nil
}

// recordingsBelow returns the sound files below a folder, of which there is at least one; what names it in an error.
func recordingsBelow(folder, what string) ([]audio.File, error) {
	found, err := soundFiles(folder)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: no sound files (%s) in the %s %s",
			ErrNoData, strings.Join(audio.Extensions(), ", "), what, folder)
	}
	return found, err
}

// measure returns the span of a recording that is used. Of one that cannot be read, Notes says that it is left out.
func (s *Set) measure(file string, memory *audio.Clip, what string) (whole Span, ok bool) {
	length, err := duration(file, memory, maxSeconds)
	if err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("a %s is left out: %v", what, err))
	}
	return Span{0, length}, err == nil
}

// addSilence adds the examples of _silence_ that are cut from the noise recordings, from all of a split in turn.
func (s *Set) addSilence(o Options) {
	label := slices.Index(s.Labels, detect.SilenceLabel)
	if label < 0 {
		return
	}
	counts, words := s.counts(), s.words()
	for split := Train; split < All; split++ {
		usable := partsOf(s.Noise, split)
		n, rng := int(math.Ceil(o.Silence*float64(words[split])))-counts[label][split], drawSource(o, split, "silence")
		for i := 0; i < n && len(usable) > 0; i++ {
			r := usable[i%len(usable)]
			it := Item{Path: r.Path, Memory: r.Memory, Word: noiseFolder, Label: label, Split: split, Silence: true}
			it.Part = r.Parts[split]
			it.Offset, it.Gain = drawSilence(rng)
			s.Items = append(s.Items, it)
		}
	}
}

// partsOf returns the recordings of which a split has a part.
func partsOf(list []Recording, split Split) []Recording {
	return slices.DeleteFunc(slices.Clone(list), func(r Recording) bool { return r.Parts[split] == Span{} })
}

// drawSilence draws where a silence example begins, and how loud it is.
func drawSilence(rng *rand.Rand) (offset, gain float64) {
	offset, gain = rng.Float64(), rng.Float64()
	if rng.Float64() < silentShare {
		gain = 0
	}
	return offset, gain
}

// divide divides recordings that are training material as a whole.
func divide(noise []Recording) {
	var short []int
	for i, r := range noise {
		if length := r.Parts[Train].To; length < minDivided {
			short = append(short, i)
		} else {
			noise[i].Parts = [All]Span{{0, 0.8 * length}, {0.8 * length, 0.9 * length}, {0.9 * length, length}}
		}
	}
	slices.SortStableFunc(short, func(i, j int) int {
		return cmp.Compare(nameHash(filepath.Base(noise[i].Path)), nameHash(filepath.Base(noise[j].Path)))
	})
	held := 0 // for validation, and as many for the test
	if len(short) >= 3 {
		held = max(1, len(short)/10)
	}
	for k, i := range short[:2*held] {
		parts := &noise[i].Parts
		parts[Train], parts[Valid+Split(k/held)] = Span{}, parts[Train]
	}
}
