package datasets

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/detect"
)

func TestWhichSet(t *testing.T) {
	golden, err := os.ReadFile("testdata/which_set.txt")
	if err != nil {
		t.Fatal(err)
	}
	splits := map[string]Split{"training": Train, "validation": Valid, "testing": Test}
	for line := range strings.Lines(string(golden)) {
		want, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		who, _ := Speaker(name)
		if got := hashSplit(nameHash(who)); got != splits[want] {
			t.Errorf("%s: %v, want %s", name, got, want)
		}
	}
}

// splitsBySpeaker returns in which splits each speaker's clips are.
func splitsBySpeaker(s *Set) map[string]map[Split]bool {
	found := map[string]map[Split]bool{}
	for _, it := range s.Items {
		who, _ := Speaker(filepath.ToSlash(it.Path))
		if found[who] == nil {
			found[who] = map[Split]bool{}
		}
		found[who][it.Split] = true
	}
	return found
}

func TestHashSplitKeepsSpeakersTogether(t *testing.T) {
	f := newFolder(t)
	for _, word := range []string{"a", "b"} {
		for speaker := range 60 {
			for clip := range 2 {
				f.clips(fmt.Sprintf("%s/speaker%d_nohash_%d.wav", word, speaker, clip))
			}
		}
	}
	s := f.open(Options{})
	for who, splits := range splitsBySpeaker(s) {
		if want := hashSplit(nameHash(who)); len(splits) != 1 || !splits[want] {
			t.Errorf("%s is in %v, want %v alone", who, splits, want)
		}
	}
}

func TestMissingList(t *testing.T) {
	f := newFolder(t)
	f.class("a", 100)
	f.class("b", 100)
	f.write("testing_list.txt", "a/00000000_nohash_0.wav\nb/00000000_nohash_0.wav\n")
	s := f.open(Options{})
	for _, it := range s.Items {
		name := path.Base(filepath.ToSlash(it.Path))
		who, _ := Speaker(name)
		want := hashSplit(nameHash(who))
		switch {
		case name == "00000000_nohash_0.wav":
			want = Test
		case want == Test:
			want = Train
		}
		if it.Split != want {
			t.Errorf("%s is in %v, want %v", name, it.Split, want)
		}
	}
}

// TestSmallFolders: whatever the hash does, every class with three clips or more gets some in each split, and training
// has clips of all.
func TestSmallFolders(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for variant, names := range map[string]string{
			"numbered":    "%s/%d.wav",
			"by class":    "%s/%[1]s %d.wav",
			"speakers":    "%s/voice%d_nohash_0.wav",
			"one speaker": "%s/me_nohash_%d.wav",
			"own speaker": "%s/%[1]s_nohash_%d.wav",
			"nested":      "%s/day%d/x.wav",
		} {
			f := newFolder(t)
			for _, word := range []string{"a", "b", "c"} {
				for i := range n {
					f.clips(fmt.Sprintf(names, word, i))
				}
			}
			f.class("many", 25)
			for _, c := range f.open(Options{}).Counts() {
				if c.Clips[Train] == 0 || n >= 3 && (c.Clips[Valid] == 0 || c.Clips[Test] == 0) {
					t.Errorf("%s, %d clips: %s has %v", variant, n, c.Label, c.Clips)
				}
			}
		}
	}
}

func TestOneSpeakerIsSplitByFile(t *testing.T) {
	f := newFolder(t)
	for i := range 5 {
		f.clips(fmt.Sprintf("left/me_nohash_%d.wav", i), fmt.Sprintf("right/me_nohash_%d.wav", i))
	}
	s := f.open(Options{})
	for _, c := range s.Counts() {
		if min(c.Clips[Train], c.Clips[Valid], c.Clips[Test]) == 0 {
			t.Errorf("%s has %v", c.Label, c.Clips)
		}
	}
	if len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "left") {
		t.Errorf("notes %q", s.Notes)
	}
}

func TestSplitFolders(t *testing.T) {
	f := newFolder(t)
	f.clips("Train/a/1.wav", "Train/a/2.wav", "Train/b/1.wav", "Train/b/2.wav", "val/a/1.wav", "val/b/1.wav",
		"test/a/3.wav", "test/b/3.wav")
	f.sound("_background_noise_/hum.wav", tone(100, 0.1, 20*testRate))
	s := f.open(Options{Silence: 1})
	for _, it := range s.Items {
		if it.Silence {
			continue
		}
		top, _, _ := strings.Cut(f.names([]Item{it})[0], "/")
		if want := splitFolders[strings.ToLower(top)]; it.Split != want {
			t.Errorf("%s is in %v", it.Path, it.Split)
		}
	}
	if !slices.Equal(s.Labels, []string{"a", "b", detect.SilenceLabel}) || len(s.Items) != 16 {
		t.Errorf("labels %v, %d items", s.Labels, len(s.Items))
	}
}

