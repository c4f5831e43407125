package tuning

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
)

// TestFolders: each file of each folder is used once, as far as the minutes go, and backgrounds lie under words alone.
func TestFolders(t *testing.T) {
	const rate = 1000
	dir := t.TempDir()
	folder := func(name string, files, seconds int, level float32) string {
		for i := range files {
			path := filepath.Join(dir, name, fmt.Sprintf("%d.wav", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			wav := audiotest.WAV(audio.F32LE, rate, slices.Repeat([]float32{level, -level}, seconds*rate/2))
			if err := os.WriteFile(path, wav, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return filepath.Join(dir, name)
	}
	m := Material{
		Labels: []string{"yes"}, Rate: rate, Window: 1, SNR: 20, Note: func(err error) { t.Error(err) },
		Without: []string{folder("speech", 4, 100, 0.1), folder("street", 2, 30, 0.2)},
		Under:   []string{folder("noise", 1, 1, 0.3)},
	}
	for _, f := range []string{folder("yes", 1, 1, 0.5), folder("bird", 1, 1, 0.5)} {
		m.Clips = append(m.Clips, datasets.Item{Path: filepath.Join(f, "0.wav")})
	}
	type made struct{ seconds, mean float64 } // of magnitudes
	for minutes, want := range map[float64]map[string][]made{
		0:   {m.Without[0]: {{300, 0.1}, {100, 0.1}}, m.Without[1]: {{60, 0.2}}},
		1.5: {m.Without[0]: {{90, 0.1}}, m.Without[1]: {{60, 0.2}}},
		0.1: {m.Without[0]: {{6, 0.1}}, m.Without[1]: {{6, 0.2}}},
	} {
		m.Minutes = minutes
		got, total, words := map[string][]made{}, 0.0, 0.0
		for r, err := range m.Recordings() {
			if err != nil {
				t.Fatal(err)
			}
			c, err := audio.ReadAll(r.Sound, 600*rate)
			if err != nil {
				t.Fatal(err)
			}
			seconds, sum := c.Duration().Seconds(), 0.0
			for _, v := range c.Samples {
				sum += math.Abs(float64(v))
			}
			total += seconds
			if r.Kind == Wordless {
				got[r.Folder] = append(got[r.Folder], made{seconds, math.Round(100*sum/float64(len(c.Samples))) / 100})
			} else if words++; r.Kind != Spoken || math.Abs(math.Abs(float64(c.Samples[0]))-0.05) > 1e-3 {
				t.Errorf("a recording of kind %d over %g, want noise of 0.05", r.Kind, c.Samples[0])
			}
		}
		if !reflect.DeepEqual(got, want) || words != 1 {
			t.Errorf("%g minutes: %v, want %v", minutes, got, want)
		}
		if about, err := m.Seconds(); err != nil || math.Abs(about-total) > 4 {
			t.Errorf("%g minutes: %g s announced, %g made, %v", minutes, about, total, err)
		}
	}
	m.Under = []string{t.TempDir()}
	if _, err := m.Seconds(); err == nil || !strings.Contains(err.Error(), m.Under[0]) {
		t.Errorf("a folder without sound: %v", err)
	}
}

// TestFluent: words of one speaker stand in a row, without the silence around them, each fading into the next.
func TestFluent(t *testing.T) {
	const rate = 1000
	rng := rand.New(rand.NewPCG(1, 2))
	m := Material{Rate: rate}
	var clips []clip
	speakers := map[string]int{"ann": 13, "bob": 4, "cid": 9}
	for _, who := range slices.Sorted(maps.Keys(speakers)) {
		for i := range speakers[who] {
			samples := make([]float32, rate)
			for at := 300; at < 700; at++ {
				samples[at] = 0.5
			}
			clips = append(clips, clip{
				label: who, samples: samples, item: datasets.Item{Path: fmt.Sprintf("w/%s_nohash_%d.wav", who, i)},
			})
		}
	}
	said := map[string]int{}
	list := sequences(clips, rng)
	for i, row := range list {
		one := !slices.ContainsFunc(row, func(c clip) bool { return c.label != row[0].label })
		if last := i == len(list)-1; len(row) > maxRow || len(row) < minRow && !last {
			t.Errorf("%d words in a row", len(row))
		} else if whole := i < 2; whole && !one {
			t.Errorf("a row of several speakers, before what is left of them")
		}
		for _, c := range row {
			said[c.label]++
		}
		u := m.join(row, rng)
		if len(u.words) != len(row) {
			t.Fatalf("%d of %d words", len(u.words), len(row))
		}
		for k, w := range u.words {
			if math.Abs(w.End-w.Start-0.4) > 0.011 {
				t.Errorf("a word of 0.4 s lies at %+v", w)
			}
			if k == 0 {
				continue
			}
			if fade := u.words[k-1].End - w.Start; fade < minFade-0.011 || fade > maxFade+0.011 {
				t.Errorf("a word fades for %g s", fade)
			}
		}
		for at, v := range u.samples { // the sum of both in the middle of a fade: 0.5 (sin 45° + cos 45°)
			if v < 0.499 || v > 0.708 {
				t.Fatalf("%g at %d: a pause, or a jump", v, at)
			}
		}
	}
	if !maps.Equal(said, speakers) {
		t.Errorf("said %v, want %v", said, speakers)
	}
}

// TestTrimmed: what is 30 dB below the loudest is cut, noise that is nearly as loud as the word too, and no more.
func TestTrimmed(t *testing.T) {
	const rate = 1000
	for _, c := range []struct {
		around, weak float32 // before and after 0.2 s of 1, and beside it for 0.1 s
		want         int
	}{
		{0, 0, 200}, {0.01, 0, 200}, {0.01, 0.05, 300}, {0.05, 0.05, 200}, {0.05, 0.09, 200}, {0.04, 0.09, 300},
		{0.2, 0.2, 1000},
	} {
		x := slices.Repeat([]float32{c.around}, rate)
		for i := 400; i < 600; i++ {
			x[i] = 1
		}
		for i := 600; i < 700; i++ {
			x[i] = c.weak
		}
		if got := len(trimmed(x, rate)); got != c.want {
			t.Errorf("%+v: %d samples", c, got)
		}
	}
	if got := len(trimmed(make([]float32, 50), rate)); got != 50 {
		t.Errorf("%d of 50 samples without sound", got)
	}
}
