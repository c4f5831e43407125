package datasets

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/detect"
)

// recording writes a WAV file with cue points. Its second i is a tone of 200 + 100·(i mod 10) Hz.
func (f folder) recording(name string, seconds int, cues ...audio.Cue) {
	f.Helper()
	var samples []float32
	for i := range seconds {
		samples = append(samples, tone(float64(200+100*(i%10)), 0.5, testRate)...)
	}
	samples[0] = float32(nameHash(name)) / setRange // each has its own content
	var points []audiotest.Cue
	for _, c := range cues {
		length := uint32((c.End-c.Start)*testRate + 0.5)
		points = append(points, audiotest.Cue{Label: c.Label, Start: uint32(c.Start * testRate), Length: length})
	}
	f.write(name, string(audiotest.WithCues(audiotest.WAV(audio.S16LE, testRate, samples), points...)))
}

// words returns cues of the labels, half a second long, one a second.
func words(labels ...string) []audio.Cue {
	var cues []audio.Cue
	for i, label := range labels {
		cues = append(cues, audio.Cue{Label: label, Start: float64(i), End: float64(i) + 0.5})
	}
	return cues
}

// cued returns the items of the recordings with a name.
func cued(s *Set, name string) []Item {
	return slices.DeleteFunc(slices.Clone(s.Items), func(it Item) bool { return !strings.HasSuffix(it.Path, name) })
}

func TestCuesAreLabels(t *testing.T) {
	f := newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	f.recording("a/long.wav", 700, []audio.Cue{
		{Label: "a", Start: 1, End: 1.5}, {Label: " b ", Start: 3, End: 3}, {Label: "c", Start: 3.25, End: 3.25},
		{Label: "a", Start: 3.25, End: 3.75}, {Start: 5, End: 6}, {Label: "c", Start: 0.05, End: 0.05},
		{Label: "b", Start: 20, End: 690},
	}...)
	want := []Item{
		{Word: "c", Part: Span{0, 1}, Point: true},
		{Word: "a", Part: Span{1, 1.5}},
		{Word: "b", Part: Span{2.9, 3.25}, Point: true},
		{Word: "c", Part: Span{3.15, 5}, Point: true},
		{Word: "a", Part: Span{3.25, 3.75}},
		{Word: "b", Part: Span{20, 620}},
	}
	check := func(o Options, labels ...string) *Set {
		t.Helper()
		s := f.open(o)
		if !slices.Equal(s.Labels, labels) {
			t.Errorf("labels %v, want %v", s.Labels, labels)
		}
		items := cued(s, "long.wav")
		slices.SortFunc(items, func(a, b Item) int { return int(1e3 * (a.Part.From - b.Part.From)) })
		for i := range items {
			it := &items[i]
			label := s.Labels[it.Label]
			if it.Other != (label == detect.UnknownLabel) || !it.Other && label != it.Word {
				t.Errorf("%s has the label %s", it.Word, label)
			}
			items[i] = Item{Word: items[i].Word, Part: items[i].Part, Point: items[i].Point}
		}
		if !slices.Equal(items, want) {
			t.Errorf("items %+v, want %+v", items, want)
		}
		return s
	}
	s := check(Options{}, "a", "b", "c")
	if len(s.Notes) != 3 || !strings.HasPrefix(s.Notes[0], "1 recording(s)") ||
		!strings.HasPrefix(s.Notes[1], "1 cue point(s)") || !strings.HasPrefix(s.Notes[2], "no validation clips of c") {
		t.Errorf("notes %q", s.Notes)
	}
	check(Options{Words: []string{"a", "b"}, Unknown: 0.1}, "a", "b", detect.UnknownLabel)
	check(Options{Labels: []string{"b", "a", detect.UnknownLabel}}, "b", "a", detect.UnknownLabel)
	want = slices.DeleteFunc(want, func(it Item) bool { return it.Word == "c" })
	if s := check(Options{Words: []string{"a", "b"}}, "a", "b"); s.Ignored["c"] != 2 {
		t.Errorf("ignored %v, want the two cues of c", s.Ignored)
	}
	if l, err := s.Lengths(t.Context(), nil); err != nil || l.Longest != 600 {
		t.Errorf("lengths %+v, %v", l, err)
	}
}

// Data folders may hold nothing but recordings, beside folders or in one, whose name then is no label. All cues of a
// recording are in one split, even where a class is split by file.
func TestOnlyRecordings(t *testing.T) {
	f := newFolder(t)
	for i := range 8 {
		f.recording(fmt.Sprintf("%sme_nohash_%d.wav", []string{"", "more/"}[i%2], i), 9, words("a", "b", "a")...)
		f.recording(fmt.Sprintf("you%d_nohash_0.wav", i), 9, words("c", "b")...)
	}
	f.clips("stray.wav")
	s := f.open(Options{})
	if !slices.Equal(s.Labels, []string{"a", "b", "c"}) || s.Ignored["."] != 1 || len(s.Ignored) != 1 {
		t.Errorf("labels %v, ignored %v", s.Labels, s.Ignored)
	}
	split := map[string]Split{}
	for _, it := range s.Items {
		if known, ok := split[it.Path]; ok && known != it.Split {
			t.Errorf("%s is in the splits %v and %v", it.Path, known, it.Split)
		}
		split[it.Path] = it.Split
	}
	for _, c := range s.Counts() {
		if min(c.Clips[Train], c.Clips[Valid], c.Clips[Test]) == 0 {
			t.Errorf("%s has %v", c.Label, c.Clips)
		}
	}
	if len(s.Notes) != 3 || !strings.HasPrefix(s.Notes[1], "a has clips of 1 speaker(s)") ||
		s.Notes[2] != "ignored 1 sound file(s) that are in no class folder: stray.wav" {
		t.Errorf("notes %q", s.Notes)
	}
	f.write("validation_list.txt", "more/me_nohash_1.wav\n")
	f.write("testing_list.txt", "you3_nohash_0.wav\n")
	for _, it := range f.open(Options{}).Items {
		want := Train
		switch f.names([]Item{it})[0] {
		case "more/me_nohash_1.wav":
			want = Valid
		case "you3_nohash_0.wav":
			want = Test
		}
		if it.Split != want {
			t.Errorf("%s is in %v, want %v", it.Path, it.Split, want)
		}
	}
}

