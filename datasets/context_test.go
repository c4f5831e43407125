package datasets

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/features"
)

var testContext = Context{Before: 0.3, After: 0.1, Share: 0.5}

func contextLoader(t *testing.T, change func(*LoaderConfig)) *Loader {
	f := loaderFolder(t)
	cfg := testConfig(t)
	cfg.Context = testContext
	if change != nil {
		change(&cfg)
	}
	return f.loader(f.open(Options{Silence: 0.2}), cfg)
}

// About the share of the batches has a context, the others are windows alone, and every example keeps its label.
func TestEpochHasContextInAShareOfItsBatches(t *testing.T) {
	l := contextLoader(t, func(c *LoaderConfig) { c.Batch = 2 })
	config := l.cfg.Extractor.Config()
	long, all, leads := 0, 0, map[int]int{}
	for epoch := range 20 {
		for b, err := range l.Epoch(t.Context(), epoch) {
			if err != nil {
				t.Fatal(err)
			}
			all++
			switch b.Frames {
			case l.frames():
				if b.Lead != 0 || b.Window != b.Frames {
					t.Fatalf("a window alone lies at frames %d+%d of %d", b.Lead, b.Window, b.Frames)
				}
			case config.Frames(int(math.Round((0.3 + 0.2 + 0.1) * testRate))):
				long++
				leads[b.Lead]++
				if b.Lead*config.Hop < 0.3*testRate/4 || b.Lead*config.Hop > 0.3*testRate || b.Window != l.frames() {
					t.Fatalf("a window in context lies at frames %d+%d of %d", b.Lead, b.Window, b.Frames)
				}
			default:
				t.Fatalf("a batch of %d frames", b.Frames)
			}
			for i, it := range b.Items {
				if b.Labels[i] != it.Label {
					t.Fatalf("%s has label %d", it.Path, b.Labels[i])
				}
			}
		}
	}
	if share := float64(long) / float64(all); math.Abs(share-testContext.Share) > 0.1 {
		t.Errorf("%.2f of the batches have a context, want %g", share, testContext.Share)
	}
	if want := 3 * 3 * testRate / 10 / config.Hop / 4; len(leads) < want {
		t.Errorf("windows lie at %d positions in their contexts, want %d or more", len(leads), want)
	}
}

// An epoch with contexts depends on its seed and number alone.
func TestContextIsReproducible(t *testing.T) {
	one := collect(t, contextLoader(t, nil).Epoch(t.Context(), 3))
	two := collect(t, contextLoader(t, func(c *LoaderConfig) { c.Threads = 1; c.CacheBytes = -1 }).Epoch(t.Context(), 3))
	if !slices.Equal(one.x, two.x) || !slices.Equal(one.labels, two.labels) {
		t.Error("the same epoch differs with the number of threads")
	}
	a, b := contextLoader(t, nil), contextLoader(t, nil)
	if !slices.Equal(collect(t, a.InContext(t.Context(), 20)).x, collect(t, b.InContext(t.Context(), 20)).x) {
		t.Error("InContext is not the same each time")
	}
}

// The window in a context holds the clip, with other sound before and after it.
func TestSurroundLeavesTheWindow(t *testing.T) {
	l := contextLoader(t, nil)
	w := l.newWorker(pass{train: true})
	w.setContext(l.lead)
	alone := l.newWorker(pass{train: true})
	before, after := 0.0, 0.0
	for i, it := range l.items {
		if it.Silence {
			continue
		}
		samples, err := l.cache.read(l.sources[i])
		if err != nil {
			t.Fatal(err)
		}
		seed(w.pcg, 1, 0, i)
		seed(alone.pcg, 1, 0, i)
		alone.fill(&it, samples)
		w.fill(&it, samples)
		if !slices.Equal(w.wave, alone.wave) {
			t.Fatalf("%s sounds otherwise in context", it.Path)
		}
		before += audio.MeanSquare(w.stretch[:l.lead])
		after += audio.MeanSquare(w.stretch[l.lead+l.window:])
	}
	if before == 0 || after == 0 {
		t.Errorf("power %g before and %g after the windows", before, after)
	}
}

// Silence is background noise, which goes on before and after the window.
func TestSilenceFillsItsContext(t *testing.T) {
	l := contextLoader(t, nil)
	w := l.newWorker(pass{})
	w.setContext(l.lead)
	for i, it := range l.items {
		if !it.Silence || it.Gain == 0 {
			continue
		}
		samples, err := l.cache.read(l.sources[i])
		if err != nil {
			t.Fatal(err)
		}
		w.fillSilence(&it, samples)
		window := audio.MeanSquare(w.wave)
		for _, part := range [][]float32{w.stretch[:l.lead], w.stretch[l.lead+l.window:]} {
			if r := audio.MeanSquare(part) / window; !(r > 0.2 && r < 5) {
				t.Errorf("silence %d: its context has %.2g times the window's power", i, r)
			}
		}
	}
}

