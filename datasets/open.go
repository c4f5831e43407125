package datasets

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/detect"
)

// Open reads a folder of recordings. WAV and FLAC files count (in any case of the extension); links are followed;
// hidden files and folders are left out. The layout is one of
//
//   - CLASS/*.wav, subfolders of a class included, as in Google Speech Commands (WORD/SPEAKER_nohash_N.wav). The lists
//     validation_list.txt and testing_list.txt, where present, name the clips of these splits; a split whose list is
//     missing is taken from the other clips by hash, see below;
//   - train/CLASS, valid/CLASS, test/CLASS (also training, validation, val, dev, testing), if no other folders are
//     there. A missing valid or test folder is replaced by a hash split of the training clips;
//   - foldK/CLASS, as in ESC-50: the folds Options.ValidFold and TestFold are held out.
//
// In all of them the folder _background_noise_ holds noise recordings. A WAV file of 64 KiB or more anywhere else, also
// beside the class folders, that has labelled cue points is a long recording: these labels are classes, not its folder.
// The example of a cue lasts from its start to its end or, where it states no length, for one window from 0.1 s before
// the cue, not beyond the next cue. A recording's examples are all in one split. Cues without a label are left out.
//
// Without lists or folders, a clip's split is Google's: the SHA-1 of its name up to `_nohash_`, so that a speaker stays
// in one split; 10 % validation, 10 % test. Where that leaves a class without clips in a split, whole speakers are
// moved, and a class with fewer than three speakers is split by file (Notes says so). A class with fewer than three
// files may be missing in a split.
//
// The examples of `_unknown_` are clips of the other words, drawn by seed as evenly over these words as possible, those
// of `_silence_` are cut from the noise recordings at random offsets with a random gain in [0, 1], a tenth of them with
// gain 0. Classes of these names hold ready-made examples, which are all used, and drawn ones fill up the share. A
// tenth of each noise recording's length is for validation, a tenth for the test; see Recording.
//
// Errors wrap ErrNoData (no clips, a single label, a label without training clips, no validation clips, a split list
// that does not fit) or ErrOptions (shares, a word without a folder). Given Labels, labels and splits may be empty.
func Open(dir string, o Options) (*Set, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	t, err := scan(dir)
	if err != nil {
		return nil, err
	}
	if err := t.assignSplits(o); err != nil {
		return nil, err
	}
	s := &Set{Dir: dir, Ignored: t.ignored, Notes: t.notes, files: t.files()}
	if err := s.openNoise(t, o.Noise); err != nil {
		return nil, err
	}
	if err := s.chooseLabels(t, o); err != nil {
		return nil, err
	}
	s.addClips(t, o)
	s.addSilence(o)
	if err := s.addExtra(o.Extra); err != nil {
		return nil, err
	}
	return s, s.check(o)
}

func (o Options) check() error {
	err := errors.Join(inRange("unknown share", 0, o.Unknown, 0, 1e6), inRange("silence share", 0, o.Silence, 0, 1e6))
	if err != nil {
		return err
	}
	if len(o.Words) > 0 && len(o.Labels) > 0 {
		return fmt.Errorf("%w: both words and labels are given", ErrOptions)
	}
	seen := map[string]bool{}
	for _, word := range slices.Concat(o.Words, o.Labels) {
		switch {
		case word == "" || seen[word]:
			return fmt.Errorf("%w: the word %q is given twice or empty", ErrOptions, word)
		case len(o.Words) > 0 && detect.Background(word):
			return fmt.Errorf("%w: %s is not a word; the share of such examples decides whether there are any", ErrOptions, word)
		}
		seen[word] = true
	}
	return nil
}

// chooseLabels sets the labels: those of the options, or the words and what else there is training material for.
func (s *Set) chooseLabels(t *tree, o Options) error {
	if s.Labels = slices.Clone(o.Labels); len(s.Labels) > 0 {
		return nil
	}
	classes, everyClass := slices.Sorted(maps.Keys(t.count)), len(o.Words) == 0
	if s.Labels = slices.Clone(o.Words); everyClass {
		s.Labels = without(classes, detect.UnknownLabel, detect.SilenceLabel)
	}
	for _, word := range s.Labels {
		switch n, exists := t.count[word]; {
		case !exists:
			return fmt.Errorf("%w: no folder for the word %q; the folders are: %s", ErrOptions, word, enumerate(classes))
		case n == 0:
			return fmt.Errorf("%w: folder %s has no WAV or FLAC files; remove it, or name the words to learn", ErrNoData, word)
		}
	}
	training, others := map[string]bool{}, false
	for _, c := range t.clips {
		if c.split == Train {
			training[c.class] = true
			others = others || c.class != detect.SilenceLabel && !slices.Contains(o.Words, c.class)
		}
	}
	if everyClass && training[detect.UnknownLabel] || !everyClass && o.Unknown > 0 && others {
		s.Labels = append(s.Labels, detect.UnknownLabel)
	}
	silence := training[detect.SilenceLabel]
	if o.Silence > 0 && (silence || len(s.Noise) > 0) || everyClass && silence {
		s.Labels = append(s.Labels, detect.SilenceLabel)
	}
	return nil
}

