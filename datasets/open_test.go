package datasets

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/internal/need"
)

// speechCommands writes the layout of Google Speech Commands.
func speechCommands(t testing.TB) folder {
	f := newFolder(t)
	for _, word := range []string{"no", "yes", "bed", "cat", "dog"} {
		f.class(word, 40)
	}
	for _, name := range []string{"rain.wav", "street.wav"} {
		f.sound(noiseFolder+"/"+name, tone(100, 0.1, 20*testRate))
	}
	f.write("README.md", "text")
	f.write(noiseFolder+"/README.md", "text")
	f.write("no/notes.txt", "text")
	f.write("no/._00000000_nohash_0.wav", "resource fork")
	f.write("__MACOSX/no/x.wav", "resource fork")
	f.write(".git/no/x.wav", "hidden")
	f.write("validation_list.txt", "no/00000000_nohash_0.wav\r\n\r\nyes\\00000000_nohash_0.wav\n"+
		"bed/00000000_nohash_0.wav\nleft/not_there.wav\n")
	f.write("testing_list.txt", "no/9e3779b1_nohash_0.wav\nyes/9e3779b1_nohash_0.wav\ncat/9e3779b1_nohash_0.wav\n")
	return f
}

func TestSpeechCommands(t *testing.T) {
	f := speechCommands(t)
	s := f.open(Options{Words: []string{"yes", "no"}, Unknown: 0.1, Silence: 0.2, Seed: 1})
	if want := []string{"yes", "no", detect.UnknownLabel, detect.SilenceLabel}; !slices.Equal(s.Labels, want) {
		t.Fatalf("labels %v, want %v", s.Labels, want)
	}
	// 38 of 40 clips of each word train; 0.1 of 76 is rounded up.
	want := []Count{
		{"yes", [3]int{38, 1, 1}}, {"no", [3]int{38, 1, 1}},
		{detect.UnknownLabel, [3]int{8, 1, 1}}, {detect.SilenceLabel, [3]int{16, 1, 1}},
	}
	if got := s.Counts(); !slices.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
	words := map[string]int{}
	for _, it := range s.Items {
		if it.Split == Train && s.Labels[it.Label] == detect.UnknownLabel {
			words[it.Word]++
		}
	}
	for _, word := range []string{"bed", "cat", "dog"} {
		if n := words[word]; n < 2 || n > 3 {
			t.Errorf("_unknown_ has %d clips of %s: not even (%v)", n, word, words)
		}
	}
	valid := []string{"no/00000000_nohash_0.wav", "yes/00000000_nohash_0.wav", "bed/00000000_nohash_0.wav"}
	if got, want := f.names(s.Split(Valid))[:3], valid; !slices.Equal(got, want) {
		t.Errorf("validation %v, want %v", got, want)
	}
	if len(s.Split(All)) != len(s.Items) || len(s.Ignored) != 0 || len(s.Notes) != 0 {
		t.Errorf("%d of %d items, ignored %v, notes %v", len(s.Split(All)), len(s.Items), s.Ignored, s.Notes)
	}
}

