package datasets

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestLengths: the window is the longest clip, unless that is an exception.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		name    string
		seconds []float64
		window  float64
		longer  int // clips; above 0 where there are exceptions
	}{
		{"all alike", slices.Repeat([]float64{1}, 8), 1, 0},
		{"rounded up", []float64{1, 1.01, 1.23}, 1.3, 0},
		{"of all lengths", []float64{1, 2, 3, 4, 5, 6}, 6, 0},
		{"twice as long", append(slices.Repeat([]float64{0.5}, 8), 1), 1, 0},
		{"one long clip", append(slices.Repeat([]float64{0.5}, 9), 7), 0.5, 1},
		{"one of three", []float64{0.4, 0.4, 4}, 0.4, 1},
		{"two long clips of many", append(slices.Repeat([]float64{0.31}, 60), 2, 12), 0.4, 2},
		{"a tenth is long", append(slices.Repeat([]float64{0.3}, 18), 3, 3), 3, 0},
		{"long recordings", []float64{9, 30, 30}, 5, 0},
		{"longer than long ones", append(slices.Repeat([]float64{12}, 30), 40), 5, 0},
	} {
		f := newFolder(t)
		f.write("a/broken.wav", "RIFF")
		f.sound(noiseFolder+"/hum.wav", make([]float32, 5*testRate))
		longest := 0.0
		for i, seconds := range c.seconds {
			f.sound(fmt.Sprintf("%c/%02d.wav", 'a'+i%2, i), make([]float32, int(math.Round(seconds*testRate))))
			longest = max(longest, seconds)
		}
		reported := 0
		l, err := f.open(Options{Labels: []string{"a", "b"}}).Lengths(t.Context(), func(done, total int) {
			if reported++; done != reported || total != len(c.seconds)+1 {
				t.Errorf("%s: %d of %d", c.name, done, total)
			}
		})
		if err != nil || l.Window() != c.window || l.Outliers() != (c.longer > 0) || l.Longer != c.longer ||
			l.Clips != len(c.seconds) || l.Longest != longest {
			t.Errorf("%s: %+v with a window of %g, %v", c.name, l, l.Window(), err)
		}
		if last := fmt.Sprintf("%02d.wav", len(c.seconds)-1); c.longer > 0 && !strings.HasSuffix(l.Path, last) {
			t.Errorf("%s: the longest is %s", c.name, l.Path)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.open(Options{Labels: []string{"a"}}).Lengths(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: %v", c.name, err)
		}
	}
}

// TestUnreadable names the labels of which no clip can be read, and why.
func TestUnreadable(t *testing.T) {
	f := newFolder(t)
	f.class("good", 3)
	f.class("some", 3)
	f.write("some/broken.wav", "RIFF")
	f.write("bad/a.wav", "RIFF")
	f.write("bad/b.wav", "nothing")
	f.write("empty/a.wav", "")
	s := f.open(Options{Labels: []string{"good", "some", "bad", "empty"}})
	l, err := NewLoader(s.Items, nil, testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Unreadable()) > 0 {
		t.Error("labels are unreadable before they are read")
	}
	if err := l.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got := l.Unreadable()
	if len(got) != 2 || len(l.Skipped()) != 4 {
		t.Fatalf("unreadable %v, skipped %v", got, l.Skipped())
	}
	for label, name := range map[int]string{2: "a.wav", 3: "a.wav"} {
		if got[label] == nil || !strings.Contains(got[label].Error(), s.Labels[label]) ||
			!strings.Contains(got[label].Error(), name) {
			t.Errorf("%s: %v", s.Labels[label], got[label])
		}
	}
}
