package polyphon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/polynet"
)

// collect returns the windows of a source, and the error that ended them.
func collect(r *Recognizer, src audio.Source) (list []Window, err error) {
	for w, err := range r.Windows(context.Background(), src) {
		if err != nil {
			return list, err
		}
		list = append(list, w)
	}
	return list, nil
}

// expected computes with the plain equations the scores for the window of a sound that ends at a sample.
func expected(t *testing.T, m *polynet.Model, samples []float32, end int) []Score {
	t.Helper()
	e, err := features.New(m.Features)
	if err != nil {
		t.Fatal(err)
	}
	rows := nettest.RowLogits(m, e.Rows(nil, samples, e.Scratch()))
	step := m.Net.Program().Reach().Stride * m.Features.Hop
	first, last := (max(0, end-m.WindowSamples())+step-1)/step, min(end/step, len(rows)-1)
	p := rows.Mean(first, last)
	polynet.Softmax(p, m.Temperature)
	var scores []Score
	for i, label := range m.Labels {
		scores = append(scores, Score{label, p[i]})
	}
	slices.SortFunc(scores, func(a, b Score) int { return cmp.Compare(b.P, a.P) })
	return scores
}

func checkScores(t *testing.T, name string, got, want []Score) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d scores, want %d", name, len(got), len(want))
	}
	for i, s := range got {
		if s.Label != want[i].Label || math.Abs(s.P-want[i].P) > 1e-4 {
			t.Errorf("%s: score %d is %v, want %v", name, i, s, want[i])
		}
	}
}

func checkWindow(t *testing.T, name string, got Window, start, end float64, want []Score) {
	t.Helper()
	if math.Abs(got.Start-start) > 1e-9 || math.Abs(got.End-end) > 1e-9 {
		t.Errorf("%s spans %g to %g s, want %g to %g", name, got.Start, got.End, start, end)
	}
	checkScores(t, name, got.Scores, want)
}

func TestWindowsOfASound(t *testing.T) {
	for _, test := range []struct {
		samples int
		hop     float64
		starts  []int // in samples
	}{
		{testWindow, 0, []int{0}},
		{testWindow + 1, 0, []int{0, 1}},
		{testWindow + 1600, 0, []int{0, 1600}},
		{3 * testWindow, 0, []int{0, 1600, 3200, 4800, 6400}},
		{3*testWindow + 500, 0.2, []int{0, 3200, 6400, 6900}},
		{3*testWindow + 500, 0.15, []int{0, 2400, 4800, 6900}},
	} {
		samples := noise(nettest.Rand(1), test.samples)
		r := testRecognizer(t, WithHop(test.hop))
		name := fmt.Sprintf("%d samples, hop %g", test.samples, test.hop)
		got, err := collect(r, audio.Clip{Rate: testRate, Samples: samples}.Source())
		if err != nil || len(got) != len(test.starts) {
			t.Errorf("%s: %d windows and %v, want %d", name, len(got), err, len(test.starts))
			continue
		}
		for i, start := range test.starts {
			want := expected(t, r.Model(), samples, start+testWindow)
			checkWindow(t, name, got[i], float64(start)/testRate, float64(start+testWindow)/testRate, want)
		}
	}
}

func TestShortSoundLiesInTheMiddle(t *testing.T) {
	r := testRecognizer(t)
	if _, err := r.Classify(noise(nettest.Rand(3), testWindow), testRate); err != nil { // leaves its samples in memory
		t.Fatal(err)
	}
	for _, n := range []int{1, 999, testWindow - 1} {
		samples := noise(nettest.Rand(1), n)
		padded := make([]float32, testWindow)
		copy(padded[(testWindow-n)/2:], samples)
		want := expected(t, r.Model(), padded, len(padded))
		got, err := r.Classify(samples, testRate)
		if err != nil {
			t.Fatal(err)
		}
		checkScores(t, fmt.Sprintf("%d samples", n), got, want)
		windows, err := collect(r, audio.Clip{Rate: testRate, Samples: samples}.Source())
		if err != nil || len(windows) != 1 {
			t.Fatalf("%d samples give %d windows and %v", n, len(windows), err)
		}
		checkWindow(t, fmt.Sprintf("%d samples", n), windows[0], 0, float64(n)/testRate, want)
	}
}

func TestSoundIsResampled(t *testing.T) {
	r := testRecognizer(t)
	clip := audio.Clip{Rate: 44100, Samples: noise(nettest.Rand(2), 44100/2)}
	resampled, err := audio.Resample(clip.Source(), testRate)
	if err != nil {
		t.Fatal(err)
	}
	want, err := audio.ReadAll(resampled, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collect(r, clip.Source())
	if err != nil || len(got) != 4 {
		t.Fatalf("half a second gives %d windows and %v", len(got), err)
	}
	for i, start := range []int{0, 1600, 3200, 4800} {
		checkWindow(t, "44.1 kHz", got[i], float64(start)/testRate, float64(start+testWindow)/testRate,
			expected(t, r.Model(), want.Samples, start+testWindow))
	}
	short, err := r.Classify(clip.Samples[:5000], 44100)
	if err != nil {
		t.Fatal(err)
	}
	windows, err := collect(r, audio.Clip{Rate: 44100, Samples: clip.Samples[:5000]}.Source())
	if err != nil {
		t.Fatal(err)
	}
	checkScores(t, "a short sound", short, windows[0].Scores)
}

// TestBatchAnswersAsEachAlone holds sounds of all lengths in one batch, in their order, to each by itself, also from
// several goroutines at once.
func TestBatchAnswersAsEachAlone(t *testing.T) {
	r := testRecognizer(t)
	var clips []audio.Clip
	for i := range 3*maxBatch + 5 {
		n := []int{testWindow, 100, 0, 9000, testWindow, 4800, 1}[i%7]
		clips = append(clips, audio.Clip{Rate: testRate, Samples: noise(nettest.Rand(uint64(i)), n)})
	}
	alone := make([]Result, len(clips))
	for i, c := range clips {
		alone[i].Scores, alone[i].Err = r.Classify(c.Samples, c.Rate)
	}
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for i, got := range r.ClassifyBatch(clips) {
				empty := len(clips[i].Samples) == 0
				if empty != errors.Is(got.Err, audio.ErrEmpty) || !errors.Is(got.Err, alone[i].Err) {
					t.Errorf("sound %d: %v, alone %v", i, got.Err, alone[i].Err)
				}
				checkScores(t, fmt.Sprint("sound ", i), got.Scores, alone[i].Scores)
			}
		})
	}
	workers.Wait()
}