// TestSpeechCommandsV2 opens what the archive of Speech Commands v0.02 unpacks to: 35 words, each speaker's clips of a
// word numbered, official lists.
func TestSpeechCommandsV2(t *testing.T) {
	words := strings.Fields(`backward bed bird cat dog down eight five follow forward four go happy house learn left
		marvin nine no off on one right seven sheila six stop three tree two up visual wow yes zero`)
	f := newFolder(t)
	for _, name := range []string{"LICENSE", "README.md", ".DS_Store", noiseFolder + "/README.md"} {
		f.write(name, "text")
	}
	for _, name := range []string{
		"doing_the_dishes", "dude_miaowing", "exercise_bike", "pink_noise", "running_tap", "white_noise",
	} {
		f.sound(noiseFolder+"/"+name+".wav", tone(100, 0.1, 10*testRate))
	}
	var valid, test []string
	for _, word := range words {
		clips := []string{
			word + "/0a7c2a8d_nohash_0.wav", word + "/0a7c2a8d_nohash_1.wav",
			word + "/0132a06d_nohash_2.wav", word + "/01648c51_nohash_0.wav",
		}
		f.clips(clips...)
		valid, test = append(valid, clips[2]), append(test, clips[3])
	}
	f.write("validation_list.txt", strings.Join(valid, "\n")+"\n")
	f.write("testing_list.txt", strings.Join(test, "\n")+"\n")

	s := f.open(Options{Silence: 0.1, Seed: 1})
	if want := append(slices.Clone(words), detect.SilenceLabel); !slices.Equal(s.Labels, want) {
		t.Fatalf("labels %v, want the 35 words and silence", s.Labels)
	}
	for _, c := range s.Counts()[:len(words)] {
		if c.Clips != [All]int{2, 1, 1} {
			t.Errorf("%s: %v clips to train, validate and test, want 2, 1 and 1", c.Label, c.Clips)
		}
	}
	if len(s.Noise) != 6 || len(s.Ignored) != 0 || len(s.Notes) != 0 {
		t.Errorf("%d noise recordings, ignored %v, notes %q", len(s.Noise), s.Ignored, s.Notes)
	}
}

func TestDrawsFollowTheSeedInTrainingOnly(t *testing.T) {
	f := speechCommands(t)
	open := func(seed int64) *Set {
		return f.open(Options{Words: []string{"yes", "no"}, Unknown: 0.1, Silence: 0.1, Seed: seed})
	}
	a, again, b := open(1), open(1), open(2)
	if !slices.Equal(a.Items, again.Items) {
		t.Error("the same options give other items")
	}
	if slices.Equal(a.Split(Train), b.Split(Train)) {
		t.Error("the seed does not change the training examples")
	}
	for _, split := range []Split{Valid, Test} {
		if !slices.Equal(a.Split(split), b.Split(split)) {
			t.Errorf("the seed changes the %v examples", split)
		}
	}
}

// TestFewOthersAreRepeated asks for more examples of other words than there are clips.
func TestFewOthersAreRepeated(t *testing.T) {
	f := newFolder(t)
	f.class("a", 40)
	f.class("b", 5)
	for _, share := range []float64{0.05, 0.25, 100} {
		s := f.open(Options{Words: []string{"a"}, Unknown: share})
		shown := map[string]int{}
		for _, it := range s.Split(Train) {
			if it.Other {
				shown[it.Path]++
			}
		}
		words, total := 0, 0
		for _, it := range s.Items {
			if it.Word == "a" && it.Split == Train {
				words++
			}
		}
		for path, n := range shown {
			total += n
			if n > otherRounds {
				t.Errorf("share %v: %s is shown %d times", share, path, n)
			}
		}
		most := otherRounds * len(shown)
		if asked := int(math.Ceil(share * float64(words))); total != min(asked, most) {
			t.Errorf("share %v of %d clips: %d examples of %d clips", share, words, total, len(shown))
		}
		for _, split := range []Split{Valid, Test} {
			seen := map[string]bool{}
			for _, it := range s.Split(split) {
				if it.Other && seen[it.Path] {
					t.Errorf("%s is in the %v split twice", it.Path, split)
				}
				seen[it.Path] = true
			}
		}
	}
}

func TestNoUnknownWithoutShare(t *testing.T) {
	s := speechCommands(t).open(Options{Words: []string{"yes", "no"}})
	if !slices.Equal(s.Labels, []string{"yes", "no"}) {
		t.Errorf("labels %v", s.Labels)
	}
	if s.Ignored["bed"] != 40 || s.Ignored["cat"] != 40 || len(s.Ignored) != 3 {
		t.Errorf("ignored %v", s.Ignored)
	}
}

