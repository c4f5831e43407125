package datasets

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/features"
)

// loaderFolder has two words of clips of many lengths and levels, and noise.
func loaderFolder(t testing.TB) folder {
	f := newFolder(t)
	for i, word := range []string{"high", "low"} {
		for k := range 23 {
			f.sound(word+"/"+string(rune('a'+k))+".wav", tone(float64(300+700*i+5*k), 0.1+0.02*float64(k), 300+40*k))
		}
	}
	f.sound(noiseFolder+"/hum.wav", tone(120, 0.2, 11*testRate))
	f.sound(noiseFolder+"/whistle.wav", tone(1500, 0.1, 12*testRate))
	return f
}

func testConfig(t testing.TB) LoaderConfig {
	return LoaderConfig{Extractor: testFeatures(t), Window: 0.2, Batch: 8, Threads: 3, Seed: 7}
}

func (f folder) loader(s *Set, cfg LoaderConfig) *Loader {
	f.Helper()
	l, err := NewLoader(s.Split(All), s.Noise, cfg)
	if err != nil {
		f.Fatal(err)
	}
	return l
}

// seen is a copy of what an iteration yields.
type seen struct {
	x      []float32
	labels []int
	paths  []string
	sizes  []int
}

func collect(t testing.TB, batches func(yield func(*Batch, error) bool)) seen {
	t.Helper()
	var all seen
	for b, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.X) != b.B*b.Frames*8 || len(b.Labels) != b.B || len(b.Items) != b.B {
			t.Fatalf("a batch of %d has %d values, %d labels, %d items", b.B, len(b.X), len(b.Labels), len(b.Items))
		}
		all.x = append(all.x, b.X...)
		all.labels = append(all.labels, b.Labels...)
		all.sizes = append(all.sizes, b.B)
		for _, it := range b.Items {
			all.paths = append(all.paths, it.Path)
		}
	}
	return all
}

func (a seen) equals(b seen) bool {
	return slices.Equal(a.x, b.x) && slices.Equal(a.labels, b.labels) && slices.Equal(a.paths, b.paths)
}

func TestOrdered(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{Silence: 0.2})
	cfg := testConfig(t)
	cfg.Augment = testAugment
	l := f.loader(s, cfg)
	got := collect(t, l.Ordered(t.Context()))
	if len(got.labels) != len(s.Items) || l.Len() != len(s.Items) || l.Batches() != len(got.sizes) || l.frames() != 21 {
		t.Fatalf("%d of %d examples in %v", len(got.labels), len(s.Items), got.sizes)
	}
	scratch, rows := cfg.Extractor.Scratch(), l.frames()*8
	for i, it := range s.Items {
		if got.paths[i] != it.Path || got.labels[i] != it.Label {
			t.Fatalf("example %d is %s", i, got.paths[i])
		}
		if it.Silence {
			continue
		}
		samples, err := l.cache.read(l.sources[i])
		if err != nil {
			t.Fatal(err)
		}
		wave := make([]float32, 800)
		window(wave, samples, (len(samples)-800)/2)
		if want := cfg.Extractor.Rows(nil, wave, scratch); !slices.Equal(got.x[i*rows:(i+1)*rows], want) {
			t.Fatalf("%s has other rows than its middle", it.Path)
		}
	}
}

// TestEpochIsReproducible: neither threads, nor memory, nor the epochs before matter.
// TestSamples holds that Samples are what Ordered's rows are made of: of words and of silence, without context.
func TestSamples(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{Silence: 0.2})
	cfg := testConfig(t)
	cfg.Augment, cfg.Context = testAugment, Context{Before: 0.1, After: 0.1}
	l := f.loader(s, cfg)
	e, rows := cfg.Extractor, collect(t, l.Ordered(t.Context()))
	for i := range l.Len() {
		samples, err := l.Samples(i)
		if err != nil || len(samples) != int(0.2*testRate) {
			t.Fatalf("example %d: %d samples, error %v", i, len(samples), err)
		}
		if want := rows.x[i*l.frames()*8:][:l.frames()*8]; !slices.Equal(e.Rows(nil, samples, e.Scratch()), want) {
			t.Errorf("example %d, %s: samples have other rows", i, rows.paths[i])
		}
	}
	f.write("high/a.wav", "no sound")
	if _, err := f.loader(s, cfg).Samples(0); err == nil {
		t.Error("a file without sound has samples")
	}
}

func TestEpochIsReproducible(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{Silence: 0.2})
	cfg := testConfig(t)
	cfg.Norm = &features.Norm{Mean: make([]float32, 8), Std: slices.Repeat([]float32{2}, 8)}
	cfg.Mask = features.Mask{TimeMasks: 1, MaxTime: 5, FreqMasks: 1, MaxFreq: 3}
	cfg.Augment, cfg.Balance = testAugment, 0.5
	want := collect(t, f.loader(s, cfg).Epoch(t.Context(), 3))
	for _, threads := range []int{1, 5} {
		for _, memory := range []int64{-1, 5000, 0} {
			cfg.Threads, cfg.CacheBytes = threads, memory
			l := f.loader(s, cfg)
			collect(t, l.Epoch(t.Context(), 2))
			if got := collect(t, l.Epoch(t.Context(), 3)); !got.equals(want) {
				t.Errorf("%d threads and %d bytes give other examples", threads, memory)
			}
		}
	}
	cfg.Seed++
	if got := collect(t, f.loader(s, cfg).Epoch(t.Context(), 3)); got.equals(want) {
		t.Error("another seed gives the same examples")
	}
}

