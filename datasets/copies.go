package datasets

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	sampleBytes = 4 << 10 // of files of the same size, which are compared before all of them is
	namedCopies = 5       // sets of copies that a note names, at most
)

// findCopies finds recordings with the same content under several names, by their bytes: first by size, then by a part
// from the middle, then as a whole. Each of t.copies holds the paths of the same content, sorted. Files that cannot be
// read have no copies.
func (t *tree) findCopies() {
	var paths []string
	for _, c := range t.clips {
		if n := len(paths); n == 0 || paths[n-1] != c.path {
			paths = append(paths, c.path)
		}
	}
	sizes := make([]int64, len(paths))
	all := make([]int32, len(paths))
	for i := range all {
		all[i] = int32(i)
	}
	sets := refine([][]int32{all}, func(i int32) (uint64, bool) {
		info, err := os.Stat(t.file(paths[i]))
		if err == nil && info.Mode().IsRegular() {
			sizes[i] = info.Size()
		}
		return uint64(sizes[i]), sizes[i] > 0
	})
	sets = refine(sets, func(i int32) (uint64, bool) {
		return partSum(t.file(paths[i]), sizes[i]/2-sampleBytes/2, sampleBytes)
	})
	sets = refine(sets, func(i int32) (uint64, bool) { return partSum(t.file(paths[i]), 0, sizes[i]) })
	for _, set := range sets {
		var copies []string
		for _, i := range set {
			copies = append(copies, paths[i])
		}
		t.copies = append(t.copies, copies)
	}
	slices.SortFunc(t.copies, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
}

// refine divides sets into those whose members have the same key, and leaves out members that are alone or have none.
func refine(sets [][]int32, key func(i int32) (uint64, bool)) (finer [][]int32) {
	type member struct {
		key uint64
		i   int32
		ok  bool
	}
	for _, set := range sets {
		members := make([]member, len(set))
		forEach(context.Background(), len(set), nil, func(k int) error {
			sum, ok := key(set[k])
			members[k] = member{sum, set[k], ok}
			return nil
		})
		slices.SortFunc(members, func(a, b member) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.i, b.i)) })
		members = slices.DeleteFunc(members, func(m member) bool { return !m.ok })
		for len(members) > 0 {
			n := 1
			for n < len(members) && members[n].key == members[0].key {
				n++
			}
			if n > 1 {
				same := make([]int32, n)
				for k := range same {
					same[k] = members[k].i
				}
				finer = append(finer, same)
			}
			members = members[n:]
		}
	}
	return finer
}

// partSum returns 64 bits of the SHA-256 of n bytes of a file from an offset on; false if it cannot be read.
func partSum(path string, offset, n int64) (uint64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, max(offset, 0), n)); err != nil {
		return 0, false
	}
	return binary.BigEndian.Uint64(h.Sum(nil)), true
}

// assignSplits gives every clip its split, copies the same one: as divide does where it may, and otherwise by leaving
// out copies of clips that are held out. Where so many are copies that a class would have no clips for training, or
// none would be for validation, it leaves copies on both sides. Notes name copies.
func (t *tree) assignSplits(o Options) error {
	clips, notes, copies := slices.Clone(t.clips), slices.Clone(t.notes), t.copies
	if err := t.divide(o); err != nil {
		return err
	}
	if len(copies) == 0 {
		return nil
	}
	separated, said := t.separate()
	if served(separated) {
		t.clips = separated
		t.notes = append(t.notes, said...)
		return nil
	}
	t.clips, t.notes, t.copies = clips, notes, nil
	t.notes = append(t.notes, fmt.Sprintf("warning: %d recordings are there under several names, such as %s; too few "+
		"others are there to keep copies in one split, so that figures on the validation clips are better than the truth",
		len(copies), strings.Join(copies[0][:2], " = ")))
	return t.divide(o)
}

// served reports whether every class has clips for training, and any are for validation.
func served(clips []clip) bool {
	training, valid := map[string]bool{}, false
	for _, c := range clips {
		training[c.class] = training[c.class] || c.split == Train
		valid = valid || c.split == Valid
	}
	for _, has := range training {
		if !has {
			return false
		}
	}
	return valid
}

// separate returns the clips without those that have a copy in a split that comes before theirs: the test, validation,
// training. Notes say which these are, which are in several classes and which have copies otherwise.
func (t *tree) separate() (rest []clip, notes []string) {
	place := map[string]*clip{}
	for _, set := range t.copies {
		for _, path := range set {
			place[path] = nil
		}
	}
	for i := range t.clips {
		if c, copied := place[t.clips[i].path]; copied && c == nil {
			place[t.clips[i].path] = &t.clips[i]
		}
	}
	var kept, contradictory, dropped []string
	drop := map[string]bool{}
	for _, set := range t.copies {
		side, class, contradicts := Train, place[set[0]].class, false
		for _, path := range set {
			c := place[path]
			side = max(side, c.split)
			contradicts = contradicts || c.part == Span{} && c.class != class
		}
		var held, left []string
		for _, path := range set {
			if drop[path] = place[path].split != side; drop[path] {
				left = append(left, path)
			} else {
				held = append(held, path)
			}
		}
		switch names := strings.Join(set, " = "); {
		case contradicts:
			contradictory = append(contradictory, names)
		case len(left) == 0:
			kept = append(kept, names)
		}
		if len(left) > 0 {
			dropped = append(dropped, strings.Join(left, ", ")+" = "+held[0])
		}
	}
	note := func(says string, sets []string) {
		if len(sets) > 0 {
			notes = append(notes, says+": "+enumerate(sets, namedCopies))
		}
	}
	note("the same recording under several names, kept in one split", kept)
	note("warning: the same recording in several classes, of which one at most is right", contradictory)
	note("left out, since a copy is held out for validation or the test", dropped)
	return slices.DeleteFunc(slices.Clone(t.clips), func(c clip) bool { return drop[c.path] }), notes
}
