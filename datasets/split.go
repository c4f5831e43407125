package datasets

import (
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// divide gives every clip that is in no folder or list of a split its split: training where both other splits are
// given, otherwise by hash (see Open), with two exceptions for small folders:
//
//   - a class with fewer speakers than splits but enough files is split by file (a note says so);
//   - a class that the hash leaves without clips in a split gets a whole speaker (or file) moved there, as long as
//     that empties no other split of any class; training comes first.
func (t *tree) divide(o Options) error {
	open := slices.DeleteFunc([]Split{Train, Valid, Test}, func(s Split) bool { return s != Train && t.given[s] })
	if o.Folds > 0 && (t.folds == nil || t.dealt) {
		if err := t.deal(o.Folds); err != nil {
			return err
		}
	}
	if t.folds != nil {
		if err := t.assignFolds(o); err != nil || o.ValidFold != 0 {
			return err
		}
		open = []Split{Train, Valid}
	}
	t.rule = cmp.Or(t.rule, rule(open))
	if len(open) == 1 {
		return nil
	}
	p := partition{open: open, classes: map[string][]*group{}}
	groups := t.gather(&p)
	p.fill()
	for _, g := range groups {
		for _, c := range g.clips {
			c.split = g.split
		}
	}
	return nil
}

// rule says how clips are divided between the splits that neither folders nor lists give.
func rule(open []Split) string {
	switch {
	case len(open) == 1:
		return "as folders or lists say"
	case len(open) == 3:
		return "by a hash of the speaker, or of the file name: 10 % validation, 10 % test"
	case open[1] == Valid:
		return "the test as folders or lists say, and 10 % of the others for validation, by a hash of the speaker or " +
			"file name"
	}
	return "validation as folders or lists say, and 10 % of the others for the test, by a hash of the speaker or file name"
}

// assignFolds gives the clips of the folds that are held out their splits.
func (t *tree) assignFolds(o Options) error {
	test := o.TestFold
	if test == 0 {
		test = t.folds[len(t.folds)-1]
	}
	held, valid := 0, cmp.Or(o.ValidFold, -1)
	for _, fold := range []int{test, valid} {
		if fold > 0 {
			held++
		}
		if fold > 0 && !slices.Contains(t.folds, fold) {
			return fmt.Errorf("%w: there is no fold %d among the folds %v", ErrOptions, fold, t.folds)
		}
	}
	if test > 0 && test == valid || held >= len(t.folds) {
		return fmt.Errorf("%w: of the folds %v, one is for the test, at most another for validation and at least one for "+
			"training", ErrOptions, t.folds)
	}
	for i, c := range t.clips {
		switch c.fold {
		case test:
			t.clips[i].split = Test
		case valid:
			t.clips[i].split = Valid
		}
	}
	t.rule = fmt.Sprintf("fold %d for the test", test)
	if test < 0 {
		t.rule = "nothing for the test"
	}
	if valid > 0 {
		t.rule += fmt.Sprintf(", fold %d for validation", valid)
	} else {
		t.rule += ", and 10 % of the other folds for validation, by a hash of the speaker or file name"
	}
	return nil
}

// deal divides the clips into n folds, each class as evenly as its speakers allow.
func (t *tree) deal(n int) error {
	if t.given != ([All]bool{}) {
		return fmt.Errorf("%w: folders or lists say which clips are for validation and the test: there are no folds to make",
			ErrOptions)
	}
	if n < 2 {
		return fmt.Errorf("%w: %d folds: at least two are needed", ErrOptions, n)
	}
	p := partition{open: []Split{Train}, classes: map[string][]*group{}}
	t.gather(&p)
	count := map[string][]int{}
	for class := range p.classes {
		count[class] = make([]int, n)
	}
	t.folds, t.dealt = nil, true
	for _, class := range slices.Sorted(maps.Keys(p.classes)) {
		for _, g := range p.classes[class] {
			if g.clips[0].fold > 0 {
				continue
			}
			fold := slices.Index(count[class], slices.Min(count[class]))
			for _, c := range g.clips {
				c.fold = fold + 1
				count[c.class][fold]++
			}
		}
		if slices.Min(count[class]) == 0 {
			return fmt.Errorf("%w: %s has clips of too few speakers, or too few clips, for %d folds", ErrOptions, class, n)
		}
	}
	for fold := range n {
		t.folds = append(t.folds, fold+1)
	}
	return nil
}

// group is a set of clips that must not be divided: a speaker's, or those of a single file and its copies.
type group struct {
	key   string
	hash  uint32
	split Split
	clips []*clip        // in tree.clips
	count map[string]int // clips by class
}

// partition divides groups between the splits that neither folders nor lists give.
type partition struct {
	open    []Split
	classes map[string][]*group // sorted by hash
}

// gather groups the clips without a split and hashes each group into one of the open splits.
func (t *tree) gather(p *partition) (groups map[string]*group) {
	files := map[string][]string{} // of each class, sorted
	for _, c := range t.clips {
		if c.split == Train {
			files[c.class] = append(files[c.class], c.path)
		}
	}
	byFile := map[string]bool{} // files whose speakers are divided
	for _, class := range slices.Sorted(maps.Keys(files)) {
		paths, speakers := slices.Compact(files[class]), map[string]bool{}
		for _, file := range paths {
			who, _ := Speaker(file)
			speakers[who] = true
		}
		if n := len(speakers); n < len(p.open) && n < len(paths) {
			for _, file := range paths {
				byFile[file] = true
			}
			t.notes = append(t.notes, fmt.Sprintf("%s has clips of %d speaker(s) only, so its splits share speakers", class, n))
		}
	}
	copyOf := map[string]string{} // keys of copies: a speaker's, if one of them names a speaker
	for _, set := range t.copies {
		key := set[0]
		for _, file := range slices.Backward(set) {
			if who, named := Speaker(file); named && !byFile[file] {
				key = who
			}
		}
		for _, file := range set {
			copyOf[file] = key
		}
	}
	groups = map[string]*group{}
	for i := range t.clips {
		c := &t.clips[i]
		if c.split != Train {
			continue
		}
		key, named := Speaker(c.path)
		switch of, copied := copyOf[c.path]; {
		case named && !byFile[c.path]:
		case copied:
			key = of
		case byFile[c.path]:
			key = c.path
		}
		g := groups[key]
		if g == nil {
			g = &group{key: key, hash: nameHash(norm.NFC.String(path.Base(key))), count: map[string]int{}}
			if s := hashSplit(g.hash); slices.Contains(p.open, s) {
				g.split = s
			}
			groups[key] = g
		}
		if g.count[c.class]++; g.count[c.class] == 1 {
			p.classes[c.class] = append(p.classes[c.class], g)
		}
		g.clips = append(g.clips, c)
	}
	for _, members := range p.classes {
		slices.SortFunc(members, func(a, b *group) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.key, b.key))
		})
	}
	return groups
}