func TestLabelsOfAModel(t *testing.T) {
	f := speechCommands(t)
	s := f.open(Options{Labels: []string{detect.SilenceLabel, "yes", "left", detect.UnknownLabel}, Silence: 0.5})
	if got, want := s.Counts(), []Count{
		{detect.SilenceLabel, [3]int{19, 1, 1}}, {"yes", [3]int{38, 1, 1}}, {"left", [3]int{}},
		{detect.UnknownLabel, [3]int{156, 2, 2}},
	}; !slices.Equal(got, want) {
		t.Errorf("counts %v, want %v", got, want)
	}
	s = f.open(Options{Labels: []string{"yes", "no"}})
	if len(s.Items) != 80 || s.Ignored["bed"] != 40 {
		t.Errorf("%d items, ignored %v", len(s.Items), s.Ignored)
	}
}

func TestReadyMadeExamples(t *testing.T) {
	f := newFolder(t)
	f.class("a", 20)
	f.class("b", 20)
	f.class("c", 20)
	f.class(detect.UnknownLabel, 3)
	f.class(detect.SilenceLabel, 4)
	every := f.open(Options{})
	want := []string{"a", "b", "c", detect.UnknownLabel, detect.SilenceLabel}
	if !slices.Equal(every.Labels, want) || len(every.Items) != 67 {
		t.Errorf("labels %v, %d items", every.Labels, len(every.Items))
	}
	s := f.open(Options{Words: []string{"b", "a"}, Unknown: 0.25, Silence: 0.1})
	total := map[string]int{}
	for _, c := range s.Counts() {
		total[c.Label] = c.Clips[Train] + c.Clips[Valid] + c.Clips[Test]
	}
	if total[detect.SilenceLabel] != 4 || total[detect.UnknownLabel] < 10 || total[detect.UnknownLabel] > 12 {
		t.Errorf("counts %v: want the 4 clips of silence, and the 3 of _unknown_ filled up to a quarter of 40",
			s.Counts())
	}
}

func TestLinks(t *testing.T) {
	f, elsewhere := newFolder(t), newFolder(t)
	f.class("a", 10)
	elsewhere.class("recordings", 10)
	for link, target := range map[string]string{
		"b":            elsewhere.path("recordings"),
		"a/around":     f.path("a"),
		"a/single.WAV": elsewhere.path("recordings/00000000_nohash_0.wav"),
		"a/gone.wav":   elsewhere.path("nothing.wav"),
		"gone":         elsewhere.path("nothing"),
	} {
		need.Host(t, "symbolic links", os.Symlink(target, f.path(link)))
	}
	s := f.open(Options{})
	total := func(c Count) int { return c.Clips[Train] + c.Clips[Valid] + c.Clips[Test] }
	if c := s.Counts(); len(c) != 2 || total(c[0]) != 12 || total(c[1]) != 10 {
		t.Errorf("counts %v", c)
	}
	if _, err := s.Digest(t.Context(), nil); err != nil {
		t.Errorf("digest with a dangling link: %v", err)
	}
}

// Folders that cannot be read, here since their paths are too long, are not left out: training would lack their clips.
func TestUnreadableFolders(t *testing.T) {
	f, noise := newFolder(t), newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	noise.clips("1.wav")
	for _, name := range []string{f.path("a"), noise.dir} {
		dir, err := os.OpenRoot(name)
		for i := 0; i < 25 && err == nil; i++ {
			parent, deeper := dir, strings.Repeat("d", 200)
			if err = parent.Mkdir(deeper, 0o700); err == nil {
				dir, err = parent.OpenRoot(deeper)
			}
			parent.Close()
		}
		need.Host(t, "deep folders", err)
		dir.Close()
	}
	_, err := Open(f.dir, Options{})
	if !errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), f.path("a")+string(filepath.Separator)+"d") {
		t.Errorf("error %v does not name the folder", err)
	}
	if _, err := Open(f.dir, Options{Noise: []string{noise.dir}}); err == nil {
		t.Error("no error from a noise folder that cannot be read")
	}
}

