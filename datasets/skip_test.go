package datasets

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUnreadableClipsAreSkipped(t *testing.T) {
	f := loaderFolder(t)
	for _, name := range []string{"high/b.wav", "high/c.wav", "low/d.wav"} {
		f.write(name, "RIFF, they said")
	}
	s := f.open(Options{})
	l := f.loader(s, testConfig(t))
	for range 2 {
		got := collect(t, l.Ordered(t.Context()))
		if len(got.paths) != len(s.Items)-3 || slices.Contains(got.paths, f.path("low/d.wav")) {
			t.Errorf("%d examples of %d", len(got.paths), len(s.Items))
		}
		f.clips("low/d.wav") // what a run skipped once, it skips in every epoch
	}
	var names []string
	for _, err := range l.Skipped() {
		path, _, _ := strings.Cut(err.Error(), ": ")
		names = append(names, filepath.Base(path))
	}
	if want := []string{"b.wav", "c.wav", "d.wav"}; !slices.Equal(names, want) {
		t.Errorf("skipped %v, want %v", names, want)
	}
}

// TestGapsAreClosed: the rows stay with their labels around an unreadable clip.
func TestGapsAreClosed(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{})
	whole := collect(t, f.loader(s, testConfig(t)).Ordered(t.Context()))
	f.write("high/b.wav", "")
	broken := collect(t, f.loader(s, testConfig(t)).Ordered(t.Context()))
	size := len(whole.x) / len(whole.labels)
	i := slices.Index(whole.paths, f.path("high/b.wav"))
	if !slices.Equal(broken.x, slices.Delete(whole.x, i*size, (i+1)*size)) ||
		!slices.Equal(broken.labels, slices.Delete(whole.labels, i, i+1)) {
		t.Error("examples differ around the gap")
	}
}

func TestNothingReadable(t *testing.T) {
	f := newFolder(t)
	f.write("a/1.wav", "x")
	f.write("b/1.wav", "y")
	s := f.open(Options{Labels: []string{"a", "b"}})
	l := f.loader(s, testConfig(t))
	for _, pass := range []func() error{
		func() (err error) { _, err = l.Stats(t.Context(), nil); return },
		func() (err error) {
			for _, e := range l.Ordered(t.Context()) {
				err = e
			}
			return
		},
	} {
		if err := pass(); !errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "none of the 2 clips") {
			t.Errorf("error %v", err)
		}
	}
}

// waitForGoroutines waits until no more goroutines run than before.
func waitForGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines instead of %d", runtime.NumGoroutine(), before)
}

func TestEndedEarly(t *testing.T) {
	f := loaderFolder(t)
	l := f.loader(f.open(Options{Silence: 0.1}), testConfig(t))
	before := runtime.NumGoroutine()
	for stop := range 4 {
		n := 0
		for _, err := range l.Epoch(t.Context(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > stop {
				break
			}
		}
		waitForGoroutines(t, before)

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n = 0
		var last error
		for b, err := range l.Epoch(ctx, 1) {
			if last = err; b != nil {
				n++
			}
			if n == stop+1 {
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) || n != stop+1 {
			t.Errorf("cancelled after batch %d: %d batches, error %v", stop+1, n, last)
		}
		waitForGoroutines(t, before)
	}
}
