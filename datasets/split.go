package datasets

import (
	"cmp"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
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
	if t.folds != nil {
		return t.assignFolds(o)
	}
	open := slices.DeleteFunc([]Split{Train, Valid, Test}, func(s Split) bool { return s != Train && t.given[s] })
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

func (t *tree) assignFolds(o Options) error {
	// held returns the index of a held-out fold: by default, the one before the fold with index next.
	held := func(fold, next int) int {
		if fold == 0 {
			return (next + len(t.folds) - 1) % len(t.folds)
		}
		return slices.Index(t.folds, fold)
	}
	test := held(o.TestFold, 0)
	valid := held(o.ValidFold, max(test, 0))
	switch {
	case test < 0 || valid < 0:
		return fmt.Errorf("%w: test fold %d and validation fold %d (0: any) are not both among the folds %v",
			ErrOptions, o.TestFold, o.ValidFold, t.folds)
	case valid == test || len(t.folds) < 3:
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

// Speaker returns the part of a clip's name that names the speaker, the whole base name where there is none. The file
// is a path with slashes.
func Speaker(file string) (name string, named bool) {
	name, _, named = strings.Cut(path.Base(file), "_nohash_")
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
