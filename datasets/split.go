package datasets

import (
	"cmp"
	"crypto/sha1"
	"fmt"
	"maps"
	"math/big"
	"path"
	"slices"
	"strings"
)

// assignSplits gives every clip that neither a folder nor a list placed its split: training where both other splits
// are given, otherwise by hash. It returns notes for the user.
//
// The hash is that of Google's which_set (Speech Commands README): SHA-1 of the base name with everything from
// `_nohash_` on removed, 10 % validation, 10 % test, so that a speaker stays in one split and clips keep theirs when
// others are added. Small folders need more than that:
//
//   - a class with fewer speakers than splits but enough clips is split by file (a note says so);
//   - a class that the hash leaves without clips in a split gets a whole speaker (or file) moved there, as long as
//     that empties no other split of any class; training comes first.
func (t *tree) assignSplits(o Options) (notes []string, err error) {
	if t.folds != nil {
		return nil, t.assignFolds(o)
	}
	p := partition{open: []Split{Train}, classes: map[string][]*group{}}
	for _, s := range []Split{Valid, Test} {
		if !t.given[s] {
			p.open = append(p.open, s)
		}
	}
	if len(p.open) == 1 {
		return nil, nil
	}
	notes = t.gather(&p)
	p.fill()
	for _, members := range p.classes {
		for _, g := range members {
			for _, i := range g.clips {
				t.clips[i].split = g.split
			}
		}
	}
	return notes, nil
}

func (t *tree) assignFolds(o Options) error {
	held := func(fold, next int, name string) (int, error) {
		i := slices.Index(t.folds, fold)
		switch {
		case fold == 0:
			return (next + len(t.folds) - 1) % len(t.folds), nil
		case i < 0:
			return 0, fmt.Errorf("%w: %s fold %d is not among the folds %v", ErrOptions, name, fold, t.folds)
		}
		return i, nil
	}
	test, err := held(o.TestFold, 0, "test")
	if err != nil {
		return err
	}
	valid, err := held(o.ValidFold, test, "validation")
	if err != nil {
		return err
	}
	if valid == test || len(t.folds) < 3 {
		return fmt.Errorf("%w: of the folds %v, one is for validation, another for the test and at least one for training",
			ErrOptions, t.folds)
	}
	for i, c := range t.clips {
		switch c.fold {
		case t.folds[test]:
			t.clips[i].split = Test
		case t.folds[valid]:
			t.clips[i].split = Valid
		}
	}
	return nil
}

// group is a set of clips that must not be divided: a speaker's, or a single file.
type group struct {
	key   string
	hash  uint32
	split Split
	clips []int          // indices into tree.clips
	count map[string]int // clips by class
}

// partition divides groups between the splits that neither folders nor lists give.
type partition struct {
	open    []Split
	classes map[string][]*group // sorted by hash
}

// gather groups the clips that are not placed yet and hashes each group into one of the open splits.
func (t *tree) gather(p *partition) (notes []string) {
	speakers := map[string]map[string]bool{}
	clips := map[string]int{}
	for _, c := range t.clips {
		if c.split == Train {
			if speakers[c.class] == nil {
				speakers[c.class] = map[string]bool{}
			}
			speakers[c.class][speaker(c.path)] = true
			clips[c.class]++
		}
	}
	byFile := map[string]bool{}
	for _, class := range slices.Sorted(maps.Keys(speakers)) {
		if n := len(speakers[class]); n < len(p.open) && n < clips[class] {
			byFile[class] = true
			notes = append(notes, fmt.Sprintf("%s has clips of %d speaker(s) only, so its splits share speakers", class, n))
		}
	}
	groups := map[string]*group{}
	for i, c := range t.clips {
		if c.split != Train {
			continue
		}
		key, hashed := speaker(c.path), speaker(c.path)
		if byFile[c.class] {
			key, hashed = c.path, path.Base(c.path)
		}
		g := groups[key]
		if g == nil {
			hash := nameHash(hashed)
			g = &group{key: key, hash: hash, split: hashSplit(hash), count: map[string]int{}}
			if !slices.Contains(p.open, g.split) {
				g.split = Train
			}
			groups[key] = g
		}
		if g.count[c.class]++; g.count[c.class] == 1 {
			p.classes[c.class] = append(p.classes[c.class], g)
		}
		g.clips = append(g.clips, i)
	}
	for _, members := range p.classes {
		slices.SortFunc(members, func(a, b *group) int {
			return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.key, b.key))
		})
	}
	return notes
}

// fill moves groups until every class has clips in the open splits that it can serve. Each move fills one
// gap and makes none, so it ends.
func (p *partition) fill() {
	for _, to := range p.open {
		for _, class := range slices.Sorted(maps.Keys(p.classes)) {
			if p.count(class, to) > 0 || !p.serves(class, to) {
				continue
			}
			for _, g := range p.classes[class] {
				if p.movable(g) {
					g.split = to
					break
				}
			}
		}
	}
}

// serves tells whether a class has groups enough for a split.
func (p *partition) serves(class string, s Split) bool {
	return s == Train || len(p.classes[class]) >= len(p.open)
}

// count returns how many of a class's groups are in a split.
func (p *partition) count(class string, s Split) int {
	n := 0
	for _, g := range p.classes[class] {
		if g.split == s {
			n++
		}
	}
	return n
}

// movable tells whether no class needs g where it is.
func (p *partition) movable(g *group) bool {
	for class := range g.count {
		if p.count(class, g.split) == 1 && p.serves(class, g.split) {
			return false
		}
	}
	return true
}

// speaker returns the part of a clip's name that tells who speaks, the whole base name where nothing tells it.
func speaker(file string) string {
	name, _, _ := strings.Cut(path.Base(file), "_nohash_")
	return name
}

// setRange is the range of which_set's hash.
const setRange = 1 << 27

// nameHash returns the SHA-1 of name, as a number, modulo setRange.
func nameHash(name string) uint32 {
	sum := sha1.Sum([]byte(name))
	h := new(big.Int).SetBytes(sum[:])
	return uint32(h.Mod(h, big.NewInt(setRange)).Int64())
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