// add adds a clip of a tree as an example of the label with the given index.
func (s *Set) add(t *tree, c clip, label int) {
	s.Items = append(s.Items, Item{
		Path: t.file(c.path), Word: c.class, Label: label, Other: s.Labels[label] == detect.UnknownLabel,
		Split: c.split, Part: c.part, Point: c.point,
	})
}

// addClips adds the clips of the words, and those of _unknown_.
func (s *Set) addClips(t *tree, o Options) {
	var words, ready [All]int
	others := [All]map[string][]clip{{}, {}, {}}
	unknown := slices.Index(s.Labels, detect.UnknownLabel)
	for _, c := range t.clips {
		label := slices.Index(s.Labels, c.class)
		switch {
		case label < 0 && unknown >= 0 && c.class != detect.SilenceLabel:
			others[c.split][c.class] = append(others[c.split][c.class], c)
			continue
		case label < 0:
			s.Ignored[c.class]++
			continue
		case label == unknown:
			ready[c.split]++
		case c.class != detect.SilenceLabel:
			words[c.split]++
		}
		s.add(t, c, label)
	}
	for split := Train; split < All; split++ {
		n := int(math.Ceil(o.Unknown*float64(words[split]))) - ready[split]
		if len(o.Labels) > 0 {
			n = math.MaxInt
		}
		for _, c := range drawEvenly(others[split], n, drawSource(o, split, "unknown")) {
			s.add(t, c, unknown)
		}
	}
}

// addExtra adds the clips of the folders of Options.Extra for training, whatever splits they state.
func (s *Set) addExtra(folders []string) error {
	unknown := slices.Index(s.Labels, detect.UnknownLabel)
	for _, folder := range folders {
		t, err := scan(folder)
		if err != nil {
			return err
		}
		s.Notes = append(s.Notes, t.notes...)
		before := len(s.Items)
		for _, c := range t.clips {
			label := slices.Index(s.Labels, c.class)
			if label < 0 && unknown < 0 {
				s.Ignored[c.class]++
				continue
			}
			if label < 0 {
				label = unknown
			}
			c.split = Train
			s.add(t, c, label)
			s.files = append(s.files, dataFile{t.file(c.path), path.Join("extra", c.path)})
		}
		if len(s.Items) == before {
			return fmt.Errorf("%w: no folder of %s is named like one of the labels %s", ErrNoData, folder, enumerate(s.Labels))
		}
	}
	s.files = slices.Compact(s.files) // a recording with cue points has several examples
	return nil
}

// drawSource returns the generator of one draw. Those of validation and test examples do not depend on the seed, so
// that models trained with different seeds are measured on the same examples.
func drawSource(o Options, split Split, what string) *rand.Rand {
	if split != Train {
		o.Seed = 0
	}
	return rand.New(rand.NewPCG(uint64(o.Seed), uint64(split)<<32|uint64(nameHash(what))))
}

// drawEvenly draws n clips, or all, from all words alike: words with few give all of theirs. It sorts them by path.
func drawEvenly(words map[string][]clip, n int, rng *rand.Rand) (drawn []clip) {
	names := slices.Sorted(maps.Keys(words))
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	slices.SortStableFunc(names, func(a, b string) int { return len(words[a]) - len(words[b]) })
	for i, name := range names {
		left, missing := len(names)-i, max(0, n-len(drawn))
		quota := min(len(words[name]), missing/left)
		if rest := missing % left; rest > 0 && quota < len(words[name]) && rng.IntN(left) < rest {
			quota++
		}
		for _, k := range rng.Perm(len(words[name]))[:quota] {
			drawn = append(drawn, words[name][k])
		}
	}
	slices.SortFunc(drawn, func(a, b clip) int { return strings.Compare(a.path, b.path) })
	return drawn
}

// check returns an error when the set cannot be trained on. A set for evaluation only needs examples.
func (s *Set) check(o Options) error {
	switch {
	case len(s.Items) == 0:
		return fmt.Errorf("%w: no folder of %s is named like one of the labels %s", ErrNoData, s.Dir, enumerate(s.Labels))
	case len(o.Labels) > 0:
		return nil
	case len(s.Labels) < 2:
		return fmt.Errorf("%w: %s has the single class %s; at least two are needed, each in a folder of its own",
			ErrNoData, s.Dir, enumerate(s.Labels))
	}
	valid := 0
	for i, n := range s.counts() {
		if n[Train] == 0 {
			return fmt.Errorf("%w: %s has no training clips (%d for validation, %d for the test)",
				ErrNoData, s.Labels[i], n[Valid], n[Test])
		}
		valid += n[Valid]
	}
	if valid == 0 {
		return fmt.Errorf("%w: no clips for validation among %d; add clips or speakers, or name some in %s",
			ErrNoData, len(s.Items), listNames[Valid])
	}
	return nil
}

// enumerate lists names, not all of them if they are many.
func enumerate(names []string) string {
	const maxNames = 60
	if len(names) > maxNames {
		return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:maxNames], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
