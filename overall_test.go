package polyphon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// TestLongSoundIsTheMeanOfItsWindows holds Classify of long sounds to the plain equations, window by window.
func TestLongSoundIsTheMeanOfItsWindows(t *testing.T) {
	r := testRecognizer(t)
	hop := testWindow / 4
	for _, c := range []struct{ samples, windows int }{ // those that begin at a multiple of a hop
		{testWindow + 1, 1}, {testWindow + hop, 2}, {2*testWindow - 1, 4}, {2 * testWindow, 5},
		{testWindow + 14*hop, 15}, {testWindow + 15*hop, 16}, {testWindow + 15*hop + 1, 16}, {11*testWindow + 77, 41},
	} {
		samples := noise(nettest.Rand(4), c.samples)
		var whole Overall
		add := func(start int) {
			whole.Add(expected(t, r.Model(), samples[start:start+testWindow], testWindow))
		}
		for i := range c.windows {
			add(i * hop)
		}
		if (c.windows-1)*hop+testWindow < c.samples {
			add(c.samples - testWindow)
		}
		got, err := r.Classify(samples, testRate)
		if err != nil {
			t.Fatal(err)
		}
		checkScores(t, fmt.Sprintf("%d samples", c.samples), got, whole.Scores())
		src := &pieces{audio.Clip{Rate: testRate, Samples: samples}.Source()}
		if got, err = r.ClassifySource(t.Context(), src); err != nil {
			t.Fatal(err)
		}
		checkScores(t, fmt.Sprintf("%d samples from a source", c.samples), got, whole.Scores())
	}
}

// pieces is a source that delivers little at a time.
type pieces struct{ audio.Source }

func (p *pieces) Read(dst []float32) (int, error) { return p.Source.Read(dst[:min(len(dst), 333)]) }

func TestOverallLeavesOutSilence(t *testing.T) {
	left, silence := Score{"left", 0.9}, Score{polynet.SilenceLabel, 0.1}
	loud, quiet := []Score{left, silence}, []Score{{polynet.SilenceLabel, 0.8}, {"left", 0.2}}
	half := []Score{{"left", 0.5}, {polynet.SilenceLabel, 0.5}}
	for _, c := range []struct {
		windows [][]Score
		want    []Score
	}{
		{nil, nil},
		{[][]Score{loud}, loud},
		{[][]Score{quiet, loud, quiet}, loud},
		{[][]Score{quiet, quiet}, quiet},
		{[][]Score{loud, half}, []Score{{"left", 0.7}, {polynet.SilenceLabel, 0.3}}},
		{[][]Score{{{"b", 0.5}, {"a", 0.5}}}, []Score{{"a", 0.5}, {"b", 0.5}}},
	} {
		var whole Overall
		for _, w := range c.windows {
			whole.Add(w)
		}
		checkScores(t, fmt.Sprint(c.windows), whole.Scores(), c.want)
	}
}

// TestPools holds each pool to its equation: in most windows a is likely, b in one, and silence does not count.
func TestPools(t *testing.T) {
	windows := [][]Score{
		{{"a", 0.5}, {"b", 0.3}, {"c", 0.2}}, {{"a", 0.5}, {"c", 0.4}, {"b", 0.1}}, {{"b", 0.9}, {"a", 0.06}, {"c", 0.04}},
		{{polynet.SilenceLabel, 1}, {"a", 0}, {"b", 0}, {"c", 0}}, {{"a", 0.6}, {"b", 0.3}, {"c", 0.1}},
	}
	for _, c := range []struct {
		pool    Pool
		windows [][]Score
		want    []Score
	}{
		{"", windows, []Score{{"a", 0.415}, {"b", 0.4}, {"c", 0.185}}},
		{PoolMean, windows, []Score{{"a", 0.415}, {"b", 0.4}, {"c", 0.185}}},
		{PoolMax, windows, []Score{{"b", 0.9}, {"a", 0.6}, {"c", 0.4}}},
		{PoolShare, windows, []Score{{"a", 0.75}, {"b", 0.25}, {"c", 0}}},
		{PoolShare, windows[1:3], []Score{{"b", 0.5}, {"a", 0.5}, {"c", 0}}}, // the means decide
		{PoolShare, windows[3:], windows[4]},                                 // a single window that counts
		{PoolShare, windows[:1], windows[0]},
		{PoolMax, windows[:1], windows[0]},
		{PoolShare, windows[3:4], windows[3]},
	} {
		whole := Overall{Pool: c.pool}
		for _, w := range c.windows {
			whole.Add(w)
		}
		checkScores(t, fmt.Sprint(c.pool, len(c.windows)), whole.Scores(), c.want)
	}
	if _, err := New(testModel(), WithPool("median")); !errors.Is(err, polynet.ErrConfig) {
		t.Errorf("another pool: %v", err)
	}
}

