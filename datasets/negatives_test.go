package datasets

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/detect"
)

// TestNegatives: examples of _unknown_ are cut from recordings in which no word is said, as many as asked for, and no
// voice is in two splits.
func TestNegatives(t *testing.T) {
	words, speech := newFolder(t), newFolder(t)
	for _, word := range []string{"left", "stop"} {
		for i := range 40 {
			words.clips(fmt.Sprintf("%s/v%d_nohash_0.wav", word, i))
		}
	}
	for voice := range 60 {
		for k := range 2 {
			speech.sound(fmt.Sprintf("%d-1-%d.wav", voice, k), tone(200+float64(voice), 0.3, 3*testRate))
		}
	}
	s, err := Open(words.dir, Options{Negatives: []string{speech.dir}, NegativeShare: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Labels, []string{"left", "stop", detect.UnknownLabel}) {
		t.Fatalf("labels %v", s.Labels)
	}
	voices, n, wordClips := map[string]Split{}, [All]int{}, s.words()
	for _, it := range s.Items {
		if !it.Negative {
			continue
		}
		n[it.Split]++
		if s.Labels[it.Label] != detect.UnknownLabel || !it.Other || it.Part.To <= it.Part.From {
			t.Fatalf("example %+v", it)
		}
		if split, seen := voices[voice(it.Path)]; seen && split != it.Split {
			t.Errorf("voice %s is in two splits", voice(it.Path))
		}
		voices[voice(it.Path)] = it.Split
	}
	for split, got := range n {
		if want := (wordClips[split] + 1) / 2; got != want || got == 0 {
			t.Errorf("split %d has %d negatives for %d words", split, got, wordClips[split])
		}
	}
}

// TestNegativesOfNamedSplits: folders called train and valid say which split recordings are of; a long one is divided.
func TestNegativesOfNamedSplits(t *testing.T) {
	words, speech := newFolder(t), newFolder(t)
	for _, word := range []string{"left", "stop"} {
		for i := range 20 {
			words.clips(fmt.Sprintf("%s/v%d_nohash_0.wav", word, i))
		}
	}
	speech.sound("train/a.wav", tone(300, 0.3, 2*testRate))
	speech.sound("valid/b.wav", tone(400, 0.3, 2*testRate))
	speech.sound("long.wav", tone(500, 0.3, 20*testRate))
	s, err := Open(words.dir, Options{Negatives: []string{speech.dir}, NegativeShare: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][All]Span{}
	for _, r := range s.Negatives {
		found[strings.TrimPrefix(r.Path, speech.dir+"/")] = r.Parts
	}
	want := map[string][All]Span{
		"train/a.wav": {Train: {0, 2}}, "valid/b.wav": {Valid: {0, 2}}, "long.wav": {{0, 16}, {16, 18}, {18, 20}},
	}
	for name, parts := range want {
		if found[name] != parts {
			t.Errorf("%s has the parts %v, want %v", name, found[name], parts)
		}
	}
	if _, err := Open(words.dir, Options{Negatives: []string{t.TempDir()}}); !errors.Is(err, ErrNoData) {
		t.Errorf("an empty folder of negatives: error %v", err)
	}
	if _, err := Open(words.dir, Options{NegativeShare: -1}); !errors.Is(err, ErrOptions) {
		t.Errorf("a negative share: error %v", err)
	}
}

// TestNegativesInEpochs: each epoch shows every negative once, whatever Balance is, cut from another place; words are
// surrounded by pieces of them.
func TestNegativesInEpochs(t *testing.T) {
	words, speech := newFolder(t), newFolder(t)
	for _, word := range []string{"left", "stop"} {
		for i := range 40 {
			words.sound(fmt.Sprintf("%s/v%d_nohash_0.wav", word, i), tone(100+float64(i), 1e-4, testRate/2))
		}
	}
	for voice := range 30 {
		speech.sound(fmt.Sprintf("%d-1.wav", voice), tone(900, 0.5, 3*testRate))
	}
	s, err := Open(words.dir, Options{Negatives: []string{speech.dir}, NegativeShare: 1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(t)
	cfg.Balance, cfg.Augment = 0.5, Augment{Gain: [2]float64{0, 0.1}}
	cfg.Context = Context{Before: 0.5, After: 0.5, Share: 1}
	items := s.Split(Train)
	l, err := NewLoader(items, nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for _, it := range items {
		if it.Negative {
			want++
		}
	}
	var first [2][]float32
	for epoch := range 2 {
		negatives, surrounded, clips := 0, 0, 0
		for b, err := range l.Epoch(t.Context(), epoch+1) {
			if err != nil {
				t.Fatal(err)
			}
			size := len(b.X) / b.B
			for i, it := range b.Items {
				x := b.X[i*size : (i+1)*size]
				if it.Negative {
					if negatives++; it.Path == s.Negatives[0].Path {
						first[epoch] = slices.Clone(x)
					}
					continue
				}
				clips++
				if slices.Max(x) > slices.Min(x)+1 {
					surrounded++
				}
			}
		}
		if negatives != want || surrounded < clips/2 {
			t.Errorf("epoch %d: %d negatives of %d; of %d silent clips, %d have sound around them",
				epoch+1, negatives, want, clips, surrounded)
		}
	}
	if slices.Equal(first[0], first[1]) && first[0] != nil {
		t.Error("a negative is cut from the same place in both epochs")
	}
}
