package datasets

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/detect"
)

// negativesWithABeep returns a loader of words and of negatives, each ten seconds of a faint hum with a loud beep of a
// tenth of a second at second 7.
func negativesWithABeep(t *testing.T) *Loader {
	words, speech := newFolder(t), newFolder(t)
	words.class("left", 40)
	words.class("stop", 40)
	for voice := range 20 {
		sound := tone(150, 0.02, 10*testRate)
		copy(sound[7*testRate:], tone(1000, 0.5, testRate/10))
		speech.sound(fmt.Sprintf("train/%d-1.wav", voice), sound)
	}
	cfg := testConfig(t)
	cfg.Context = Context{Before: 0.4, After: 0.1, Share: 1}
	set := words.open(Options{Negatives: []string{speech.dir}, NegativeShare: 0.5})
	l, err := NewLoader(set.Split(Train), nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// loudest returns the greatest value of an example's rows, and the first frame that has it.
func loudest(b *Batch, example int) (v float32, frame int) {
	rows := b.X[example*len(b.X)/b.B : (example+1)*len(b.X)/b.B]
	v = slices.Max(rows)
	return v, slices.Index(rows, v) / (len(rows) / b.Frames)
}

// TestMine finds the places that a score takes for words, in every recording, and trains on them from then on.
func TestMine(t *testing.T) {
	l := negativesWithABeep(t)
	quiet := float32(math.Inf(-1))
	seconds := map[string]float64{} // swept, by recording
	places, err := l.Mine(t.Context(), func(b *Batch) (hard []float64, frames []int, err error) {
		for i, it := range b.Items {
			if !it.Negative {
				t.Fatalf("%s is no negative", it.Path)
			}
			seconds[it.Path] += (float64(b.Frames) - float64(b.Window)) * 40 / testRate
			v, frame := loudest(b, i)
			if v > -2 { // the logarithm of the beep's energy is above that, the hum's below
				hard, frames = append(hard, float64(v)+10), append(frames, frame)
			} else {
				hard, frames = append(hard, 0), append(frames, 0)
				quiet = max(quiet, v)
			}
		}
		return hard, frames, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range places {
		it := l.items[p.Item]
		found[it.Path] = true
		if at := float64(p.Sample) / testRate; math.Abs(at-7) > 0.15 {
			t.Errorf("%s: a hard place at %.2f s", it.Path, at)
		}
	}
	if len(found) != 20 {
		t.Errorf("hard places in %d of 20 recordings", len(found))
	}
	for path, s := range seconds {
		if s < 9 || s > 11 {
			t.Errorf("%.1f of 10 seconds of %s were searched", s, path)
		}
	}

	share := func() float64 {
		beeps, all := 0, 0
		for epoch := range 4 {
			for b, err := range l.Epoch(t.Context(), epoch) {
				if err != nil {
					t.Fatal(err)
				}
				for i, it := range b.Items {
					if !it.Negative {
						continue
					}
					all++
					if v, _ := loudest(b, i); v > quiet+1 {
						beeps++
					}
				}
			}
		}
		return float64(beeps) / float64(all)
	}
	before := share()
	if err := l.SetHard(places); err != nil {
		t.Fatal(err)
	}
	if after := share(); before > 0.25 || after < before+0.3 || after > before+0.65 {
		t.Errorf("%.2f of the negatives had the beep before it was found, %.2f after", before, after)
	}
}

func TestSetHardRefuses(t *testing.T) {
	l := negativesWithABeep(t)
	word := slices.IndexFunc(l.items, func(it Item) bool { return !it.Negative })
	for _, p := range []Place{{-1, 0}, {len(l.items), 0}, {word, 0}, {l.negatives[0], -1}} {
		if err := l.SetHard([]Place{p}); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if err := l.SetHard([]Place{{l.negatives[0], 1 << 30}}); err != nil {
		t.Fatal(err)
	}
	collect(t, l.Epoch(t.Context(), 1)) // a place beyond the end is silence, no fault
}

// TestNegativesByLength: a recording twice as long as another gives twice as many examples.
func TestNegativesByLength(t *testing.T) {
	words, speech := newFolder(t), newFolder(t)
	words.class("left", 100)
	words.class("stop", 100)
	for i, seconds := range []int{1, 2, 4, 1} {
		speech.sound(fmt.Sprintf("train/%d.wav", i), tone(300, 0.3, seconds*testRate))
	}
	set := words.open(Options{Negatives: []string{speech.dir}, NegativeShare: 0.5})
	counts, all := map[float64]int{}, 0
	for _, it := range set.Split(Train) {
		if it.Negative {
			counts[it.Part.To]++
			all++
		}
	}
	for seconds, recordings := range map[float64]float64{1: 2, 2: 1, 4: 1} {
		want := seconds * recordings / 8 * float64(all)
		if math.Abs(float64(counts[seconds])-want) > 1 {
			t.Errorf("%d of %d examples of %g recordings of %g s", counts[seconds], all, recordings, seconds)
		}
	}
	if !slices.Contains(set.Labels, detect.UnknownLabel) {
		t.Error("no label for negatives")
	}
}
