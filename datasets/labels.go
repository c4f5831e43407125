package datasets

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Open reads a folder of recordings. WAV and FLAC files count (in any case of the extension); links are followed; hidden
// files and folders are not looked at. The layout is one of
//
//   - CLASS/*.wav, subfolders of a class included, as in Google Speech Commands (WORD/SPEAKER_nohash_N.wav). The lists
//     validation_list.txt and testing_list.txt are honoured where present, clips in neither being training clips;
//     a split whose list is missing is taken from the others by hash, see below;
//   - train/CLASS, valid/CLASS, test/CLASS (also training, validation, val, dev, testing), if no other folders are there.
//     A missing valid or test folder is replaced by a hash split of the training clips;
//   - foldK/CLASS, as in ESC-50: the folds Options.ValidFold and TestFold are held out.
//
// In all of them the folder _background_noise_ holds noise recordings. Without lists or folders, a clip's split
// is Google's: the SHA-1 of its name up to `_nohash_`, so that a speaker stays in one split; 10 % validation, 10 % test.
// Where that leaves a class without clips in a split, whole speakers are moved, and a class with fewer than three
// speakers is split by file (Notes says so). A class with fewer than three clips may be missing in a split.
//
// The examples of `_unknown_` are clips of the other words, drawn by seed as evenly over these words as possible,
// those of `_silence_` are cut from the noise recordings at random places with a random gain in [0, 1], a tenth of them
// with gain 0. Class folders of these names hold ready-made examples, which are all used, and drawn ones fill up the
// share. A tenth of each noise recording's time line is for validation, a tenth for the test; see Recording.
//
// Errors wrap ErrNoData (no clips, a single label, a label without training clips, no validation clips, a split list that
// does not fit) or ErrOptions (shares, a word without a folder). With Options.Labels, splits and labels may be empty.
func Open(dir string, o Options) (*Set, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	t, err := scan(dir)
	if err != nil {
		return nil, err
	}
	notes, err := t.assignSplits(o)
	if err != nil {
		return nil, err
	}
	s := &Set{Dir: dir, Ignored: map[string]int{}, Notes: notes, files: t.files()}
	if t.loose > 0 {
		s.Ignored["."] = t.loose
	}
	if err := s.openNoise(t, o.Noise); err != nil {
		return nil, err
	}
	roles, err := s.assignLabels(t, o)
	if err != nil {
		return nil, err
	}
	s.addClips(t, roles, o)
	s.addSilence(o)
	if err := s.addExtra(o.Extra); err != nil {
		return nil, err
	}
	return s, s.check(o)
}

func (o Options) check() error {
	for name, share := range map[string]float64{"unknown": o.Unknown, "silence": o.Silence} {
		if !(share >= 0 && share <= 1e6) {
			return fmt.Errorf("%w: %s share %g is not in 0…1e6", ErrOptions, name, share)
		}
	}
	if len(o.Words) > 0 && len(o.Labels) > 0 {
		return fmt.Errorf("%w: both words and labels are given", ErrOptions)
	}
	seen := map[string]bool{}
	for _, word := range slices.Concat(o.Words, o.Labels) {
		if word == "" || seen[word] {
			return fmt.Errorf("%w: the word %q is given twice or empty", ErrOptions, word)
		}
		seen[word] = true
	}
	for _, word := range o.Words {
		if word == UnknownLabel || word == SilenceLabel {
			return fmt.Errorf("%w: %s is not a word; the share of such examples decides whether there are any", ErrOptions, word)
		}
	}
	return nil
}

// files returns what the digest covers.
func (t *tree) files() []string {
	files := slices.Concat(t.noise, t.lists)
	for _, c := range t.clips {
		files = append(files, c.path)
	}
	slices.Sort(files)
	return files
}

// role is what a class folder's clips become. The label of the other words is known only once they are drawn.
type role int

const (
	ignored role = iota
	wordRole
	otherRole // material for _unknown_
	readyRole // ready-made _unknown_ or _silence_
)

// assignLabels sets the labels and returns what each class folder's clips become.
func (s *Set) assignLabels(t *tree, o Options) (map[string]role, error) {
	folders := slices.Sorted(maps.Keys(t.count))
	s.Labels = slices.Clone(o.Labels)
	if len(o.Labels) == 0 {
		words := o.Words
		if len(words) == 0 {
			words = without(without(folders, UnknownLabel), SilenceLabel)
		}
		for _, word := range words {
			n, exists := t.count[word]
			switch {
			case !exists:
				return nil, fmt.Errorf("%w: no folder for the word %q; the folders are: %s",
					ErrOptions, word, enumerate(folders))
			case n == 0:
				return nil, fmt.Errorf("%w: folder %s has no WAV or FLAC files; remove it, or name the words to learn",
					ErrNoData, word)
			}
		}
		s.Labels = slices.Concat(words, s.extraLabels(t, o))
	}
	roles := map[string]role{}
	for _, folder := range folders {
		labelled := slices.Contains(s.Labels, folder)
		switch {
		case labelled && (folder == UnknownLabel || folder == SilenceLabel):
			roles[folder] = readyRole
		case labelled:
			roles[folder] = wordRole
		case slices.Contains(s.Labels, UnknownLabel) && folder != SilenceLabel:
			roles[folder] = otherRole
		case t.count[folder] > 0:
			s.Ignored[folder] = t.count[folder]
		}
	}
	return roles, nil
}

