package datasets

import (
	"errors"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/detect"
)

// Clips from beyond the data folder train and nothing else, whatever a list beside them says.
func TestExtraFolders(t *testing.T) {
	f, more := speechCommands(t), newFolder(t)
	more.class("yes", 30)
	more.class("tree", 20)
	more.write("testing_list.txt", "yes/00000000_nohash_0.wav\n")
	o := Options{Words: []string{"yes", "no"}, Unknown: 0.1, Silence: 0.2, Seed: 1}
	without := f.open(o)
	o.Extra = []string{more.dir}
	with := f.open(o)
	counts, base := with.Counts(), without.Counts()
	for i, extra := range []int{30, 0, 20, 0} {
		if got := counts[i].Clips[Train] - base[i].Clips[Train]; got != extra {
			t.Errorf("%s: %d more training clips, want %d", counts[i].Label, got, extra)
		}
		if counts[i].Clips[Valid] != base[i].Clips[Valid] || counts[i].Clips[Test] != base[i].Clips[Test] {
			t.Errorf("%s: %v becomes %v", counts[i].Label, base[i].Clips, counts[i].Clips)
		}
	}
	a, errA := without.Digest(t.Context(), nil)
	b, errB := with.Digest(t.Context(), nil)
	if errors.Join(errA, errB) != nil || a == b {
		t.Errorf("digests %s and %s, %v, %v", a, b, errA, errB)
	}
}

func TestExtraErrors(t *testing.T) {
	f, more := speechCommands(t), newFolder(t)
	more.class("tree", 3)
	o := Options{Words: []string{"yes", "no"}, Extra: []string{more.dir}} // no _unknown_ to put a tree into
	if _, err := Open(f.dir, o); !errors.Is(err, ErrNoData) {
		t.Errorf("a folder without any of the words: %v", err)
	}
	more.class("no", 3)
	if s := f.open(o); s.Ignored["tree"] != 3 || slices.Contains(s.Labels, detect.UnknownLabel) {
		t.Errorf("labels %v, ignored %v", s.Labels, s.Ignored)
	}
	o.Extra = []string{more.path("none")}
	if _, err := Open(f.dir, o); !errors.Is(err, ErrNoData) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
