package datasets

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCopies: the same content is on one side of the split, whatever its names are, and named.
func TestCopies(t *testing.T) {
	const left, kept, classes = "left out, since a copy is held out for validation or the test: ",
		"the same recording under several names, kept in one split: ",
		"warning: the same recording in several classes, of which one at most is right: "
	numbered := func(f folder) {
		for i := range 40 {
			f.clips(fmt.Sprintf("a/%d.wav", i), fmt.Sprintf("b/%d.wav", 100+i))
		}
	}
	speakers := func(f folder) { f.class("a", 40); f.class("b", 40) }
	stated := func(f folder) {
		f.clips("train/a/1.wav", "train/a/2.wav", "train/b/3.wav", "train/b/4.wav", "valid/a/5.wav", "valid/b/6.wav",
			"test/a/7.wav", "test/b/8.wav")
	}
	for _, c := range []struct {
		name   string
		build  func(f folder)
		copies []string // "original = copy", in order
		items  int
		notes  []string
	}{
		{"none", numbered, nil, 80, nil},
		{"a file's", numbered, []string{"a/0.wav = a/x.wav", "a/0.wav = a/y/z.flac", "b/107.wav = b/x.WAV"}, 83,
			[]string{kept + "a/0.wav = a/x.wav = a/y/z.flac, b/107.wav = b/x.WAV"}},
		{"of every file", numbered, func() (list []string) {
			for i := range 40 {
				list = append(list, fmt.Sprintf("a/%d.wav = a/copy%d.wav", i, i))
			}
			return list
		}(), 120, []string{kept + "a/0.wav = a/copy0.wav, a/1.wav = a/copy1.wav, a/10.wav = a/copy10.wav, " +
			"a/11.wav = a/copy11.wav, a/12.wav = a/copy12.wav, … (40 in all)"}},
		{"in two classes", numbered, []string{"a/3.wav = b/103.wav", "a/5.wav = b/x.wav"}, 81,
			[]string{classes + "a/3.wav = b/103.wav, a/5.wav = b/x.wav"}},
		{"a speaker's", speakers, []string{"a/00000000_nohash_0.wav = a/x.wav"}, 81,
			[]string{kept + "a/00000000_nohash_0.wav = a/x.wav"}},
		{"of training and validation", stated, []string{"valid/a/5.wav = train/a/9.wav"}, 8,
			[]string{left + "train/a/9.wav = valid/a/5.wav"}},
		{"of all splits", stated, []string{"test/b/8.wav = train/b/9.wav", "test/b/8.wav = valid/b/10.wav"}, 8,
			[]string{left + "train/b/9.wav, valid/b/10.wav = test/b/8.wav"}},
		{"of another class in the test", stated, []string{"test/b/8.wav = train/a/9.wav"}, 8,
			[]string{classes + "test/b/8.wav = train/a/9.wav", left + "train/a/9.wav = test/b/8.wav"}},
		{"within a split", stated, []string{"test/b/8.wav = test/b/9.wav"}, 9,
			[]string{kept + "test/b/8.wav = test/b/9.wav"}},
		{"of all there is", stated, []string{"test/a/7.wav = train/a/1.wav", "test/a/7.wav = train/a/2.wav"}, 8,
			[]string{"warning: 1 recordings are there under several names, such as test/a/7.wav = train/a/1.wav; " +
				"too few others are there to keep copies in one split, so that figures on the validation clips are better " +
				"than the truth"}},
	} {
		f := newFolder(t)
		c.build(f)
		for _, names := range c.copies {
			from, to, _ := strings.Cut(names, " = ")
			content, err := os.ReadFile(f.path(from))
			if err != nil {
				t.Fatal(err)
			}
			f.write(to, string(content))
		}
		s := f.open(Options{})
		if len(s.Items) != c.items || !slices.Equal(s.Notes, c.notes) {
			t.Errorf("%s: %d items, want %d; notes\n%s\nwant\n%s", c.name, len(s.Items), c.items,
				strings.Join(s.Notes, "\n"), strings.Join(c.notes, "\n"))
		}
		if c.name == "of all there is" {
			continue
		}
		split := map[string]Split{}
		for _, it := range s.Items {
			content, err := os.ReadFile(it.Path)
			if err != nil {
				t.Fatal(err)
			}
			if known, ok := split[string(content)]; ok && known != it.Split {
				t.Errorf("%s: %s is in %v, a copy in %v", c.name, it.Path, it.Split, known)
			}
			split[string(content)] = it.Split
		}
	}
}

