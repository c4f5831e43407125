package datasets

import (
	"math"
	"slices"
	"strings"
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

// TestLoaderReadsWhatSamplesAre: files whose samples are not what their headers say teach what they sound like.
func TestLoaderReadsWhatSamplesAre(t *testing.T) {
	samples := tone(300, 0.5, 2*testRate)
	scaled := make([]float32, len(samples))
	for i, v := range samples {
		scaled[i] = v * (1 << 15)
	}
	right24 := audiotest.WAV(audio.S32LE, testRate, samples)
	copy(right24[44:], audiotest.PCM(audio.S24In32LE, samples))
	floats := audiotest.WAV(audio.S32LE, testRate, samples)
	copy(floats[44:], audiotest.PCM(audio.F32LE, samples))
	f := loaderFolder(t)
	f.write("right/a.wav", string(audiotest.WAV(audio.F32LE, testRate, samples)))
	want, err := audio.ReadFile(f.path("right/a.wav"), 0)
	if err != nil || want.Warning != "" {
		t.Fatal(err, want.Warning)
	}
	for name, file := range map[string][]byte{
		"float samples up to": audiotest.WAV(audio.F32LE, testRate, scaled),
		"the highest of four": right24,
		"the samples look":    floats,
	} {
		f.write("wrong/a.wav", string(file))
		var got []int16
		warning, err := decode(f.path("wrong/a.wav"), nil, testRate, []Span{{0, 10}}, func(_ Span, d []int16) { got = d })
		if err != nil || !strings.HasPrefix(warning, name) || len(got) != len(samples) {
			t.Errorf("%s: %d samples, warning %q, %v", name, len(got), warning, err)
			continue
		}
		for i, v := range got {
			if d := float64(v) - math.RoundToEven(float64(want.Samples[i])*(1<<15)); math.Abs(d) > 1 {
				t.Errorf("%s: sample %d is %d, want %g", name, i, v, float64(want.Samples[i])*(1<<15))
				break
			}
		}
	}
}