func TestOpenErrors(t *testing.T) {
	two := func(f folder) { f.class("a", 10); f.class("b", 10) }
	for _, c := range []struct {
		name  string
		build func(f folder)
		o     Options
		want  error
		says  string
	}{
		{"empty folder", func(folder) {}, Options{}, ErrNoData, "no folders with sound files (.wav, "},
		{"clips without folders", func(f folder) { f.clips("1.wav", "2.wav") }, Options{}, ErrNoData,
			"no folders with"},
		{"only a README", func(f folder) { f.write("a/README", "") }, Options{}, ErrNoData, "no folders with"},
		{"one class", func(f folder) { f.class("a", 10) }, Options{}, ErrNoData, "single class a"},
		{"class without clips", func(f folder) { two(f); f.write("c/x.txt", "") }, Options{}, ErrNoData,
			"folder c has no"},
		{"class in another format", func(f folder) { two(f); f.write("c/x.m4a", ""); f.write("cc/y.wma", "") }, Options{},
			ErrNoData, "remove it, or name the words to learn; ignored 1 file(s) of sound formats that are not read, which " +
				"an installed ffmpeg decodes with --decode-with ffmpeg: c/x.m4a"},
		{"nothing but other formats", func(f folder) { f.write("a/x.AMR", ""); f.write("b/y.webm", "") }, Options{},
			ErrNoData, "ignored 2 file(s) of sound formats that are not read"},
		{"one class has a remedy", func(f folder) { f.class("a", 10) }, Options{}, ErrNoData, "in a folder _unknown_"},
		{"word without clips", func(f folder) { two(f); f.write("c/x.txt", "") }, Options{Words: []string{"a", "c"}},
			ErrNoData, "folder c has no"},
		{"word without folder", two, Options{Words: []string{"a", "left"}}, ErrOptions,
			`"left"; the folders are: a, b`},
		{"word given twice", two, Options{Words: []string{"a", "a"}}, ErrOptions, `"a" is given twice`},
		{"unknown as a word", two, Options{Words: []string{"a", detect.UnknownLabel}}, ErrOptions, "not a word"},
		{"words and labels", two, Options{Words: []string{"a"}, Labels: []string{"a"}}, ErrOptions, "both"},
		{"negative share", two, Options{Unknown: -1}, ErrOptions, "unknown share"},
		{"no label matches", two, Options{Labels: []string{"x", "y"}}, ErrNoData, "labels x, y"},
		{"no training", func(f folder) { two(f); f.write("testing_list.txt", listOf(f, "a")) }, Options{},
			ErrNoData, "a has no training clips"},
		{"no validation", func(f folder) { two(f); f.write("validation_list.txt", "\n") }, Options{},
			ErrNoData, "validation"},
		{"list of another set", func(f folder) { two(f); f.write("validation_list.txt", "c/1.wav\n") }, Options{},
			ErrNoData, "none of the 1 lines"},
		{"in both lists", func(f folder) {
			two(f)
			f.write("validation_list.txt", "a/00000000_nohash_0.wav")
			f.write("testing_list.txt", "a/00000000_nohash_0.wav")
		}, Options{}, ErrOptions, "in both"},
		{"no training folder", func(f folder) { f.clips("test/a/1.wav", "valid/b/1.wav") }, Options{},
			ErrNoData, "no training clips"},
		{"two folds", func(f folder) { f.clips("fold1/a/1.wav", "fold2/a/1.wav", "fold1/b/1.wav") }, Options{ValidFold: 1},
			ErrOptions, "folds [1 2]"},
	} {
		f := newFolder(t)
		c.build(f)
		if _, err := Open(f.dir, c.o); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %v with %q", c.name, err, c.want, c.says)
		}
	}
	_, err := Open(filepath.Join(t.TempDir(), "nowhere"), Options{})
	if !errors.Is(err, ErrNoData) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: error %v", err)
	}
}

