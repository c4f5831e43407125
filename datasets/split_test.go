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

func TestFolds(t *testing.T) {
	f := newFolder(t)
	for _, fold := range []string{"fold1", "fold2", "fold10", "fold3"} {
		f.clips(fold+"/dog/x.wav", fold+"/rain/x.wav")
	}
	for _, c := range []struct {
		o           Options
		valid, test string
	}{
		{Options{}, "fold3", "fold10"},
		{Options{TestFold: 1}, "fold10", "fold1"},
		{Options{TestFold: 2, ValidFold: 10}, "fold10", "fold2"},
	} {
		s := f.open(c.o)
		valid, test := f.names(s.Split(Valid)), f.names(s.Split(Test))
		if !slices.Equal(valid, []string{c.valid + "/dog/x.wav", c.valid + "/rain/x.wav"}) ||
			!slices.Equal(test, []string{c.test + "/dog/x.wav", c.test + "/rain/x.wav"}) || len(s.Split(Train)) != 4 {
			t.Errorf("%+v: validation %v, test %v", c.o, valid, test)
		}
	}
	for _, o := range []Options{{TestFold: 4}, {TestFold: 2, ValidFold: 2}} {
		if _, err := Open(f.dir, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: error %v", o, err)
		}
	}
}