// fill moves groups until every class has clips in the open splits that it can serve. No move leaves a gap, so it ends.
func (p *partition) fill() {
	for _, to := range p.open {
		for _, class := range slices.Sorted(maps.Keys(p.classes)) {
			if !p.has(0, class, to) {
				continue
			}
			if i := slices.IndexFunc(p.classes[class], p.movable); i >= 0 {
				p.classes[class][i].split = to
			}
		}
	}
}

// movable reports whether no class needs g in its split.
func (p *partition) movable(g *group) bool {
	for class := range g.count {
		if p.has(1, class, g.split) {
			return false
		}
	}
	return true
}

// has reports whether n groups of a class are in a split that it can serve: training, or any if it has enough groups.
func (p *partition) has(n int, class string, s Split) bool {
	for _, g := range p.classes[class] {
		if g.split == s {
			n--
		}
	}
	return n == 0 && (s == Train || len(p.classes[class]) >= len(p.open))
}

// takes are names of clips that are takes of one recording, whose number is the submatch: those of ESC-50
// (FOLD-RECORDING-TAKE-CLASS) and UrbanSound8K (RECORDING-CLASS-OCCURRENCE-SLICE).
var takes = regexp.MustCompile(`^(?:\d+-(\d+)-[A-Z]|(\d+)-\d+-\d+)-\d+\.[^.]+$`)

// Speaker returns the part of a clip's name that names the speaker, or the recording that it is a take of; the whole
// base name where there is none. The file is a path with slashes.
func Speaker(file string) (name string, named bool) {
	base := path.Base(file)
	if m := takes.FindStringSubmatch(base); m != nil {
		return m[1] + m[2], true
	}
	name, _, named = strings.Cut(base, "_nohash_")
	return norm.NFC.String(name), named // the same split on every system
}

const setRange = 1 << 27 // of nameHash

// nameHash returns the hash of Google's which_set (Speech Commands README): the SHA-1 of name modulo setRange.
func nameHash(name string) uint32 {
	sum := sha1.Sum([]byte(name))
	return binary.BigEndian.Uint32(sum[len(sum)-4:]) % setRange
}

// hashSplit is which_set's decision: below 10 % validation, below 20 % test.
func hashSplit(hash uint32) Split {
	switch percent := float64(hash) * (100.0 / (setRange - 1)); {
	case percent < 10:
		return Valid
	case percent < 20:
		return Test
	}
	return Train
}
