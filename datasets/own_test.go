package datasets

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
)

// TestClipsInMemory opens the same clips from files and from memory.
func TestClipsInMemory(t *testing.T) {
	f, clips := newFolder(t), []Clip(nil)
	for i := range 30 {
		for k, label := range []string{"down/left", "日本", "a\tb", " ", noiseFolder} {
			c := Clip{Label: label, Speaker: fmt.Sprintf("%08x", uint32(i)*2654435761)}
			c.Sound = audio.Clip{Rate: testRate, Samples: tone(float64(100+10*i+k), 0.5, testRate)}
			if label == noiseFolder {
				c.Sound.Samples = tone(500, 0.1, 12*testRate)
			}
			if k == 1 {
				f.sound(fmt.Sprintf("%s/%s_nohash_%d.wav", label, c.Speaker, len(clips)), c.Sound.Samples)
				f.sound(fmt.Sprintf("other/%s_nohash_%d.wav", c.Speaker, len(clips)), c.Sound.Samples)
			}
			clips = append(clips, c)
		}
	}
	s, err := New(clips, Options{Silence: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{" ", "a\tb", "down/left", "日本", detect.SilenceLabel}
	if !slices.Equal(s.Labels, want) || len(s.Noise) != 30 {
		t.Errorf("labels %q, %d recordings of noise", s.Labels, len(s.Noise))
	}
	files := f.open(Options{})
	for _, split := range []Split{Train, Valid, Test} {
		count := func(s *Set) (n int) {
			for _, it := range s.Split(split) {
				if it.Word == "日本" {
					n++
				}
			}
			return n
		}
		if count(s) != count(files) || count(s) == 0 {
			t.Errorf("split %v: %d clips in memory, %d files", split, count(s), count(files))
		}
	}
	l, err := NewLoader(s.Split(Train), s.Noise, testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range s.Split(Train) {
		if it.Word == "日本" {
			samples, err := l.cache.read(l.cache.add(it.Path, it.Memory, it.Span(1)))
			if err != nil || len(samples) == 0 {
				t.Errorf("%s: %d samples, %v", it.Path, len(samples), err)
			}
			break
		}
	}
	before, err := s.Digest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	clips[0].Sound.Samples = tone(99, 0.4, testRate)
	if s, err = New(clips, Options{}); err != nil {
		t.Fatal(err)
	}
	if after, err := s.Digest(t.Context(), nil); err != nil || after == before {
		t.Errorf("the digest of other clips is %s, too, %v", after, err)
	}
	for i := range clips {
		clips[i].Split = []string{"train", "valid", "test"}[i/5%3]
	}
	if s, err = New(clips, Options{}); err != nil || len(s.Split(Valid)) != 40 || len(s.Split(Test)) != 40 {
		t.Errorf("splits that clips state: %v", err)
	}
	clips[3].Split = "tset"
	if _, err := New(clips, Options{}); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "tset") {
		t.Errorf("a split that is none: %v", err)
	}
}

// TestLabelTracks reads labels from tracks beside the recordings, which need no folder.
func TestLabelTracks(t *testing.T) {
	f := newFolder(t)
	track := ""
	for i := range 12 {
		track += fmt.Sprintf("%d.25\t%d.75\t%s\n", i, i, []string{"knock", "ré/mi", "say \"x\", \\y"}[i%3])
	}
	for i := range 6 {
		name := fmt.Sprintf("day%d", i)
		f.sound(name+".wav", tone(100+50*float64(i), 0.5, 13*testRate))
		f.write([]string{name + ".txt", name + ".wav.txt"}[i%2], track)
	}
	f.sound("plain/a.wav", tone(900, 0.5, testRate))
	f.write("plain/a.txt", "what was said\n") // a transcript
	s := f.open(Options{})
	if !slices.Equal(s.Labels, []string{"knock", "plain", "ré/mi", "say \"x\", \\y"}) || len(s.Items) != 73 {
		t.Errorf("labels %q of %d examples, notes %q", s.Labels, len(s.Items), s.Notes)
	}
	if it := s.Items[0]; it.Part != (Span{0.25, 0.75}) || it.Word != "knock" {
		t.Errorf("the first example is %+v", it)
	}
	before, _ := s.Digest(t.Context(), nil)
	f.write("day0.txt", track+"12.1\t12.9\tknock\n")
	if after, err := f.open(Options{}).Digest(t.Context(), nil); err != nil || before == after {
		t.Errorf("the digest does not cover the label tracks: %v", err)
	}
	for text, line := range map[string]string{
		track + "1\tx\ty\n": "line 13 of", "-0.5\t2\tx\n" + track: "line 1 of", "\n5\t4\tx\n": "line 2 of",
		"0\t1e308\tx": "line 1 of", "hello world\n": "", "x\t1\t2\n": "", "1\n": "",
	} {
		f.write("day1.wav.txt", text)
		s = f.open(Options{})
		noted := slices.ContainsFunc(s.Notes, func(n string) bool { return strings.Contains(n, line+" the label track") })
		if noted != (line != "") {
			t.Errorf("%q: notes %q", text, s.Notes)
		}
	}
}

// TestSurvey finds what is silent, clipped, unreadable and the same content.
func TestSurvey(t *testing.T) {
	f := newFolder(t)
	loud := tone(300, 3, testRate)
	for i, v := range loud {
		loud[i] = max(-1, min(v, 1))
	}
	f.sound("a/clipped.wav", loud)
	f.sound("a/good.wav", tone(300, 0.5, testRate/2))
	f.sound("b/good.wav", slices.Concat(make([]float32, 100), tone(300, 0.5, testRate/2), make([]float32, 50)))
	f.sound("a/silent.wav", make([]float32, testRate))
	f.sound("b/other.wav", tone(301, 0.5, testRate/2))
	f.write("b/broken.wav", "RIFF")
	s := f.open(Options{Labels: []string{"a", "b"}})
	survey, err := s.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) Sound { return survey[f.path(name)] }
	if len(survey) != 6 || !at("a/silent.wav").Silent() || at("a/good.wav").Silent() || at("b/broken.wav").Silent() {
		t.Errorf("%d sounds, silent %+v", len(survey), at("a/silent.wav"))
	}
	if !at("a/clipped.wav").Overdriven() || at("a/good.wav").Overdriven() || at("b/broken.wav").Err == nil {
		t.Errorf("clipped %+v, broken %+v", at("a/clipped.wav"), at("b/broken.wav"))
	}
	if at("a/good.wav").Content != at("b/good.wav").Content || at("a/good.wav").Content == at("b/other.wav").Content {
		t.Error("content is not compared by what sounds")
	}
	if sound := at("a/good.wav"); sound.Seconds != 0.5 || math.Abs(sound.Peak-0.5) > 0.01 {
		t.Errorf("%+v", sound)
	}
}

// TestDivide cuts long recordings into windows.
func TestDivide(t *testing.T) {
	f := newFolder(t)
	for _, label := range []string{"a", "b"} {
		for i := range 12 {
			f.sound(fmt.Sprintf("%s/%d.wav", label, i), tone(float64(200+i), 0.5, testRate))
		}
	}
	f.sound("a/long.wav", tone(300, 0.5, 10*testRate))
	f.sound("b/longer.wav", tone(300, 0.5, 3*testRate/2))
	f.sound("track.wav", tone(310, 0.5, 20*testRate))
	f.write("track.txt", "1\t5.25\ta\n6\t6.5\tb\n")
	for _, c := range []struct {
		window, hop float64
		divided     int
		items       int // beyond the clips
	}{{1, 0.5, 3, 19 + 2 + 8 + 1}, {1, 1, 3, 10 + 2 + 5 + 1}, {2, 1, 2, 9 + 1 + 4 + 1}, {7, 1, 0, 4}} {
		s := f.open(Options{})
		survey, err := s.Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		splits := map[string]Split{}
		for _, it := range s.Items {
			splits[it.Path] = it.Split
		}
		if divided := s.Divide(survey, c.window, c.hop); divided != c.divided || len(s.Items) != 24+c.items {
			t.Errorf("%+v: divided %d into %d", c, divided, len(s.Items))
		}
		for _, it := range s.Items {
			if it.Split != splits[it.Path] {
				t.Errorf("%s is in another split", it.Path)
			}
			if strings.HasSuffix(it.Path, "track.wav") && it.Word == "a" && (it.Part.From < 1 || it.Part.To > 5.25) {
				t.Errorf("%+v is not within the label", it.Part)
			}
		}
	}
}

// TestMadeNoise gives a closed set examples of silence.
func TestMadeNoise(t *testing.T) {
	f := newFolder(t)
	f.class("a", 30)
	f.class("b", 30)
	s := f.open(Options{Silence: 0.1, MakeNoise: true})
	counts := s.counts()
	if !slices.Equal(s.Labels, []string{"a", "b", detect.SilenceLabel}) || min(counts[2][Train], counts[2][Valid]) == 0 {
		t.Errorf("labels %q, %v", s.Labels, counts)
	}
	l, err := NewLoader(s.Split(Train), s.Noise, testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(t.Context(), nil); err != nil || len(l.Skipped()) > 0 {
		t.Errorf("%v, %v", err, l.Skipped())
	}
	f.sound(noiseFolder+"/hum.wav", tone(50, 0.1, 12*testRate))
	if s := f.open(Options{Silence: 0.1, MakeNoise: true}); len(s.Noise) != 1 || s.Noise[0].Memory != nil {
		t.Errorf("made noise beside recorded: %+v", s.Noise)
	}
}

// TestFoldersOfLabels: what was saved, sorted or reviewed goes to the labels that it was taken for.
func TestFoldersOfLabels(t *testing.T) {
	f := newFolder(t)
	f.class("o'clock", 5)
	f.class("%41", 6)
	f.class("A", 7)
	for i := range 4 {
		f.sound(fmt.Sprintf("o%%27clock/saved%d.wav", i), tone(float64(500+i), 0.5, testRate))
		f.sound(fmt.Sprintf("a%%2Fb/saved%d.wav", i), tone(float64(600+i), 0.5, testRate))
	}
	f.sound("track.wav", tone(700, 0.5, 9*testRate))
	f.write("track.txt", "1\t2\ta/b\n3\t4\to'clock\n")
	s, counts := f.open(Options{}), map[string]int{}
	for _, it := range s.Items {
		counts[s.Labels[it.Label]]++
	}
	if len(counts) != 4 || counts["o'clock"] != 10 || counts["a/b"] != 5 || counts["%41"] != 6 || counts["A"] != 7 {
		t.Errorf("%v", counts)
	}
}
