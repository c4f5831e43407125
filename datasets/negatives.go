package datasets

import (
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/detect"
)

// openNegatives finds the recordings, of any length, in which none of the words is said. Those below folders called
// train, valid or test (see Open) are of that split. The others are divided by voice, which is the file's name up to
// the first "-" or "_", by its hash: 10 % for validation, 10 % for the test; or where there are fewer than ten voices,
// each recording in time as noise is.
func (s *Set) openNegatives(folders []string) error {
	var divided []int // indices of recordings without a split
	voices := map[string]bool{}
	for _, folder := range folders {
		found, err := recordingsBelow(folder, "folder of negatives")
		if err != nil {
			return err
		}
		for _, f := range found {
			s.files = append(s.files, dataFile{path: f.Path, name: path.Join("negatives", f.Rel)})
			whole, ok := s.measure(f.Path, nil, "recording of negatives")
			if !ok {
				continue
			}
			r := Recording{Path: f.Path}
			first, _, _ := strings.Cut(f.Rel, "/")
			split, named := splitFolders[strings.ToLower(first)]
			if !named {
				divided = append(divided, len(s.Negatives))
				voices[voice(f.Path)] = true
			}
			r.Parts[split] = whole
			s.Negatives = append(s.Negatives, r)
		}
	}
	if len(voices) < 10 {
		rest := make([]Recording, len(divided))
		for k, i := range divided {
			rest[k] = s.Negatives[i]
		}
		divide(rest)
		for k, i := range divided {
			s.Negatives[i] = rest[k]
		}
		return nil
	}
	for _, i := range divided {
		parts := &s.Negatives[i].Parts
		whole := parts[Train]
		parts[Train] = Span{}
		parts[hashSplit(nameHash(voice(s.Negatives[i].Path)))] = whole
	}
	return nil
}

// voice returns what names the voice of a recording of negatives.
func voice(file string) string {
	name := filepath.Base(file)
	if i := strings.IndexAny(name, "-_"); i > 0 {
		name = name[:i]
	}
	return name
}

// addNegatives adds the examples of _unknown_ that are cut from negatives, from each of a split as many as it is long.
func (s *Set) addNegatives(o Options) {
	label := slices.Index(s.Labels, detect.UnknownLabel)
	if label < 0 || len(s.Negatives) == 0 {
		return
	}
	words := s.words()
	for split := Train; split < All; split++ {
		usable := partsOf(s.Negatives, split)
		n, rng := int(math.Ceil(o.NegativeShare*float64(words[split]))), drawSource(o, split, "negatives")
		total := 0.0
		for _, r := range usable {
			total += r.Parts[split].To - r.Parts[split].From
		}
		at, end := -1, 0.0
		for i := 0; i < n && total > 0; i++ {
			for due := total * (float64(i) + 0.5) / float64(n); at < 0 || end < due && at+1 < len(usable); {
				at++
				end += usable[at].Parts[split].To - usable[at].Parts[split].From
			}
			r := usable[at]
			s.Items = append(s.Items, Item{
				Path: r.Path, Word: filepath.Base(filepath.Dir(r.Path)), Label: label, Other: true, Split: split,
				Part: r.Parts[split], Negative: true, Offset: rng.Float64(),
			})
		}
	}
}

const (
	negativeNeighbours = 0.4 // share of the neighbours in training that are pieces of negatives
	negativeNoise      = 0.2 // share of the noise in training that is a negative
)

// fillNegative fills the whole stretch, since speech does not end with a window, with a recording of negatives: from
// where the item says or, in augmented training, from anywhere or around one of the hard places.
func (w *worker) fillNegative(it *Item, samples []int16) {
	if w.place != nil {
		window(w.stretch, samples, w.place.Sample)
		return
	}
	if w.fillHard() {
		return
	}
	offset := it.Offset
	if w.p.train && w.l.cfg.Augment != (Augment{}) {
		offset = w.rng.Float64()
	}
	cut(w.stretch, samples, offset)
}

// fillWithPieces sets dst to pieces of negatives, one after the other.
func (w *worker) fillWithPieces(dst []float32) {
	for begin := 0; begin < len(dst); {
		piece := w.piece()
		if len(piece) == 0 {
			clear(dst[begin:])
			return
		}
		n := min(len(piece), len(dst)-begin)
		window(dst[begin:begin+n], piece, 0)
		begin += n
	}
}

// piece draws a piece of negatives, of a quarter of a window to two windows. It is empty where there is none.
func (w *worker) piece() []int16 {
	l := w.l
	samples, err := l.read(l.negatives[w.rng.IntN(len(l.negatives))])
	if err != nil {
		return nil
	}
	n := min(int(between([2]float64{0.25, 2}, w.rng)*float64(l.window)), len(samples))
	return samples[w.rng.IntN(len(samples)-n+1):][:n]
}