func TestCuesInSplitFolders(t *testing.T) {
	f := newFolder(t)
	f.clips("train/a/1.wav", "train/b/1.wav", "valid/a/1.wav", "valid/b/1.wav", "test/a/1.wav", "test/b/1.wav")
	f.recording("valid/long/1.wav", 9, words("a", "c")...)
	f.recording("train/b/2.wav", 9, words("a", "c")...)
	want := []Count{{"a", [All]int{2, 2, 1}}, {"b", [All]int{1, 1, 1}}, {"c", [All]int{1, 1, 0}}}
	if s := f.open(Options{}); !slices.Equal(s.Counts(), want) {
		t.Errorf("counts %v, want %v", s.Counts(), want)
	}
}

// Files that are short, not WAV, or without labelled cues are clips of their folders.
func TestNoCues(t *testing.T) {
	f := newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	f.recording("a/short.wav", 7, words("x")...)
	f.recording("a/unlabelled.wav", 9, words("", " ")...)
	f.recording("a/none.wav", 9)
	f.recording("a/broken.wav", 9, words("x", "y")...)
	f.write("b/large.flac", strings.Repeat("flac", 1<<15))
	b, err := os.ReadFile(f.path("a/broken.wav"))
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte("cue "))+8] = 99 // points
	f.write("a/broken.wav", string(b))
	s := f.open(Options{})
	if counts := s.Counts(); len(s.Labels) != 2 || len(s.Items) != 25 || len(cued(s, "broken.wav")) != 1 {
		t.Errorf("counts %v", counts)
	}
	if len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "broken.wav") ||
		!strings.HasPrefix(s.Notes[1], "2 cue point(s) without") {
		t.Errorf("notes %q", s.Notes)
	}
}

// Examples are the parts that their cues mark, decoded in one go where memory allows, and the same where not.
func TestLoaderCutsAtCues(t *testing.T) {
	f := newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	f.recording("long.wav", 12, audio.Cue{Label: "a", Start: 1, End: 1.2}, audio.Cue{Label: "b", Start: 3.6, End: 3.6},
		audio.Cue{Label: "a", Start: 5.5, End: 5.6}, audio.Cue{Label: "b", Start: 11.9, End: 14})
	s := f.open(Options{})
	items := cued(s, "long.wav")
	cfg := testConfig(t)
	rows := func(l *Loader) []float32 { return collect(t, l.Ordered(t.Context())).x }
	loader := func() *Loader {
		l, err := NewLoader(items, nil, cfg)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	kept := loader()
	got := rows(kept)
	var want []float32
	for _, part := range []struct{ second, from, n, zeros int }{
		{1, 0, 800, 0}, {3, 2000, 800, 0}, {5, 2000, 400, 200}, {11, 3600, 400, 200},
	} {
		wave, sound := make([]float32, 800), toInt16(tone(float64(200+100*(part.second%10)), 0.5, testRate))
		window(wave[part.zeros:][:part.n], sound, part.from)
		want = append(want, cfg.Extractor.Rows(nil, wave, cfg.Extractor.Scratch())...)
	}
	if !slices.Equal(got, want) {
		t.Error("the rows are not those of the parts at the cues")
	}
	for _, memory := range []int64{-1, 1500} {
		cfg.CacheBytes = memory
		l := loader()
		for range 2 {
			if !slices.Equal(rows(l), want) {
				t.Errorf("%d bytes of memory give other rows", memory)
			}
		}
	}
	cfg.CacheBytes = 0
	if err := os.Remove(items[0].Path); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows(kept), want) {
		t.Error("kept parts are read again")
	}
}

// Recordings of Options.Extra train, and count once for the digest.
func TestCuesInExtraFolders(t *testing.T) {
	f, more := newFolder(t), newFolder(t)
	f.class("a", 10)
	f.class("b", 10)
	f.recording("long.wav", 9, words("a", "b")...)
	more.recording("x/long.wav", 9, words("a", "b", "x", "b")...)
	s := f.open(Options{Words: []string{"a", "b"}, Extra: []string{more.dir}})
	if len(s.files) != 22 || s.Ignored["x"] != 1 {
		t.Errorf("%d files, ignored %v", len(s.files), s.Ignored)
	}
	for _, it := range s.Items {
		if strings.HasPrefix(it.Path, more.dir) && (it.Split != Train || it.Part == Span{}) {
			t.Errorf("%+v", it)
		}
	}
}
