package datasets

import (
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
)

func TestWarningSentences(t *testing.T) {
	const cut, odd = "data chunk says 64000 bytes, file ends after 31999", "fmt chunk says 3-byte frames"
	for _, c := range []struct {
		warnings Warnings
		want     []string
	}{
		{nil, nil},
		{Warnings{"b.wav": cut}, []string{"b.wav: " + cut}},
		{Warnings{"b.wav": cut, "a.wav": "data chunk says 8 bytes, file ends after 7", "c.wav": cut},
			[]string{"a.wav: data chunk says 8 bytes, file ends after 7 (3 files in all are like this)"}},
		{Warnings{"b.wav": cut, "a.wav": odd + "; " + cut},
			[]string{"a.wav: " + odd, "a.wav: " + cut + " (2 files in all are like this)"}},
		{Warnings{"a.wav": "damage at 1.25 s", "b.wav": "damage at 3 s", "c.wav": "level of -12.5 dB"},
			[]string{"a.wav: damage at 1.25 s (2 files in all are like this)", "c.wav: level of -12.5 dB"}},
	} {
		if got := c.warnings.Sentences(); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.warnings, got, c.want)
		}
	}
}

// TestLoaderWarnings: a file that is cut short is used and named, whether its samples are kept or read again.
func TestLoaderWarnings(t *testing.T) {
	f := loaderFolder(t)
	whole := audiotest.WAV(audio.S16LE, testRate, tone(300, 0.5, 40))
	f.write("high/b.wav", string(whole[:len(whole)-20]))
	s := f.open(Options{})
	for _, cacheBytes := range []int64{-1, 1 << 20} {
		config := testConfig(t)
		config.CacheBytes = cacheBytes
		l := f.loader(s, config)
		for range 2 {
			collect(t, l.Ordered(t.Context()))
		}
		want := f.path("high/b.wav") + ": data chunk says 80 bytes, file ends after 60, at 0.01 s"
		if got := l.Warnings().Sentences(); !slices.Equal(got, []string{want}) {
			t.Errorf("warnings %q, want %q", got, want)
		}
	}
}
