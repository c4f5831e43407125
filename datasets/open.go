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
	"golang.org/x/text/unicode/norm"
)

const mostLabels = 60 // that a message names

// Open reads a folder of recordings: the files that audio.Files finds. Names of classes, words and labels are compared
// in Unicode's form NFC, since macOS gives names in another one than other systems; a folder that was made of a label,
// by classify --sort, --save or train review, such as o%27clock, is that label's. The layout is one of
//
//   - CLASS/*.wav, subfolders of a class included, as in Google Speech Commands (WORD/SPEAKER_nohash_N.wav). The lists
//     validation_list.txt and testing_list.txt, where present, name the clips of these splits; a split whose list is
//     missing is taken from the other clips by hash, see below;
//   - train/CLASS, valid/CLASS, test/CLASS (also training, validation, val, dev, testing), if no other folders are
//     there. A missing valid or test folder is replaced by a hash split of the training clips;
//   - foldK/CLASS, as in ESC-50: the fold Options.TestFold is the test, and ValidFold, or a tenth of the clips of the
//     other folds, by hash, for validation.
//
// In all of them the folder _background_noise_ holds noise recordings. A WAV file of 64 KiB or more anywhere else, also
// beside the class folders, that has labelled cue points is a long recording: these labels are classes, not its folder.
// The example of a cue lasts from its start to its end or, where it states no length, for one window from 0.1 s before
// the cue, not beyond the next cue. A recording's examples are all in one split. Cues without a label are left out.
//
// Without lists or folders, a clip's split is Google's: the SHA-1 of its name up to `_nohash_`, or of the recording's
// number in names of ESC-50 and UrbanSound8K, so that a speaker or recording stays in one split; 10 % validation, 10 %
// test. Where that leaves a class without clips in a split, whole speakers are moved, and a class with fewer than three
// speakers is split by file (Notes says so). A class with fewer than three files may be missing in a split.
//
// Files with the same content are in one split: together where none names a speaker, and otherwise by leaving out those
// of which a copy is for the test or, after that, for validation. Notes names them, files that are in no class folder,
// and labels without validation clips.
//
// The examples of `_unknown_` are clips of the other words, drawn by seed as evenly over these words as possible, those
// of `_silence_` are cut from the noise recordings at random offsets with a random gain in [0, 1], a tenth of them with
// gain 0. Classes of these names hold ready-made examples, which are all used, and drawn ones fill up the share. A
// tenth of each noise recording's length is for validation, a tenth for the test; see Recording.
//
// Errors wrap ErrNoData (no clips, a folder that cannot be read, a single label, a label without training clips, no
// validation clips, a split list that does not fit) or ErrOptions (shares, a word without a folder). Given Labels,
// labels and splits may be empty.
func Open(dir string, o Options) (*Set, error) {
	t, err := scan(dir)
	if err != nil {
		return nil, err
	}
	return t.open(o)
}

// open makes the data set of a tree.
func (t *tree) open(o Options) (*Set, error) {
	o.Words = normalised(o.Words)
	if err := o.check(); err != nil {
		return nil, err
	}
	files := t.files()
	if err := t.assignSplits(o); err != nil {
		return nil, err
	}
	s := &Set{Dir: t.dir, Folds: t.folds, Rule: t.rule, Ignored: t.ignored, Notes: t.notes, files: files}
	if err := s.openNoise(t, o); err != nil {
		return nil, err
	}
	if err := s.openNegatives(o.Negatives); err != nil {
		return nil, err
	}
	if err := s.chooseLabels(t, o); err != nil {
		return nil, err
	}
	s.index = make(map[string]int, len(s.Labels))
	for i, label := range slices.Backward(normalised(s.Labels)) {
		s.index[label] = i
	}
	s.addClips(t, o)
	s.addSilence(o)
	s.addNegatives(o)
	s.noteIgnored(t)
	if err := s.addExtra(o.Extra); err != nil {
		return nil, err
	}
	return s, s.check(o)
}