// extraLabels returns _unknown_ and _silence_ as far as the options want them and there is training material for them.
func (s *Set) extraLabels(t *tree, o Options) (labels []string) {
	training := map[string]bool{}
	for _, c := range t.clips {
		training[c.class] = training[c.class] || c.split == Train
	}
	others := false
	for folder := range training {
		others = others || training[folder] && folder != SilenceLabel && !slices.Contains(o.Words, folder)
	}
	everyFolder := len(o.Words) == 0
	if everyFolder && training[UnknownLabel] || !everyFolder && o.Unknown > 0 && others {
		labels = append(labels, UnknownLabel)
	}
	if o.Silence > 0 && (training[SilenceLabel] || len(s.Noise) > 0) || everyFolder && training[SilenceLabel] {
		labels = append(labels, SilenceLabel)
	}
	return labels
}

// addClips adds the clips of the words, and those of _unknown_.
func (s *Set) addClips(t *tree, roles map[string]role, o Options) {
	var words, ready [All]int
	others := [All]map[string][]clip{{}, {}, {}}
	add := func(c clip, label string) {
		s.Items = append(s.Items, Item{
			Path: filepath.Join(t.dir, filepath.FromSlash(c.path)), Word: c.class,
			Label: slices.Index(s.Labels, label), Other: label == UnknownLabel, Split: c.split,
		})
	}
	for _, c := range t.clips {
		switch roles[c.class] {
		case wordRole:
			words[c.split]++
			add(c, c.class)
		case readyRole:
			if c.class == UnknownLabel {
				ready[c.split]++
			}
			add(c, c.class)
		case otherRole:
			others[c.split][c.class] = append(others[c.split][c.class], c)
		}
	}
	for split := Train; split < All; split++ {
		n := share(o.Unknown, words[split]) - ready[split]
		if len(o.Labels) > 0 {
			n = math.MaxInt
		}
		for _, c := range drawEvenly(others[split], n, drawSource(o, split, "unknown")) {
			add(c, UnknownLabel)
		}
	}
}

// share returns how many examples a share of n clips is.
func share(share float64, n int) int { return int(math.Ceil(share * float64(n))) }

// drawSource returns the generator of one draw. Those of validation and test examples do not depend on the seed, so
// that models trained with different seeds are measured on the same examples.
func drawSource(o Options, split Split, what string) *rand.Rand {
	seed := int64(0)
	if split == Train {
		seed = o.Seed
	}
	return rand.New(rand.NewPCG(uint64(seed), uint64(split)<<32|uint64(nameHash(what))))
}

// drawEvenly draws n clips, all if there are fewer, from as many of the words as possible: words with few clips give all
// of them. The result is sorted by path.
func drawEvenly(words map[string][]clip, n int, rng *rand.Rand) (drawn []clip) {
	names := slices.Sorted(maps.Keys(words))
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	slices.SortStableFunc(names, func(a, b string) int { return len(words[a]) - len(words[b]) })
	for i, name := range names {
		left := len(names) - i
		quota := min(len(words[name]), max(0, n-len(drawn))/left)
		if rest := max(0, n-len(drawn)) % left; rest > 0 && quota < len(words[name]) && rng.IntN(left) < rest {
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
	if len(s.Items) == 0 {
		return fmt.Errorf("%w: no folder of %s is named like one of the labels %s", ErrNoData, s.Dir, enumerate(s.Labels))
	}
	if len(o.Labels) > 0 {
		return nil
	}
	if len(s.Labels) < 2 {
		return fmt.Errorf("%w: %s has the single class %s; at least two are needed, each in a folder of its own",
			ErrNoData, s.Dir, enumerate(s.Labels))
	}
	valid := 0
	for _, c := range s.Counts() {
		if c.Clips[Train] == 0 {
			return fmt.Errorf("%w: %s has no training clips (%d for validation, %d for the test)",
				ErrNoData, c.Label, c.Clips[Valid], c.Clips[Test])
		}
		valid += c.Clips[Valid]
	}
	if valid == 0 {
		return fmt.Errorf("%w: no clips for validation among %d; add clips or speakers, or name some in %s",
			ErrNoData, len(s.Items), listNames[Valid])
	}
	return nil
}

// enumerate lists names, not all of them if they are many.
func enumerate(names []string) string {
	const most = 60
	if len(names) > most {
		return fmt.Sprintf("%s, … (%d in all)", strings.Join(names[:most], ", "), len(names))
	}
	return strings.Join(names, ", ")
}
