package datasets

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
)

// With pseudo-words, about so many of the clips become _unknown_, and only where there is such a label.
func TestPseudoWordsAreUnknown(t *testing.T) {
	f := newFolder(t)
	for i, word := range []string{"high", "low", "other"} {
		for k := range 20 {
			f.sound(word+"/"+string(rune('a'+k))+".wav", tone(float64(300+700*i+5*k), 0.3, 600))
		}
	}
	for _, words := range [][]string{{"high", "low"}, nil} {
		s := f.open(Options{Words: words, Unknown: 0.1})
		cfg := testConfig(t)
		cfg.Augment.MadeUp = 0.3
		l := f.loader(s, cfg)
		clips, made := 0, 0
		for epoch := range 10 {
			for b, err := range l.Epoch(t.Context(), epoch) {
				if err != nil {
					t.Fatal(err)
				}
				for i, it := range b.Items {
					if b.Labels[i] != it.Label {
						t.Fatalf("%s has label %d, its item %d", it.Path, b.Labels[i], it.Label)
					}
					clips++
					if it.Other {
						made++
					}
				}
			}
		}
		share := float64(made) / float64(clips)
		if words == nil && made > 0 || words != nil && (share < 0.25 || share > 0.5) {
			t.Errorf("words %v: %.2f of %d clips are unknown", words, share, clips)
		}
	}
}

func TestPseudoWord(t *testing.T) {
	l := contextLoader(t, nil)
	w := l.newWorker(pass{train: true})
	clip := toInt16(tone(200, 0.5, 500))
	backwards := slices.Clone(clip)
	slices.Reverse(backwards)
	reversed, joined := 0, 0
	for i := range 200 {
		seed(w.pcg, 1, 0, i)
		switch made := w.pseudoWord(&l.items[0], clip); {
		case slices.Equal(made, backwards):
			reversed++
		case slices.Equal(made[:100], clip[middle(clip):][:100]):
			joined++
		default:
			t.Fatal("neither backwards nor the clip's second half first")
		}
	}
	if reversed == 0 || joined == 0 {
		t.Errorf("%d backwards, %d joined", reversed, joined)
	}
}

func TestMiddle(t *testing.T) {
	if got := middle([]int16{0, 3, 0, 3, 3}); got != 3 {
		t.Errorf("half of the energy has passed at %d, want 3", got)
	}
	if got := middle(make([]int16, 4)); got != 0 {
		t.Errorf("middle of silence at %d", got)
	}
}

// Noise folders add recordings, which count for the digest; an empty one is an error.
func TestNoiseFolders(t *testing.T) {
	f, more := loaderFolder(t), newFolder(t)
	more.sound("a/rain.wav", tone(90, 0.1, 2*testRate))
	more.sound("wind.wav", tone(70, 0.1, 12*testRate))
	without, with := f.open(Options{Silence: 0.2}), f.open(Options{Silence: 0.2, Noise: []string{more.dir}})
	if len(with.Noise) != len(without.Noise)+2 {
		t.Errorf("%d recordings, and %d with two more", len(without.Noise), len(with.Noise))
	}
	a, errA := without.Digest(t.Context(), nil)
	b, errB := with.Digest(t.Context(), nil)
	if errors.Join(errA, errB) != nil || a == b {
		t.Errorf("digests %s and %s, %v, %v", a, b, errA, errB)
	}
	if _, err := Open(f.dir, Options{Noise: []string{t.TempDir()}}); !errors.Is(err, ErrNoData) {
		t.Errorf("an empty noise folder: %v", err)
	}
	if _, err := Open(f.dir, Options{Noise: []string{filepath.Join(f.dir, "none")}}); err == nil {
		t.Error("a noise folder that is not there")
	}
}