// However loud its neighbours are, a window's noise is as far below it as the signal-to-noise ratio says.
func TestNoiseIsRelativeToTheWindow(t *testing.T) {
	l := contextLoader(t, nil)
	if len(l.noise()) == 0 {
		t.Fatal("no noise recordings")
	}
	w := l.newWorker(pass{})
	w.setContext(l.lead)
	for _, neighbours := range []float32{0, 0.001, 0.9} {
		for i := range w.stretch {
			w.stretch[i] = neighbours
		}
		copy(w.wave, tone(300, 0.1, len(w.wave)))
		before := slices.Clone(w.stretch)
		signal := audio.MeanSquare(w.wave)
		seed(w.pcg, 1, 0, 0)
		w.mix(12)
		for i, v := range before {
			w.stretch[i] -= v
		}
		if snr := 10 * math.Log10(signal/audio.MeanSquare(w.stretch)); math.Abs(snr-12) > 0.01 {
			t.Errorf("neighbours of %g: %.2f dB, want 12", neighbours, snr)
		}
	}
}

// Noise without context: windows as long as alone, the same each time, and the fainter the higher the ratio.
func TestInNoise(t *testing.T) {
	l := contextLoader(t, func(c *LoaderConfig) { c.Norm = nil; c.Mask = features.Mask{} })
	clean := collect(t, l.Ordered(t.Context()))
	distance := func(snr float64) (sum float64) {
		noisy := collect(t, l.InNoise(t.Context(), snr))
		if !noisy.equals(collect(t, l.InNoise(t.Context(), snr))) {
			t.Error("InNoise is not the same each time")
		}
		if len(noisy.x) != len(clean.x) || !slices.Equal(noisy.labels, clean.labels) {
			t.Fatalf("%d values of noisy windows, %d of clean ones", len(noisy.x), len(clean.x))
		}
		for i, v := range noisy.x {
			sum += math.Abs(float64(v - clean.x[i]))
		}
		return sum
	}
	if loud, faint := distance(0), distance(40); !(loud > 2*faint && faint > 0) {
		t.Errorf("noise at 0 dB changes the rows by %g, at 40 dB by %g", loud, faint)
	}
}

func TestContextErrors(t *testing.T) {
	for _, c := range []Context{{Before: -1}, {After: math.NaN()}, {Before: 61}, {Share: 1.5}, {Share: math.NaN()}} {
		if err := c.Validate(); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := testContext.Validate(); err != nil {
		t.Error(err)
	}
}

// TestSounding finds what is not quiet in a clip.
func TestSounding(t *testing.T) {
	const rate = 1000
	clip := func(levels ...float32) []float32 { // 10 ms each
		var x []float32
		for _, v := range levels {
			for range 10 {
				x = append(x, v)
			}
		}
		return x
	}
	for name, c := range map[string]struct {
		x          []float32
		begin, end int
	}{
		"a word":             {clip(0.001, 0.001, 0.5, 0.1, 0.4, 0.002), 20, 50},
		"24 dB below":        {clip(0.064, 1, 0.064), 0, 30},
		"26 dB below":        {clip(0.049, 1, 0.049), 10, 20},
		"silence":            {clip(0, 0, 0), 0, 30},
		"all of one level":   {clip(0.2, 0.2), 0, 20},
		"nothing":            {nil, 0, 0},
		"a part at its end":  {append(clip(0, 0.5), 0.5, 0.5, 0.5), 10, 23},
		"less than 10 ms":    {[]float32{0.5, 0.5}, 0, 2},
		"the last hundredth": {clip(0, 0, 1), 20, 30},
	} {
		if begin, end := audio.Extent(c.x, rate, soundingPart); begin != c.begin || end != c.end {
			t.Errorf("%s: %d to %d, want %d to %d", name, begin, end, c.begin, c.end)
		}
	}
}

// TestFluent: in fluent speech, the neighbours follow a clip's sound closely.
func TestFluent(t *testing.T) {
	f := newFolder(t)
	for _, word := range []string{"left", "stop"} {
		for i := range 20 {
			clip := make([]float32, testRate)
			copy(clip[int(0.4*testRate):], tone(400, 0.4, testRate/5))
			f.sound(fmt.Sprintf("%s/%08x_nohash_0.wav", word, uint32(i)*2654435761), clip)
		}
	}
	gap := func(fluent float64) (before, after float64) {
		cfg := testConfig(t)
		cfg.Window, cfg.Augment = 1, Augment{}
		cfg.Context = Context{Before: 1, After: 1, Share: 1, Fluent: fluent}
		l := f.loader(f.open(Options{}), cfg)
		w := l.newWorker(pass{train: true})
		w.setContext(l.lead)
		const n = 200
		for i := range n {
			seed(w.pcg, 1, 0, i)
			samples, err := l.read(i % len(l.items))
			if err != nil {
				t.Fatal(err)
			}
			w.fill(&l.items[i%len(l.items)], samples)
			begin, end := l.lead+int(0.4*testRate), l.lead+int(0.6*testRate)
			at := begin - 1
			for at >= 0 && w.stretch[at] == 0 {
				at--
			}
			before += float64(begin-at) / testRate / n
			for at = end; at < len(w.stretch) && w.stretch[at] == 0; {
				at++
			}
			after += float64(at-end) / testRate / n
		}
		return before, after
	}
	if before, after := gap(1); before > 0.08 || after > 0.08 {
		t.Errorf("fluent speech has pauses of %.3f s before and %.3f s after a word, in the mean", before, after)
	}
	if before, after := gap(0); before < 0.6 || after < 0.6 {
		t.Errorf("other speech has pauses of %.3f s before and %.3f s after a word, in the mean", before, after)
	}
}