// TestAlmostCopies have the same size, and the same bytes in the middle.
func TestAlmostCopies(t *testing.T) {
	f := newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	for i, class := range []string{"a", "a", "b", "b"} {
		samples := make([]float32, 10000)
		samples[20], samples[9000] = float32(i/2)/2, float32(i%2)/2
		f.sound(fmt.Sprintf("%s/almost%d.wav", class, i), samples)
	}
	f.write("a/empty1.wav", "")
	f.write("b/empty2.wav", "")
	if s := f.open(Options{}); len(s.Items) != 26 || len(s.Notes) != 0 {
		t.Errorf("%d items, notes %q", len(s.Items), s.Notes)
	}
}

// TestNamesInAnyUnicodeForm: macOS writes é as e and an accent, in folders, lists, words and models.
func TestNamesInAnyUnicodeForm(t *testing.T) {
	const composed, decomposed = "caf\u00e9", "cafe\u0301"
	for _, c := range []struct{ name, folder, word string }{
		{"folders of macOS", decomposed, composed},
		{"words of macOS", composed, decomposed},
		{"all of macOS", decomposed, decomposed},
		{"Hangul", "\u1112\u1161\u11ab", "\ud55c"},
	} {
		f := newFolder(t)
		f.class("a", 20)
		f.class(c.folder, 20)
		want := []string{normalised([]string{c.word})[0], "a"}
		s := f.open(Options{Words: []string{c.word, "a"}})
		if !slices.Equal(s.Labels, want) || len(s.Items) != 40 {
			t.Errorf("%s: labels %q, want %q; %d items", c.name, s.Labels, want, len(s.Items))
		}
		s = f.open(Options{Labels: []string{"a", c.word}})
		if s.Labels[1] != c.word || len(s.Items) != 40 || len(s.Ignored) > 0 {
			t.Errorf("%s: a model's labels %q, %d items, ignored %v", c.name, s.Labels, len(s.Items), s.Ignored)
		}
		f.write("testing_list.txt", c.word+"/00000000_nohash_0.wav\na/00000000_nohash_0.wav\n")
		if n := len(f.open(Options{}).Split(Test)); n != 2 {
			t.Errorf("%s: %d clips of the list are for the test", c.name, n)
		}
		if _, err := Open(f.dir, Options{Words: []string{composed, decomposed}}); err == nil {
			t.Errorf("%s: no error of a word that is given twice", c.name)
		}
	}
	if !SameLabel(composed, decomposed) || SameLabel(composed, "cafe") {
		t.Error("labels are not compared in one form of Unicode")
	}
	a, _ := Speaker("x/" + composed + "_nohash_0.wav")
	b, _ := Speaker("y/" + decomposed + "_nohash_1.wav")
	if a != b {
		t.Errorf("speakers %q and %q", a, b)
	}
}

// TestNotesOnWhatIsNotUsed names loose clips and labels without validation clips.
func TestNotesOnWhatIsNotUsed(t *testing.T) {
	two := func(f folder) { f.class("a", 20); f.class("b", 20) }
	for _, c := range []struct {
		name  string
		build func(f folder)
		notes []string
	}{
		{"nothing", two, nil},
		{"loose clips", func(f folder) { two(f); f.clips("x.wav", "y.flac") },
			[]string{"ignored 2 sound file(s) that are in no class folder: x.wav, y.flac"}},
		{"many loose clips", func(f folder) { two(f); f.clips("1.wav", "2.wav", "3.wav", "4.wav", "5.wav", "6.wav") },
			[]string{"ignored 6 sound file(s) that are in no class folder: 1.wav, 2.wav, 3.wav, 4.wav, 5.wav, …"}},
		{"loose clips in folders of splits", func(f folder) {
			f.clips("train/a/1.wav", "train/b/2.wav", "train/x.wav", "valid/a/3.wav", "valid/b/4.wav", "test/a/5.wav")
		}, []string{"ignored 1 sound file(s) that are in no class folder: train/x.wav"}},
		{"loose clips in folds", func(f folder) {
			f.clips("fold1/a/1.wav", "fold1/b/2.wav", "fold2/a/3.wav", "fold2/b/4.wav", "fold3/a/5.wav", "fold2/x.wav")
		}, []string{"ignored 1 sound file(s) that are in no class folder: fold2/x.wav"}},
		{"labels without validation", func(f folder) {
			f.clips("train/a/1.wav", "train/b/2.wav", "train/c/3.wav", "valid/b/4.wav", "test/a/5.wav")
		}, []string{"no validation clips of a, c: nothing measures how well it is learnt"}},
		{"a label with one clip", func(f folder) { two(f); f.clips("c/1.wav") },
			[]string{"no validation clips of c: nothing measures how well it is learnt"}},
	} {
		f := newFolder(t)
		c.build(f)
		if got := f.open(Options{}).Notes; !slices.Equal(got, c.notes) {
			t.Errorf("%s: notes %q, want %q", c.name, got, c.notes)
		}
	}
}