func TestEpochShowsEveryExampleOnce(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{})
	l := f.loader(s, testConfig(t))
	one, two := collect(t, l.Epoch(t.Context(), 1)), collect(t, l.Epoch(t.Context(), 2))
	if slices.Equal(one.paths, two.paths) {
		t.Error("two epochs have the same order")
	}
	for _, e := range []seen{one, two} {
		slices.Sort(e.paths)
		if slices.Equal(e.paths, slices.Compact(slices.Clone(e.paths))) && len(e.paths) == len(s.Items) {
			continue
		}
		t.Errorf("%d paths of %d", len(e.paths), len(s.Items))
	}
}

func TestEpochsVaryAClip(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{})
	cfg := testConfig(t)
	cfg.Augment = Augment{Gain: [2]float64{-6, 6}}
	l, err := NewLoader(slices.Repeat(s.Items[:1], 4), s.Noise, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all []float32
	for epoch := range 2 {
		all = append(all, collect(t, l.Epoch(t.Context(), epoch)).x...)
	}
	size := len(all) / 8
	for i := range 8 {
		for k := range i {
			if slices.Equal(all[i*size:(i+1)*size], all[k*size:(k+1)*size]) {
				t.Errorf("appearances %d and %d of a clip in two epochs are the same", k, i)
			}
		}
	}
}