// listOf returns a split list of all clips of a class.
func listOf(f folder, class string) string {
	entries, err := os.ReadDir(f.path(class))
	if err != nil {
		f.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s/%s\n", class, e.Name())
	}
	return b.String()
}

func TestNoise(t *testing.T) {
	f := newFolder(t)
	f.class("a", 20)
	f.class("b", 20)
	f.write(noiseFolder+"/broken.wav", "RIFF")
	s := f.open(Options{Silence: 0.5})
	if !slices.Equal(s.Labels, []string{"a", "b"}) || len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "broken.wav") {
		t.Errorf("labels %v, notes %q", s.Labels, s.Notes)
	}
	for i := range 20 {
		f.sound(fmt.Sprintf("%s/%d.wav", noiseFolder, i), make([]float32, testRate))
	}
	f.sound(noiseFolder+"/deeper/long.WAV", make([]float32, 20*testRate))
	s = f.open(Options{Silence: 0.5})
	whole := [All]int{}
	for _, r := range s.Noise {
		if strings.HasSuffix(r.Path, "long.WAV") {
			if want := ([All]Span{{0, 16}, {16, 18}, {18, 20}}); r.Parts != want {
				t.Errorf("20 seconds are divided into %v", r.Parts)
			}
			continue
		}
		for split, part := range r.Parts {
			if part == (Span{0, 1}) {
				whole[split]++
			}
		}
	}
	if whole != [All]int{16, 2, 2} {
		t.Errorf("20 short recordings are given to the splits as %v", whole)
	}
	if counts := s.Counts()[2].Clips; min(counts[Train], counts[Valid], counts[Test]) == 0 {
		t.Errorf("counts of silence %v", counts)
	}
}

func TestIgnoredClips(t *testing.T) {
	f := newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	f.clips("stray.wav", "stray2.flac")
	if s := f.open(Options{}); s.Ignored["."] != 2 || len(s.Ignored) != 1 {
		t.Errorf("ignored %v", s.Ignored)
	}
}

func TestDigest(t *testing.T) {
	f := speechCommands(t)
	digest := func(o Options) string {
		d, err := f.open(o).Digest(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	var names []string
	for _, pattern := range []string{"??/*.wav", "???/*.wav", noiseFolder + "/*.wav", "*_list.txt"} {
		found, _ := filepath.Glob(f.path(pattern))
		names = append(names, found...)
	}
	var lines []string
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "._") {
			continue
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(f.dir, name)
		lines = append(lines, fmt.Sprintf("%s\x00%x", filepath.ToSlash(rel), sha256.Sum256(content)))
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, line := range lines {
		name, sum, _ := strings.Cut(line, "\x00")
		fmt.Fprintf(h, "%s  %s\n", sum, name)
	}
	before := digest(Options{})
	if want := fmt.Sprintf("%x", h.Sum(nil)); before != want {
		t.Errorf("digest %s, want %s", before, want)
	}
	if d := digest(Options{Words: []string{"yes"}, Unknown: 0.1, Seed: 3}); d != before {
		t.Error("the digest depends on the options")
	}
	f.write("README.md", "other text")
	if digest(Options{}) != before {
		t.Error("the digest depends on the README")
	}
	f.sound("cat/00000000_nohash_0.wav", tone(500, 0.1, 40))
	if digest(Options{}) == before {
		t.Error("the digest does not depend on a clip")
	}
}

func FuzzReadList(f *testing.F) {
	f.Add("a/1.wav\nb/2.wav\r\n")
	f.Add("\uFEFFa\\1.wav\n\n  \n/../x")
	f.Fuzz(func(t *testing.T, text string) {
		entries := listEntries(text)
		for _, e := range entries {
			if e == "" || strings.ContainsAny(e, "\\\n") || e != path.Clean(e) {
				t.Errorf("%q gives %q", text, e)
			}
		}
		if len(entries) > strings.Count(text, "\n")+1 {
			t.Errorf("%q gives %d entries", text, len(entries))
		}
	})
}
