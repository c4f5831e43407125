package datasets

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Open finds the clips below dir. Class folders hold WAV or FLAC files at any depth; the layouts are
//
//	CLASS/…              Speech Commands' and everybody's
//	train/CLASS/… valid/CLASS/… test/CLASS/…
//	fold1/CLASS/… fold2/CLASS/…   ESC-50's; the last fold is for testing
//
// and validation_list.txt and testing_list.txt, one CLASS/FILE a line, say which clips are which. Without them, a hash of
// the speaker (the part of the file name in front of `_nohash_`, or the whole name) decides, as in Speech Commands. Recordings
// in _background_noise_ give _silence_.
//
// Data that cannot be learnt from gives an error wrapping ErrNoData, impossible options one wrapping ErrOptions.
func Open(dir string, o Options) (*Set, error) {
	found, err := scan(dir)
	if err != nil {
		return nil, err
	}
	clips := found.clips
	if len(clips) == 0 {
		return nil, fmt.Errorf("%w: %s has no folders with WAV or FLAC files in them (CLASS/*.wav)", ErrNoData, dir)
	}
	if len(found.empty) > 0 && len(o.Words)+len(o.Labels) == 0 {
		return nil, fmt.Errorf("%w: no WAV or FLAC files in %s", ErrNoData, strings.Join(found.empty, ", "))
	}
	if err := assignSplits(dir, clips); err != nil {
		return nil, err
	}
	b := &builder{set: &Set{Dir: dir, Noise: found.noise, Ignored: map[string]int{}}, options: o, clips: clips}
	if err := b.chooseLabels(); err != nil {
		return nil, err
	}
	b.addClips()
	b.addSilence()
	return b.set, b.check()
}

// check returns an error for a label to be learnt of which training would see nothing.
func (b *builder) check() error {
	if len(b.options.Labels) > 0 {
		return nil
	}
	for label, counts := range b.set.Counts() {
		if counts[Train] == 0 {
			return fmt.Errorf("%w: %s has no training clips of %q", ErrNoData, b.set.Dir, b.set.Labels[label])
		}
	}
	return nil
}

// builder puts a Set together.
type builder struct {
	set     *Set
	options Options
	clips   []clip
	words   []string // that are labels
}

// chooseLabels decides the labels from the folders and the options.
func (b *builder) chooseLabels() error {
	present := words(b.clips)
	o := b.options
	if len(o.Labels) > 0 {
		b.set.Labels = o.Labels
		b.words = without(o.Labels, UnknownLabel, SilenceLabel)
		return nil
	}
	own := without(present, UnknownLabel, SilenceLabel)
	b.words = own
	if len(o.Words) > 0 {
		b.words = slices.Clone(o.Words)
	}
	for i, w := range b.words {
		if !slices.Contains(own, w) {
			return fmt.Errorf("%w: no clips of the word %q; there are %s", ErrOptions, w, strings.Join(own, ", "))
		}
		if slices.Contains(b.words[:i], w) {
			return fmt.Errorf("%w: the word %q is given twice", ErrOptions, w)
		}
	}
	b.set.Labels = slices.Clone(b.words)
	if slices.Contains(present, UnknownLabel) || len(own) > len(b.words) && o.Unknown > 0 {
		b.set.Labels = append(b.set.Labels, UnknownLabel)
	}
	if slices.Contains(present, SilenceLabel) || len(b.set.Noise) > 0 && o.Silence > 0 {
		b.set.Labels = append(b.set.Labels, SilenceLabel)
	}
	if len(b.set.Labels) < 2 {
		return fmt.Errorf("%w: %s has one class only, %s; there is nothing to tell apart", ErrNoData, b.set.Dir, b.set.Labels[0])
	}
	return nil
}

func without(list []string, drop ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(drop, s) })
}

// addClips adds the clips of labels, then those of other words as `_unknown_`.
func (b *builder) addClips() {
	others := map[Split]map[string][]clip{Train: {}, Valid: {}, Test: {}}
	for _, c := range b.clips {
		if label := slices.Index(b.set.Labels, c.word); label >= 0 {
			b.add(c, label)
		} else {
			others[c.split][c.word] = append(others[c.split][c.word], c)
		}
	}
	unknown := slices.Index(b.set.Labels, UnknownLabel)
	for _, split := range []Split{Train, Valid, Test} {
		if unknown < 0 {
			for word, list := range others[split] {
				b.set.Ignored[word] += len(list)
			}
			continue
		}
		limit := int(b.options.Unknown*float64(b.wordClips(split)) + 0.5)
		if len(b.options.Labels) > 0 {
			limit = len(b.clips)
		}
		for _, c := range draw(others[split], limit, b.random(split, drawUnknown)) {
			b.add(c, unknown)
		}
	}
}

func (b *builder) add(c clip, label int) {
	b.set.Items = append(b.set.Items, Item{
		Path: filepath.Join(b.set.Dir, filepath.FromSlash(c.rel)), Word: c.word, Label: label, Split: c.split,
	})
}

// wordClips counts a split's clips of words that are labels.
func (b *builder) wordClips(split Split) int {
	n := 0
	for _, c := range b.clips {
		if c.split == split && slices.Contains(b.words, c.word) {
			n++
		}
	}
	return n
}

// draw returns up to limit clips, as evenly from the words as there are clips, in the order of their paths.
func draw(byWord map[string][]clip, limit int, rng *rand.Rand) []clip {
	var names []string
	for word, list := range byWord {
		names = append(names, word)
		slices.SortFunc(list, func(a, b clip) int { return strings.Compare(a.rel, b.rel) })
	}
	slices.Sort(names)
	for _, word := range names {
		list := byWord[word]
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	var drawn []clip
	for round, found := 0, true; found && len(drawn) < limit; round++ {
		found = false
		for _, word := range names {
			if round < len(byWord[word]) && len(drawn) < limit {
				drawn = append(drawn, byWord[word][round])
				found = true
			}
		}
	}
	slices.SortFunc(drawn, func(a, b clip) int { return strings.Compare(a.rel, b.rel) })
	return drawn
}

// addSilence cuts `_silence_` examples from the background recordings, in turn.
func (b *builder) addSilence() {
	label := slices.Index(b.set.Labels, SilenceLabel)
	if label < 0 || len(b.set.Noise) == 0 {
		return
	}
	for _, split := range []Split{Train, Valid, Test} {
		rng := b.random(split, drawSilence)
		count := int(b.options.Silence*float64(b.wordClips(split)) + 0.5)
		for i := range count {
			gain := rng.Float64()
			if i%silentEvery == 0 {
				gain = 0
			}
			b.set.Items = append(b.set.Items, Item{
				Path: b.set.Noise[i%len(b.set.Noise)], Word: SilenceLabel, Label: label, Split: split,
				Silence: true, Offset: rng.Float64(), Gain: gain,
			})
		}
	}
}

// silentEvery is how often a silence example is digital silence.
const silentEvery = 8

// What random returns generators for.
const (
	drawUnknown = iota + 1
	drawSilence
)

// random returns the generator of one draw. Only the training split's follows the seed, so that models trained with
// different seeds are compared on the same examples.
func (b *builder) random(split Split, purpose uint64) *rand.Rand {
	seed := uint64(0)
	if split == Train {
		seed = uint64(b.options.Seed)
	}
	return rand.New(rand.NewPCG(seed, purpose<<8|uint64(split)))
}
