package datasets

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
)

// addExtra adds the clips of the folders of Options.Extra, whatever splits they state, for training. Those of no word of the
// set are all examples of _unknown_, where it has this label.
func (s *Set) addExtra(folders []string) error {
	unknown := slices.Index(s.Labels, UnknownLabel)
	for _, folder := range folders {
		t, err := scan(folder)
		if err != nil {
			return err
		}
		before := len(s.Items)
		for _, c := range t.clips {
			label := slices.Index(s.Labels, c.class)
			if label < 0 {
				label = unknown
			}
			if label < 0 {
				s.Ignored[c.class]++
				continue
			}
			file := filepath.Join(folder, filepath.FromSlash(c.path))
			s.Items = append(s.Items, Item{Path: file, Word: c.class, Label: label, Other: label == unknown, Split: Train})
			s.added = append(s.added, added{path: file, name: path.Join("extra", c.path)})
		}
		if len(s.Items) == before {
			return fmt.Errorf("%w: no folder of %s is named like one of the labels %s", ErrNoData, folder, enumerate(s.Labels))
		}
	}
	return nil
}
