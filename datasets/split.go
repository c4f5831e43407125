package datasets

import (
	"crypto/sha1"
	"encoding/binary"
	"path"
	"slices"
	"strings"
)

// Shares of the hash split, in percent, as Speech Commands has them.
const (
	validPercent = 10
	testPercent  = 10
)

// assignSplits decides the split of every clip: by its folder where that says it, then by the lists, then by a hash of
// the speaker. Where only one list exists, its clips are taken out and the hash decides between the others.
func assignSplits(dir string, clips []clip) error {
	valid, err := readList(dir, "validation_list.txt")
	if err != nil {
		return err
	}
	test, err := readList(dir, "testing_list.txt")
	if err != nil {
		return err
	}
	byFolder := slices.ContainsFunc(clips, func(c clip) bool { return c.split != undecided })
	hashValid, hashTest := valid == nil, test == nil && !byFolder
	hashed := false
	for i := range clips {
		c := &clips[i]
		switch {
		case c.split >= Train:
		case valid[c.rel]:
			c.split = Valid
		case test[c.rel]:
			c.split = Test
		case valid != nil && test != nil:
			c.split = Train
		default:
			c.split = hashSplit(speaker(c.rel), hashValid, hashTest)
			hashed = true
		}
	}
	if hashed {
		fillSplits(clips, hashValid, hashTest)
	}
	return nil
}

// speaker returns what identifies the speaker of a clip: the part of its file name in front of `_nohash_`, or the name without
// its extension where there is no such part.
func speaker(rel string) string {
	name := path.Base(rel)
	if before, _, ok := strings.Cut(name, "_nohash_"); ok {
		return before
	}
	return strings.TrimSuffix(name, path.Ext(name))
}

// hashSplit is Speech Commands' which_set (Warden, 2018): the SHA-1 of the speaker, modulo 2²⁷, as a percentage.
func hashSplit(speaker string, valid, test bool) Split {
	sum := sha1.Sum([]byte(speaker))
	const buckets = 1 << 27
	percent := float64(binary.BigEndian.Uint32(sum[16:])%buckets) * 100 / (buckets - 1)
	switch {
	case percent < validPercent:
		if valid {
			return Valid
		}
	case percent < validPercent+testPercent:
		if test {
			return Test
		}
	}
	return Train
}

// fillSplits sees to it that a class with three speakers or more is in every split that a hash decides: small classes
// often miss one by chance. It moves that class's speaker with the smallest hash out of training, in all classes.
func fillSplits(clips []clip, valid, test bool) {
	want := []Split{Train}
	if valid {
		want = append(want, Valid)
	}
	if test {
		want = append(want, Test)
	}
	for _, word := range words(clips) {
		for _, split := range want[1:] {
			bySplit := speakers(clips, word)
			if len(bySplit[split]) > 0 || len(bySplit[Train]) < 2 {
				continue
			}
			moved := bySplit[Train][0]
			for i := range clips {
				if clips[i].split == Train && speaker(clips[i].rel) == moved {
					clips[i].split = split
				}
			}
		}
	}
}

// words returns the class folders in sorted order.
func words(clips []clip) []string {
	var list []string
	for _, c := range clips {
		list = append(list, c.word)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// speakers returns the speakers of a word in each split, ordered by hash.
func speakers(clips []clip, word string) map[Split][]string {
	bySplit := map[Split][]string{}
	for _, c := range clips {
		if c.word == word {
			bySplit[c.split] = append(bySplit[c.split], speaker(c.rel))
		}
	}
	for split, list := range bySplit {
		slices.SortFunc(list, func(a, b string) int {
			x, y := sha1.Sum([]byte(a)), sha1.Sum([]byte(b))
			return slices.Compare(x[:], y[:])
		})
		bySplit[split] = slices.Compact(list)
	}
	return bySplit
}