func TestLongClipsAreCroppedAtRandom(t *testing.T) {
	f := newFolder(t)
	f.class("a", 9)
	x := make([]float32, 4*testRate) // its level grows with time
	for i, v := range tone(500, 1, len(x)) {
		x[i] = v * float32(i) / float32(len(x))
	}
	f.sound("b/long.wav", x)
	f.clips("b/2.wav", "b/3.wav")
	s := f.open(Options{})
	items := slices.DeleteFunc(s.Items, func(it Item) bool { return !strings.HasSuffix(it.Path, "long.wav") })
	l, err := NewLoader(items, nil, testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	var levels []float32
	for epoch := range 30 {
		levels = append(levels, slices.Max(collect(t, l.Epoch(t.Context(), epoch)).x))
	}
	slices.Sort(levels)
	if span := levels[len(levels)-1] - levels[0]; span < 2 {
		t.Errorf("levels span %g in the log domain, which is one part only", span)
	}
}

// TestSilenceStaysInItsPart: each part of the recording has its own level.
func TestSilenceStaysInItsPart(t *testing.T) {
	f := loaderFolder(t)
	x := tone(500, 1, 20*testRate)
	for i := range x {
		switch split := float64(i) / float64(len(x)); {
		case split < 0.8:
			x[i] *= 0.01
		case split < 0.9:
			x[i] *= 0.1
		}
	}
	f.sound(noiseFolder+"/hum.wav", x)
	f.sound(noiseFolder+"/whistle.wav", x)
	s := f.open(Options{Silence: 2})
	cfg := testConfig(t)
	cfg.Augment = Augment{Shift: 0.01}
	for split, limit := range []float64{Train: 0.01, Valid: 0.1, Test: 1} {
		items := slices.DeleteFunc(s.Split(Split(split)), func(it Item) bool { return !it.Silence })
		l, err := NewLoader(items, s.Noise, cfg)
		if err != nil {
			t.Fatal(err)
		}
		reference := cfg.Extractor.Rows(nil, tone(500, limit, 800), cfg.Extractor.Scratch())
		silent := float32(math.Log(1e-5))
		for name, got := range map[string]seen{
			"in order": collect(t, l.Ordered(t.Context())),
			"epoch":    collect(t, l.Epoch(t.Context(), 1)),
		} {
			if top, limit := slices.Max(got.x), slices.Max(reference); top > limit+0.05 || top < limit-1 {
				t.Errorf("%v, %s: loudest value %g, want little under %g", Split(split), name, top, limit)
			}
			if slices.Min(got.x) > silent+1e-3 {
				t.Errorf("%v, %s: no example of digital silence", Split(split), name)
			}
		}
	}
	l, err := NewLoader(s.Split(Train)[len(s.Split(Train))-5:], s.Noise, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := collect(t, l.Epoch(t.Context(), 1)), collect(t, l.Epoch(t.Context(), 2)); slices.Equal(a.x, b.x) {
		t.Error("silence is the same in two epochs")
	}
}

func TestStats(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{Silence: 0.3})
	cfg := testConfig(t)
	norm, err := f.loader(s, cfg).Stats(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Threads, cfg.Augment, cfg.Norm = 1, testAugment, &norm
	again, err := f.loader(s, cfg).Stats(t.Context(), nil)
	if err != nil || !slices.Equal(norm.Mean, again.Mean) || !slices.Equal(norm.Std, again.Std) {
		t.Errorf("one thread, augmentation and normalisation give %v, want %v (%v)", again, norm, err)
	}
	clips := slices.DeleteFunc(slices.Clone(s.Items), func(it Item) bool { return it.Silence })
	l, err := NewLoader(clips, nil, cfg)
	if err != nil {
		t.Fatal(err)
	}
	rows := collect(t, l.Ordered(t.Context())).x
	for m := range 8 {
		var sum, square float64
		for i := m; i < len(rows); i += 8 {
			sum += float64(rows[i])
			square += float64(rows[i]) * float64(rows[i])
		}
		n := float64(len(rows) / 8)
		if mean, variance := sum/n, square/n; math.Abs(mean) > 1e-4 || math.Abs(variance-1) > 1e-3 {
			t.Errorf("normalised mel %d has mean %g and variance %g", m, mean, variance)
		}
	}
}

func TestBalance(t *testing.T) {
	f := newFolder(t)
	f.class("many", 64)
	f.class("few", 16)
	f.class("rare", 4)
	s := f.open(Options{})
	for _, c := range []struct {
		balance float64
		want    [3]float64 // few, many, rare: in proportion to n^(1-balance), 84 in all
	}{
		{0, [3]float64{16, 64, 4}},
		{0.5, [3]float64{24, 48, 12}},
		{1, [3]float64{28, 28, 28}},
	} {
		cfg := testConfig(t)
		cfg.Balance = c.balance
		l := f.loader(s, cfg)
		var total [3]float64
		for epoch := range 50 {
			order := l.order(epoch)
			if len(order) != len(s.Items) {
				t.Fatalf("balance %g: %d examples of %d", c.balance, len(order), len(s.Items))
			}
			times := map[int]int{}
			for _, i := range order {
				total[s.Items[i].Label] += 1.0 / 50
				times[i]++
			}
			for i, n := range times {
				due := c.want[s.Items[i].Label] / []float64{16, 64, 4}[s.Items[i].Label]
				if math.Abs(float64(n)-due) >= 1 {
					t.Fatalf("balance %g: an example due %.2f times comes %d times", c.balance, due, n)
				}
			}
		}
		for label, want := range c.want {
			if math.Abs(total[label]-want) > 1 {
				t.Errorf("balance %g: %.1f of %s an epoch, want %g", c.balance, total[label], s.Labels[label], want)
			}
		}
	}
}

func TestLoaderErrors(t *testing.T) {
	f := loaderFolder(t)
	s := f.open(Options{})
	if _, err := NewLoader(nil, s.Noise, testConfig(t)); !errors.Is(err, ErrNoData) {
		t.Errorf("no items: error %v", err)
	}
	for name, change := range map[string]func(c *LoaderConfig){
		"no features":    func(c *LoaderConfig) { c.Extractor = nil },
		"no window":      func(c *LoaderConfig) { c.Window = 0 },
		"endless window": func(c *LoaderConfig) { c.Window = math.Inf(1) },
		"batch":          func(c *LoaderConfig) { c.Batch = 0 },
		"threads":        func(c *LoaderConfig) { c.Threads = -1 },
		"balance":        func(c *LoaderConfig) { c.Balance = 2 },
		"mask":           func(c *LoaderConfig) { c.Mask.MaxTime = -1 },
		"mask and norm":  func(c *LoaderConfig) { c.Mask.TimeMasks = 1 },
		"augmentation":   func(c *LoaderConfig) { c.Augment.Noise = 2 },
	} {
		cfg := testConfig(t)
		change(&cfg)
		if _, err := NewLoader(s.Items, s.Noise, cfg); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestExamplesDoNotAllocate(t *testing.T) {
	const n = 800
	augment := Augment{Speed: 0.1, Shift: 0.1, Noise: 1, Gain: [2]float64{-3, 3}}
	w := testWorker(t, n, augment, toInt16(tone(900, 0.3, 10*n)))
	clip, rows := toInt16(tone(300, 0.2, n)), make([]float32, w.l.frames()*8)
	if n := testing.AllocsPerRun(100, func() { w.rows(rows, nil, &Item{}, clip) }); n > 0 {
		t.Errorf("%g allocations an example", n)
	}
}

// BenchmarkEpoch loads one-second clips of 16 kHz from memory, with all augmentation.
func BenchmarkEpoch(b *testing.B) {
	f := newFolder(b)
	f.class("a", 64)
	f.class("b", 64)
	f.sound(noiseFolder+"/hum.wav", tone(100, 0.1, 20*testRate))
	e, err := features.New(features.Default())
	if err != nil {
		b.Fatal(err)
	}
	augment := testAugment
	augment.Channel.BandHigh = [2]float64{3000, 7000}
	l := f.loader(f.open(Options{}), LoaderConfig{Extractor: e, Window: 1, Batch: 64, Threads: 1, Augment: augment})
	epoch := 0
	for b.Loop() {
		epoch++
		for _, err := range l.Epoch(b.Context(), epoch) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*l.Len()), "µs/clip")
}
