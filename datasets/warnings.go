package datasets

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Warnings holds what was wrong with sound files that could be read all the same (audio.Clip.Warning), by their paths.
type Warnings map[string]string

var number = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?`)

// Sentences returns each sentence of the warnings once, with the first file that it is about and how many there are,
// sorted by these files. Sentences that differ in their numbers alone count as one.
func (w Warnings) Sentences() []string {
	type group struct {
		sentence, path string
		files          int
	}
	var groups []*group
	byKind := map[string]*group{}
	for _, path := range slices.Sorted(maps.Keys(w)) {
		for sentence := range strings.SplitSeq(w[path], "; ") {
			kind := number.ReplaceAllString(sentence, "0")
			if byKind[kind] == nil {
				byKind[kind] = &group{sentence: sentence, path: path}
				groups = append(groups, byKind[kind])
			}
			byKind[kind].files++
		}
	}
	var list []string
	for _, g := range groups {
		text := g.path + ": " + g.sentence
		if g.files > 1 {
			text += fmt.Sprintf(" (%d files in all are like this)", g.files)
		}
		list = append(list, text)
	}
	return list
}