// TestSilenceAroundASoundChangesLittle adds silence to a word, by a sample and by up to two windows.
func TestSilenceAroundASoundChangesLittle(t *testing.T) {
	r := newRecognizer(t, models.Base())
	for _, word := range []string{"left", "stop", "yes"} {
		clip, err := audio.ReadFile("examples/"+word+".wav", testRate)
		if err != nil {
			t.Fatal(err)
		}
		sound := make([]float32, testRate)
		copy(sound, clip.Samples)
		short, err := r.Classify(sound, testRate)
		if err != nil {
			t.Fatal(err)
		}
		// Windows with half a word in them count, too.
		for n, tolerance := range map[int]float64{
			16001: 0.001, 16002: 0.001, 17600: 0.01, 31999: 0.35, 32001: 0.35, 48000: 0.35,
		} {
			got, err := r.Classify(append(sound[:testRate:testRate], make([]float32, n-testRate)...), testRate)
			if err != nil {
				t.Fatal(err)
			}
			if got[0].Label != short[0].Label || math.Abs(got[0].P-short[0].P) > tolerance {
				t.Errorf("%s with %d samples is %v, with %d %v", word, n, got[0], testRate, short[0])
			}
		}
	}
}

// TestEventsOverall compares the labels over the whole with what a recording consists of, and with Classify where it is
// short.
func TestEventsOverall(t *testing.T) {
	r := newRecognizer(t, loudness())
	for _, c := range []struct {
		samples []float32
		label   string
		events  int
	}{
		{bursts(8, burstTimes...), "loud", 3},
		{bursts(8), polynet.SilenceLabel, 0},
		{bursts(1.5, 0.5), "loud", 1},
		{bursts(1, 0.2), "loud", 1},
		{bursts(0.3), polynet.SilenceLabel, 0},
	} {
		var whole Overall
		events := 0
		src := audio.Clip{Rate: testRate, Samples: c.samples}.Source()
		for _, err := range r.EventsOverall(t.Context(), src, &whole) {
			if err != nil {
				t.Fatal(err)
			}
			events++
		}
		got := whole.Scores()
		if got[0].Label != c.label || got[0].P < 0.9 || events != c.events {
			t.Errorf("%d samples: %v, %d events, want %s, %d", len(c.samples), got, events, c.label, c.events)
		}
		if len(c.samples) <= testRate {
			want, err := r.Classify(c.samples, testRate)
			if err != nil {
				t.Fatal(err)
			}
			checkScores(t, "a short sound", got, want)
		}
	}
}

func TestClassifySourceEndsWithAnError(t *testing.T) {
	r, broken := testRecognizer(t), errors.New("broken")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		src  audio.Source
		want error
	}{
		{t.Context(), &failing{50000, broken}, broken}, {t.Context(), &failing{10, broken}, broken},
		{t.Context(), &failing{0, io.EOF}, audio.ErrEmpty}, {ctx, &failing{1 << 30, io.EOF}, context.Canceled},
		{t.Context(), audio.Clip{Rate: 100, Samples: make([]float32, 50)}.Source(), audio.ErrFormat},
	} {
		if got, err := r.ClassifySource(c.ctx, c.src); got != nil || !errors.Is(err, c.want) {
			t.Errorf("%v and %v, want %v", got, err, c.want)
		}
	}
}