func TestSplitFoldersWithoutValidation(t *testing.T) {
	f := newFolder(t)
	f.class("train/a", 30)
	f.class("train/b", 30)
	f.clips("test/a/1.wav", "test/b/1.wav")
	for _, c := range f.open(Options{}).Counts() {
		if c.Clips[Test] != 1 || c.Clips[Valid] < 1 || c.Clips[Valid]+c.Clips[Train] != 30 {
			t.Errorf("%s has %v", c.Label, c.Clips)
		}
	}
}

func TestClassesNamedLikeSplits(t *testing.T) {
	f := newFolder(t)
	f.class("test", 10)
	f.class("train", 10)
	if s := f.open(Options{}); !slices.Equal(s.Labels, []string{"test", "train"}) {
		t.Errorf("labels %v", s.Labels)
	}
}

// TestFolds holds a fold out for the test, and a tenth of the others, or another fold, for validation.
func TestFolds(t *testing.T) {
	f := newFolder(t)
	for _, fold := range []string{"fold1", "fold2", "fold10", "fold3"} {
		for i := range 10 {
			f.clips(fmt.Sprintf("%s/dog/%s%d.wav", fold, fold, i), fmt.Sprintf("%s/rain/%s%d.wav", fold, fold, i))
		}
	}
	for _, c := range []struct {
		o           Options
		valid, test string // folds; "" where none is held out
		rule        string
	}{
		{Options{}, "", "fold10", "fold 10 for the test, and 10 % of the other folds for validation"},
		{Options{TestFold: 1}, "", "fold1", "fold 1 for the test, and 10 %"},
		{Options{TestFold: 2, ValidFold: 10}, "fold10", "fold2", "fold 2 for the test, fold 10 for validation"},
		{Options{TestFold: -1}, "", "", "nothing for the test"},
	} {
		s := f.open(c.o)
		of := func(split Split) map[string]int {
			folds := map[string]int{}
			for _, name := range f.names(s.Split(split)) {
				folds[strings.SplitN(name, "/", 2)[0]]++
			}
			return folds
		}
		valid, test := of(Valid), of(Test)
		if c.test == "" && len(test) > 0 || c.test != "" && (len(test) != 1 || test[c.test] != 20) {
			t.Errorf("%+v: the test has %v", c.o, test)
		}
		if n := len(s.Split(Valid)); c.valid != "" && valid[c.valid] != 20 || c.valid == "" && (n < 2 || n > 20) ||
			valid[c.test] > 0 || !strings.Contains(s.Rule, c.rule) || !slices.Equal(s.Folds, []int{1, 2, 3, 10}) {
			t.Errorf("%+v: %d validation clips in %v, %q", c.o, n, valid, s.Rule)
		}
	}
	for _, o := range []Options{{TestFold: 4}, {TestFold: 2, ValidFold: 2}} {
		if _, err := Open(f.dir, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}

// TestDealtFolds divides a folder without folds: every clip is in one, and no speaker in two.
func TestDealtFolds(t *testing.T) {
	f := newFolder(t)
	f.class("yes", 23)
	f.class("no", 10)
	f.clips("dog/1-17-A-0.wav", "dog/1-17-B-0.wav", "dog/2-18-A-0.wav", "dog/3-19-A-0.wav", "dog/3-19-B-0.wav")
	tested, folds := map[string]int{}, map[string]map[int]bool{}
	for fold := range 3 {
		s := f.open(Options{Folds: 3, TestFold: fold + 1})
		words := map[string]int{}
		for _, it := range s.Split(Test) {
			who, _ := Speaker(filepath.ToSlash(it.Path))
			if folds[who] == nil {
				folds[who] = map[int]bool{}
			}
			folds[who][fold] = true
			tested[it.Path]++
			words[it.Word]++
		}
		if words["yes"] < 5 || words["no"] < 2 || words["dog"] < 1 || len(s.Split(Valid)) == 0 {
			t.Errorf("fold %d has %v", fold+1, words)
		}
	}
	for who, in := range folds {
		if len(in) > 1 {
			t.Errorf("%s is in %d folds", who, len(in))
		}
	}
	if len(tested) != 38 {
		t.Errorf("%d clips were tested", len(tested))
	}
	for _, o := range []Options{{Folds: 4}, {Folds: 1}} { // three recordings of dogs; one fold
		if _, err := Open(f.dir, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
	f.write("testing_list.txt", "yes/00000000_nohash_0.wav\n")
	if _, err := Open(f.dir, Options{Folds: 3}); !errors.Is(err, ErrOptions) {
		t.Errorf("with a list: %v", err)
	}
}

func TestTakesOfOneRecording(t *testing.T) {
	for file, want := range map[string]string{
		"dog/1-100032-A-0.wav": "100032", "x/5-9-B-12.ogg": "9", "drill/100263-2-0-117.wav": "100263",
		"a/1-2.wav": "1-2.wav", "a/2024-01-02-03-04.wav": "2024-01-02-03-04.wav", "yes/0a_nohash_1.wav": "0a",
	} {
		if got, _ := Speaker(file); got != want {
			t.Errorf("%s is of %q, not %q", file, got, want)
		}
	}
}