func (o Options) check() error {
	err := errors.Join(inRange("unknown share", 0, o.Unknown, 0, 1e6), inRange("silence share", 0, o.Silence, 0, 1e6),
		inRange("share of negatives", 0, o.NegativeShare, 0, 1e6))
	if err != nil {
		return err
	}
	if len(o.Words) > 0 && len(o.Labels) > 0 {
		return fmt.Errorf("%w: both words and labels are given", ErrOptions)
	}
	seen := map[string]bool{}
	for _, word := range normalised(slices.Concat(o.Words, o.Labels)) {
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

// SameLabel reports whether two labels are the same but for Unicode's forms of a text.
func SameLabel(a, b string) bool { return a == b || norm.NFC.String(a) == norm.NFC.String(b) }

// normalised returns names in Unicode's form NFC, in which labels are compared.
func normalised(names []string) []string {
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = norm.NFC.String(name)
	}
	return names
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
			return fmt.Errorf("%w: no folder for the word %q; the folders are: %s",
				ErrOptions, word, enumerate(classes, mostLabels))
		case n == 0:
			return fmt.Errorf("%w: folder %s has no sound files; remove it, or name the words to learn%s",
				ErrNoData, word, t.noteUnread(word))
		}
	}
	training, others := map[string]bool{}, false
	for _, c := range t.clips {
		if c.split == Train {
			training[c.class] = true
			others = others || c.class != detect.SilenceLabel && !slices.Contains(o.Words, c.class)
		}
	}
	negatives := o.NegativeShare > 0 && len(s.Negatives) > 0
	if everyClass && training[detect.UnknownLabel] || !everyClass && o.Unknown > 0 && others || negatives {
		s.Labels = append(s.Labels, detect.UnknownLabel)
	}
	silence := training[detect.SilenceLabel]
	if o.Silence > 0 && (silence || len(s.Noise) > 0) || everyClass && silence {
		s.Labels = append(s.Labels, detect.SilenceLabel)
	}
	return nil
}

// label returns the index of a class's label, or -1 where it has none.
func (s *Set) label(class string) int {
	if i, ok := s.index[class]; ok {
		return i
	}
	return -1
}

// add adds a clip of a tree as an example of the label with the given index.
func (s *Set) add(t *tree, c clip, label int) {
	s.Items = append(s.Items, Item{
		Path: t.file(c.path), Memory: t.memory[c.path], Word: c.class, Label: label,
		Other: s.Labels[label] == detect.UnknownLabel, Split: c.split, Part: c.part, Point: c.point,
	})
}

// addClips adds the clips of the words, and those of _unknown_.
func (s *Set) addClips(t *tree, o Options) {
	var words, ready [All]int
	others := [All]map[string][]clip{{}, {}, {}}
	unknown := slices.Index(s.Labels, detect.UnknownLabel)
	for _, c := range t.clips {
		label := s.label(c.class)
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
		drawn := drawEvenly(others[split], n, drawSource(o, split, "unknown"))
		rounds := 1
		if split == Train && len(o.Labels) == 0 {
			rounds = otherRounds
		}
		for ; rounds > 0; rounds-- {
			for _, c := range drawn[:max(0, min(len(drawn), n))] {
				s.add(t, c, unknown)
			}
			n -= len(drawn)
		}
	}
}

// otherRounds is how often a clip of another word is among the examples of training, at most, where there are too few
// for their share. Each time it is augmented in another way.
const otherRounds = 4

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
			label := s.label(c.class)
			if label < 0 && unknown < 0 {
				s.Ignored[c.class]++
				continue
			}
			if label < 0 {
				label = unknown
			}
			c.split = Train
			s.add(t, c, label)
			s.files = append(s.files, dataFile{path: t.file(c.path), name: path.Join("extra", c.path)})
		}
		if len(s.Items) == before {
			return fmt.Errorf("%w: no folder of %s is named like one of the labels %s",
				ErrNoData, folder, enumerate(s.Labels, mostLabels))
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

// noteIgnored notes sound files that are in no class folder.
func (s *Set) noteIgnored(t *tree) {
	if n := s.Ignored["."]; n > 0 {
		names := strings.Join(t.loose, ", ")
		if n > len(t.loose) {
			names += ", …"
		}
		s.Notes = append(s.Notes, fmt.Sprintf("ignored %d sound file(s) that are in no class folder: %s", n, names))
	}
}

// check returns an error when the set cannot be trained on. A set for evaluation only needs examples.
func (s *Set) check(o Options) error {
	switch {
	case len(s.Items) == 0:
		return fmt.Errorf("%w: no folder of %s is named like one of the labels %s",
			ErrNoData, s.Dir, enumerate(s.Labels, mostLabels))
	case len(o.Labels) > 0:
		return nil
	case len(s.Labels) < 2:
		return fmt.Errorf("%w: %s has the single class %s; at least two are needed, each in a folder of its own: put sounds "+
			"that are none of it in a folder %s", ErrNoData, s.Dir, enumerate(s.Labels, mostLabels), detect.UnknownLabel)
	}
	valid, without := 0, []string(nil)
	for i, n := range s.counts() {
		if n[Train] == 0 {
			return fmt.Errorf("%w: %s has no training clips (%d for validation, %d for the test)",
				ErrNoData, s.Labels[i], n[Valid], n[Test])
		}
		if valid += n[Valid]; n[Valid] == 0 {
			without = append(without, s.Labels[i])
		}
	}
	if valid == 0 {
		return fmt.Errorf("%w: no clips for validation among %d; add clips or speakers, or name some in %s",
			ErrNoData, len(s.Items), listNames[Valid])
	}
	if len(without) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("no validation clips of %s: nothing measures how well it is learnt",
			enumerate(without, mostLabels)))
	}
	return nil
}

// enumerate lists names, not all of them if they are more than most.
func enumerate(names []string, most int) string {
	if len(names) > most {
		return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
