package polyphon

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
)

// calibratedLoudness returns loudness with sets of the labels that have at least 40 %, and with _unknown_, which it has
// no class of, for sounds whose level is near that where loud begins.
func calibratedLoudness() *polynet.Model {
	m := loudness()
	sets := &confidence.Sets{Score: confidence.Plain}
	for range m.Labels {
		sets.Quantiles = append(sets.Quantiles, slices.Repeat([]float64{0.6}, len(confidence.Levels)))
	}
	m.Calibration = &confidence.Calibration{
		Sets: sets, Unknown: &confidence.Unknown{Score: confidence.MaxProbability, Threshold: 0.4, Slope: 50},
	}
	return m
}

func TestDoubtfulAnswers(t *testing.T) {
	r := newRecognizer(t, calibratedLoudness(), WithMinConfidence(0.6), WithCoverage(0.9))
	if got := r.Labels(); !slices.Equal(got, []string{"loud", polynet.SilenceLabel, polynet.UnknownLabel}) {
		t.Errorf("labels %q", got)
	}
	for _, c := range []struct {
		p       []float64
		set     []string
		refused bool
	}{
		{[]float64{0.9, 0.1}, []string{"loud"}, false},
		{[]float64{0.45, 0.55}, []string{"_silence_", "loud"}, true},
		{[]float64{0.2, 0.1}, []string{}, false}, // _unknown_ has the rest
		{[]float64{0.3, 0.3}, []string{}, true},
		{[]float64{0.6, 0.2}, []string{"loud"}, false},
	} {
		scores := r.rank(c.p)
		sum := 0.0
		for _, s := range scores {
			sum += s.P
		}
		set := r.Set(scores)
		if math.Abs(sum-1) > 1e-12 || len(scores) != 3 || r.Refuses(scores) != c.refused || !slices.Equal(set, c.set) {
			t.Errorf("%v: %v, set %q, refused %v", c.p, scores, set, r.Refuses(scores))
		}
		if set == nil {
			t.Errorf("the set of %v is nil", c.p)
		}
	}
	if set := newRecognizer(t, calibratedLoudness()).Set([]Score{{"loud", 1}}); set != nil {
		t.Errorf("set %q without a coverage", set)
	}
}

// TestUnknownEverywhere: a burst at a level between those of loud and _silence_ is _unknown_ in every kind of answer.
func TestUnknownEverywhere(t *testing.T) {
	m := calibratedLoudness()
	m.Calibration.Unknown.Slope = 1e6
	m.Calibration.Unknown.Threshold = -1 // everything
	r := newRecognizer(t, m)
	samples := bursts(4, 2)
	check := func(what string, scores []Score) {
		t.Helper()
		if len(scores) != 3 || !slices.ContainsFunc(scores, func(s Score) bool { return s.Label == polynet.UnknownLabel }) {
			t.Errorf("%s: %v", what, scores)
		}
		for _, s := range scores {
			if s.Label == "loud" && s.P > 1e-6 {
				t.Errorf("%s: loud has %g", what, s.P)
			}
		}
	}
	for _, n := range []int{testRate / 2, 4 * testRate} {
		scores, err := r.Classify(samples[len(samples)-n:], testRate)
		if err != nil {
			t.Fatal(err)
		}
		check("clip", scores)
	}
	clip := audio.Clip{Rate: testRate, Samples: samples}
	for w, err := range r.Windows(t.Context(), clip.Source()) {
		if err != nil {
			t.Fatal(err)
		}
		check("window", w.Scores)
	}
	var whole Overall
	for e, err := range r.EventsOverall(t.Context(), clip.Source(), &whole) {
		t.Errorf("event %+v, error %v", e, err)
	}
	check("recording", whole.Scores())
	l, err := r.Listen(Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.Push(samples), l.Flush()); err != nil {
		t.Fatal(err)
	}
	if events := l.Events(); len(events) != 0 {
		t.Errorf("live sound has the events %v", events)
	}
}

// TestRefusedEvents: no probability is above 1 in float64, and few reach it.
func TestRefusedEvents(t *testing.T) {
	samples := bursts(6, 2, 4)
	clip := audio.Clip{Rate: testRate, Samples: samples}
	for p, want := range map[float64][2]int{0: {2, 0}, 1: {0, 2}} {
		r := newRecognizer(t, loudness(), WithMinConfidence(p))
		var whole Overall
		events := 0
		for _, err := range r.EventsOverall(t.Context(), clip.Source(), &whole) {
			if err != nil {
				t.Fatal(err)
			}
			events++
		}
		if got := [2]int{events, whole.RefusedEvents}; got != want {
			t.Errorf("at least %g: events and refused %v, want %v", p, got, want)
		}
		l, err := r.Listen(Format{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := errors.Join(l.Push(samples), l.Flush()); err != nil {
			t.Fatal(err)
		}
		if got := [2]int{len(l.Events()), l.Stats().Refused}; got != want {
			t.Errorf("live, at least %g: events and refused %v, want %v", p, got, want)
		}
	}
}

func TestDoubtfulOptions(t *testing.T) {
	for name, c := range map[string]struct {
		m      *polynet.Model
		option Option
		want   error
	}{
		"below 0":                {loudness(), WithMinConfidence(-0.1), polynet.ErrConfig},
		"above 1":                {loudness(), WithMinConfidence(1.1), polynet.ErrConfig},
		"no number":              {loudness(), WithMinConfidence(math.NaN()), polynet.ErrConfig},
		"coverage below":         {calibratedLoudness(), WithCoverage(0.4), polynet.ErrConfig},
		"coverage above":         {calibratedLoudness(), WithCoverage(0.999), polynet.ErrConfig},
		"coverage of no number":  {calibratedLoudness(), WithCoverage(math.NaN()), polynet.ErrConfig},
		"coverage without sets":  {loudness(), WithCoverage(0.9), ErrUncalibrated},
		"coverage without parts": {withCalibration(loudness(), confidence.Calibration{}), WithCoverage(0.9), ErrUncalibrated},
	} {
		if _, err := New(c.m, c.option); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func withCalibration(m *polynet.Model, c confidence.Calibration) *polynet.Model {
	m.Calibration = &c
	return m
}
