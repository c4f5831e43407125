package polynet

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
)

// hearing returns a classifier for windows of 0.2 s at 16 kHz, 3200 samples.
func hearing(t *testing.T) *Classifier {
	t.Helper()
	// A random linear network's logits are small enough to be told apart as probabilities.
	c, err := NewClassifier(randomModel(planConfigs(Linear)[0], seeded(5)), device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func worker(t *testing.T, c *Classifier, o Options) *Worker {
	t.Helper()
	w, err := c.Worker(o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func noise(rng *rand.Rand, n int) []float32 {
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = 0.3 * (2*rng.Float32() - 1)
	}
	return samples
}

// windows classifies a source and fails the test on an error.
func windows(t *testing.T, w *Worker, src audio.Source) []Window {
	t.Helper()
	var list []Window
	for window, err := range w.Classify(src) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, window)
	}
	return list
}

// expected computes step by step the scores for the window of a sound that ends at a sample.
func expected(t *testing.T, m *Model, samples []float32, end int) []Score {
	t.Helper()
	var scores []Score
	for i, p := range newStreamed(t, m, samples).p(end) {
		scores = append(scores, Score{m.Labels[i], p})
	}
	slices.SortFunc(scores, func(a, b Score) int { return cmp.Compare(b.P, a.P) })
	return scores
}

func checkWindow(t *testing.T, name string, got Window, start, end float64, want []Score) {
	t.Helper()
	if math.Abs(got.Start-start) > 1e-9 || math.Abs(got.End-end) > 1e-9 {
		t.Errorf("%s spans %g to %g s, want %g to %g", name, got.Start, got.End, start, end)
	}
	if len(got.Scores) != len(want) {
		t.Fatalf("%s: %d scores, want %d", name, len(got.Scores), len(want))
	}
	for i, s := range got.Scores {
		if s.Label != want[i].Label || math.Abs(s.P-want[i].P) > 1e-4 {
			t.Errorf("%s: score %d is %v, want %v", name, i, s, want[i])
		}
	}
}

func TestWindowsOfASound(t *testing.T) {
	c := hearing(t)
	const rate, window = 16000, 3200
	for _, test := range []struct {
		samples int
		hop     float64
		batch   int
		starts  []int // in samples
	}{
		{window, 0, 0, []int{0}},
		{window + 1, 0, 0, []int{0, 1}},
		{window + 1600, 0, 2, []int{0, 1600}},
		{3 * window, 0, 2, []int{0, 1600, 3200, 4800, 6400}},
		{3*window + 500, 0.2, 16, []int{0, 3200, 6400, 6900}},
		{3*window + 500, 0.15, 1, []int{0, 2400, 4800, 6900}},
	} {
		samples := noise(seeded(1), test.samples)
		w := worker(t, c, Options{Hop: test.hop, Batch: test.batch})
		name := fmt.Sprintf("%d samples, hop %g", test.samples, test.hop)
		got := windows(t, w, audio.Clip{Rate: rate, Samples: samples}.Source())
		if len(got) != len(test.starts) {
			t.Errorf("%s: %d windows, want %d", name, len(got), len(test.starts))
			continue
		}
		for i, start := range test.starts {
			want := expected(t, c.model, samples, start+window)
			checkWindow(t, name, got[i], float64(start)/rate, float64(start+window)/rate, want)
		}
	}
}

// TestWholeClipsAreHeardByThemselves checks windows of a network with norms over clips against the equations for each window
// alone, and that it refuses streams.
func TestWholeClipsAreHeardByThemselves(t *testing.T) {
	const rate, window = 16000, 3200
	for _, kind := range []BlockKind{RPoly, DPoly} {
		m := randomModel(planConfigs(kind)[0], seeded(5))
		c, err := NewClassifier(m, device.Ref())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Stream(StreamOptions{}); !errors.Is(err, ErrModel) || !strings.Contains(err.Error(), string(kind)) {
			t.Errorf("a stream of %s blocks: %v", kind, err)
		}
		for _, test := range []struct {
			samples, batch int
			hop            float64
			starts         []int
		}{
			{window, 3, 0, []int{0}},
			{window + 1, 1, 0, []int{0, 1}},
			{3 * window, 2, 0, []int{0, 1600, 3200, 4800, 6400}},
			{3*window + 500, 16, 0.2, []int{0, 3200, 6400, 6900}},
			{3*window + 500, 1, 0.15, []int{0, 2400, 4800, 6900}},
		} {
			samples := noise(seeded(1), test.samples)
			w := worker(t, c, Options{Hop: test.hop, Batch: test.batch})
			name := fmt.Sprintf("%s, %d samples, hop %g", kind, test.samples, test.hop)
			for range 2 { // the second time with what the first one leaves behind
				got := windows(t, w, audio.Clip{Rate: rate, Samples: samples}.Source())
				if len(got) != len(test.starts) {
					t.Fatalf("%s: %d windows, want %d", name, len(got), len(test.starts))
				}
				for i, start := range test.starts {
					want := expected(t, c.model, samples[start:start+window], window)
					checkWindow(t, name, got[i], float64(start)/rate, float64(start+window)/rate, want)
				}
			}
		}
		n, broken := 0, errors.New("broken")
		for _, err := range worker(t, c, Options{Batch: 1}).Classify(&failing{9000, broken}) {
			if err != nil && err != broken {
				t.Error(err)
			} else if err == nil {
				n++
			}
		}
		if n != 4 {
			t.Errorf("%s: %d windows before the sound breaks off, want 4", kind, n)
		}
	}
}

func TestShortSoundLiesInTheMiddle(t *testing.T) {
	c := hearing(t)
	w := worker(t, c, Options{})
	windows(t, w, audio.Clip{Rate: 16000, Samples: noise(seeded(3), 5000)}.Source()) // leaves its samples behind
	for _, n := range []int{1, 999, 3199} {
		samples := noise(seeded(1), n)
		padded := make([]float32, 3200)
		copy(padded[(3200-n)/2:], samples)
		got := windows(t, w, audio.Clip{Rate: 16000, Samples: samples}.Source())
		if len(got) != 1 {
			t.Fatalf("%d samples give %d windows", n, len(got))
		}
		checkWindow(t, fmt.Sprintf("%d samples", n), got[0], 0, float64(n)/16000, expected(t, c.model, padded, len(padded)))
	}
}

func TestSoundIsResampled(t *testing.T) {
	c := hearing(t)
	clip := audio.Clip{Rate: 44100, Samples: noise(seeded(2), 44100/2)}
	resampled, err := audio.Resample(clip.Source(), 16000)
	if err != nil {
		t.Fatal(err)
	}
	want, err := audio.ReadAll(resampled, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := windows(t, worker(t, c, Options{}), clip.Source())
	if len(got) != 4 {
		t.Fatalf("half a second gives %d windows", len(got))
	}
	for i, start := range []int{0, 1600, 3200, 4800} {
		checkWindow(t, "44.1 kHz", got[i], float64(start)/16000, float64(start+3200)/16000, expected(t, c.model, want.Samples, start+3200))
	}
}

func TestTop(t *testing.T) {
	c := hearing(t)
	clip := audio.Clip{Rate: 16000, Samples: noise(seeded(1), 3200)}
	all := windows(t, worker(t, c, Options{}), clip.Source())[0]
	for top, want := range map[int]int{1: 1, 2: 2, 99: 3} {
		got := windows(t, worker(t, c, Options{Top: top}), clip.Source())[0]
		if !slices.Equal(got.Scores, all.Scores[:want]) {
			t.Errorf("top %d of %v gives %v", top, all.Scores, got.Scores)
		}
	}
}

// failing is a source that ends in an error.
type failing struct {
	left int
	err  error
}

func (f *failing) Rate() int { return 16000 }

func (f *failing) Read(dst []float32) (int, error) {
	n := min(len(dst), f.left, 700)
	f.left -= n
	if f.left == 0 {
		return n, f.err
	}
	return n, nil
}

func TestErrorsEndASound(t *testing.T) {
	w := worker(t, hearing(t), Options{})
	broken := errors.New("broken")
	for _, c := range []struct {
		src     audio.Source
		windows int
		err     error
	}{
		{&failing{0, io.EOF}, 0, audio.ErrEmpty},
		{&failing{0, broken}, 0, broken},
		{&failing{100, broken}, 0, broken},
		{&failing{3200, broken}, 0, broken},
		{&failing{9000, broken}, 2, broken}, // what has been heard with its lookahead
		{&failing{13000, broken}, 4, broken},
		{audio.Clip{Rate: 100, Samples: make([]float32, 50)}.Source(), 0, audio.ErrFormat},
	} {
		n, got := 0, error(nil)
		for _, err := range w.Classify(c.src) {
			if err != nil {
				got = err
				continue
			}
			n++
		}
		if n != c.windows || !errors.Is(got, c.err) {
			t.Errorf("%+v: %d windows and %v, want %d and %v", c.src, n, got, c.windows, c.err)
		}
	}
}

func TestDivergedNetworkIsAnError(t *testing.T) {
	m := randomModel(planConfigs(Pi)[0], seeded(5))
	for i := range m.Norm.Std {
		m.Norm.Std[i] = 1e-30
	}
	c, err := NewClassifier(m, device.Ref())
	if err != nil {
		t.Fatal(err)
	}
	for window, err := range worker(t, c, Options{}).Classify(audio.Clip{Rate: 16000, Samples: noise(seeded(1), 9000)}.Source()) {
		if !errors.Is(err, ErrDiverged) {
			t.Fatalf("window %v, error %v", window, err)
		}
	}
}

func TestClassifyStopsWhenAsked(t *testing.T) {
	w := worker(t, hearing(t), Options{Batch: 2})
	src := &failing{1 << 30, io.EOF}
	n := 0
	for range w.Classify(src) {
		if n++; n == 3 {
			break
		}
	}
	s := w.stream
	latest := 3200 + 2*1600 + (s.ahead+s.step+1)*160 + 240 // when the third window is told
	if read := 1<<30 - src.left; n != 3 || read > latest+700 {
		t.Errorf("%d windows, %d samples read", n, read)
	}
}

// TestPushSharesBatches checks that sounds pushed one after the other share batches, and that each one's windows and end
// come in order, whatever the batch.
func TestPushSharesBatches(t *testing.T) {
	c := hearing(t)
	lengths := []int{3200, 100, 0, 9000, 3200, 4800, 1}
	for _, batch := range []int{1, 2, 3, 16} {
		w := worker(t, c, Options{Batch: batch})
		got := make([][]Window, len(lengths))
		ends := make([]int, len(lengths))
		for i, n := range lengths {
			each := func(window Window) bool {
				if ends[i] > 0 {
					t.Errorf("batch %d: a window of sound %d after its end", batch, i)
				}
				if n > 3200 && slices.Contains(ends[:i], 0) {
					t.Errorf("batch %d: long sound %d is told while others wait", batch, i)
				}
				got[i] = append(got[i], window)
				return true
			}
			end := func(err error) {
				ends[i]++
				if (n == 0) != errors.Is(err, audio.ErrEmpty) {
					t.Errorf("batch %d: sound %d ends with %v", batch, i, err)
				}
			}
			w.Push(audio.Clip{Rate: 16000, Samples: noise(seeded(uint64(i)), n)}.Source(), each, end)
			if batch == 16 && i == 1 && len(got[0])+len(got[1]) > 0 {
				t.Error("short sounds do not share a batch")
			}
		}
		w.Flush()
		for i, n := range lengths {
			if ends[i] != 1 {
				t.Errorf("batch %d: sound %d ended %d times", batch, i, ends[i])
			}
			if n == 0 {
				continue
			}
			want := windows(t, worker(t, c, Options{Batch: 1}), audio.Clip{Rate: 16000, Samples: noise(seeded(uint64(i)), n)}.Source())
			if len(want) != len(got[i]) {
				t.Fatalf("batch %d: sound %d has %d windows, alone %d", batch, i, len(got[i]), len(want))
			}
			for j := range want {
				checkWindow(t, fmt.Sprintf("batch %d, sound %d", batch, i), got[i][j], want[j].Start, want[j].End, want[j].Scores)
			}
		}
	}
}

func TestWorkerRefusesImpossibleOptions(t *testing.T) {
	c := hearing(t)
	for _, o := range []Options{{Hop: -1}, {Hop: 0.21}, {Hop: math.NaN()}, {Hop: math.Inf(1)}, {Batch: -1}, {Top: -1}} {
		if _, err := c.Worker(o); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestBackground(t *testing.T) {
	for label, want := range map[string]bool{"left": false, UnknownLabel: true, SilenceLabel: true} {
		if got := (Window{Scores: []Score{{label, 1}}}).Background(); got != want {
			t.Errorf("%s: %v", label, got)
		}
	}
}