func TestErrorsEndASound(t *testing.T) {
	r := testRecognizer(t)
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
		{&failing{9000, broken}, 2, broken}, // those whose lookahead is there
		{&failing{13000, broken}, 4, broken},
		{audio.Clip{Rate: 100, Samples: make([]float32, 50)}.Source(), 0, audio.ErrFormat},
	} {
		got, err := collect(r, c.src)
		if len(got) != c.windows || !errors.Is(err, c.err) {
			t.Errorf("%+v: %d windows and %v, want %d and %v", c.src, len(got), err, c.windows, c.err)
		}
	}
	for _, samples := range [][]float32{nil, {}} {
		if _, err := r.Classify(samples, testRate); !errors.Is(err, audio.ErrEmpty) {
			t.Errorf("no samples: %v", err)
		}
	}
}

func TestDivergedNetworkIsAnError(t *testing.T) {
	m := nettest.RandomModel(nettest.Configs(polynet.Pi)[0], nettest.Rand(5))
	for i := range m.Norm.Std {
		m.Norm.Std[i] = 1e-30
	}
	r := newRecognizer(t, m)
	for _, n := range []int{100, 9000} {
		samples := noise(nettest.Rand(1), n)
		if _, err := r.Classify(samples, testRate); !errors.Is(err, ErrDiverged) {
			t.Errorf("Classify: %v", err)
		}
		if _, err := r.Embed(samples, testRate); !errors.Is(err, ErrDiverged) {
			t.Errorf("Embed: %v", err)
		}
		for _, err := range r.Events(context.Background(), audio.Clip{Rate: testRate, Samples: samples}.Source()) {
			if !errors.Is(err, ErrDiverged) {
				t.Errorf("Events: %v", err)
			}
		}
	}
}

func TestWindowsStopWhenAsked(t *testing.T) {
	r := testRecognizer(t)
	src, n := &failing{1 << 30, io.EOF}, 0
	for range r.Windows(context.Background(), src) {
		if n++; n == 3 {
			break
		}
	}
	if read := 1<<30 - src.left; n != 3 || read > 16000 {
		t.Errorf("%d windows, %d samples read", n, read)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	for _, err := range r.Windows(ctx, src) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("windows of a cancelled context end with %v", last)
	}
}

func TestEmbeddingIsWhatTheHeadReads(t *testing.T) {
	r := testRecognizer(t)
	samples := noise(nettest.Rand(1), testWindow)
	embedding, err := r.Embed(samples, testRate)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := r.Classify(samples, testRate)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Model()
	weight, bias := m.Weights["head.weight"].Data().([]float32), m.Weights["head.bias"].Data().([]float32)
	logits := make([]float64, len(bias))
	for c := range logits {
		logits[c] = float64(bias[c])
		for i, v := range embedding {
			logits[c] += float64(v) * float64(weight[i*len(bias)+c])
		}
	}
	polynet.Softmax(logits, m.Temperature)
	checkScores(t, "from the embedding", r.rank(logits), scores)
}

func TestRecognizerRefusesImpossibleOptions(t *testing.T) {
	m := testModel()
	for _, hop := range []float64{-1, 0.21, math.NaN(), math.Inf(1)} {
		if _, err := New(m, WithHop(hop)); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("a hop of %g: %v", hop, err)
		}
	}
	for name, o := range map[string]Option{"a NaN gate": WithGate(math.NaN()), "no threads": WithThreads(-1)} {
		if _, err := New(m, o); !errors.Is(err, polynet.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(nil); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("no model: %v", err)
	}
	if _, err := New(m, WithDetection(detect.Config{})); !errors.Is(err, detect.ErrConfig) {
		t.Errorf("no threshold: %v", err)
	}
	broken := *m
	broken.Weights = nil
	if _, err := New(&broken); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("a model without weights: %v", err)
	}
	if _, err := Open("no such file"); !errors.Is(err, polynet.ErrModel) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestClosedRecognizerSaysSo(t *testing.T) {
	r := newRecognizer(t, testModel())
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	samples := noise(nettest.Rand(1), 2*testWindow)
	_, classified := r.Classify(samples, testRate)
	_, embedded := r.Embed(samples, testRate)
	_, listening := r.Listen(Format{})
	_, windows := collect(r, audio.Clip{Rate: testRate, Samples: samples}.Source())
	for _, err := range []error{classified, embedded, listening, windows} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestBackground(t *testing.T) {
	for label, want := range map[string]bool{"left": false, polynet.UnknownLabel: true, polynet.SilenceLabel: true} {
		if got := (Window{Scores: []Score{{label, 1}}}).Background(); got != want {
			t.Errorf("%s: %v", label, got)
		}
	}
}
