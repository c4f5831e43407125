package detect

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

var testLabels = []string{"left", "right", "_unknown_", "_silence_"}

// testConfig is an operating point of round numbers for windows of a second.
var testConfig = Config{Smoothing: 0.2, Threshold: 0.8, Release: 0.5, MinDuration: 0.1, Refractory: 1}

// step is the time between scripted decisions.
const step = 0.05

// script plays probabilities over time to a detector, as a stream does: windows of a second, the first ones shorter,
// and decisions that come 0.2 s late. p returns the probabilities of the window that ends at t.
func script(d *Detector, seconds float64, p func(t float64) []float64) (begun, ended []Event) {
	for i := 1; float64(i)*step <= seconds+tolerance; i++ {
		end := math.Round(float64(i)*step*100) / 100
		if e, ok := d.Push(max(0, end-1), end, end+0.2, p(end)); ok {
			begun = append(begun, e)
		}
		ended = append(ended, d.Ended()...)
	}
	d.Flush()
	return begun, append(ended, d.Ended()...)
}

// plateaus returns a script in which the first label has probability 0.95 in the given spans, else 0.02.
func plateaus(spans ...[2]float64) func(float64) []float64 {
	return func(t float64) []float64 {
		for _, s := range spans {
			if t > s[0]+tolerance && t <= s[1]+tolerance {
				return []float64{0.95, 0.02, 0.02, 0.01}
			}
		}
		return []float64{0.02, 0.02, 0.06, 0.9}
	}
}

func newDetector(t testing.TB, c Config) *Detector {
	t.Helper()
	d, err := New(testLabels, c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// outline describes events by their labels and the times of their decisions, to two digits.
func outline(events []Event) string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprintf("%s %.2f", e.Label, e.Time))
	}
	return strings.Join(list, ", ")
}

func TestEventsOfScripts(t *testing.T) {
	flicker := func(t float64) []float64 { // a word seen for 1.2 s, with holes of one and of several decisions
		hole := t > 1.5 && t < 1.57 || t > 1.7 && t < 1.93 || t > 2.05 && t < 2.12
		if t < 1 || t > 2.2 || hole {
			return []float64{0.05, 0, 0.95, 0}
		}
		return []float64{0.95, 0, 0.05, 0}
	}
	spike := func(t float64) []float64 { // of one decision
		if math.Abs(t-1) < step/2 {
			return []float64{1, 0, 0, 0}
		}
		return []float64{0, 0, 0, 1}
	}
	rivals := func(t float64) []float64 { // the likelier one begins, the other one only when it is left alone
		switch {
		case t > 1 && t <= 2:
			return []float64{0.5, 0.45, 0.05, 0}
		case t > 2 && t <= 3:
			return []float64{0, 0.9, 0.1, 0}
		}
		return nil
	}
	sentence := func(t float64) []float64 { // two words, the second one 0.5 s later
		switch {
		case t > 1 && t <= 1.6:
			return []float64{0.9, 0.05, 0.05, 0}
		case t > 1.6 && t <= 2.5:
			return []float64{0.05, 0.9, 0.05, 0}
		}
		return []float64{0, 0, 0, 1}
	}
	background := func(t float64) []float64 {
		if int(t)%2 == 0 {
			return []float64{0, 0, 1, 0}
		}
		return []float64{0, 0, 0, 1}
	}
	low := testConfig
	low.Threshold = 0.4
	quick := testConfig
	quick.Refractory = 0.7
	for _, c := range []struct {
		name   string
		config Config
		p      func(float64) []float64
		want   string
	}{
		{"one word", testConfig, plateaus([2]float64{1, 2.1}), "left 1.50"},
		{"a word at once", testConfig, plateaus([2]float64{0, 1.1}), "left 0.50"},
		{"two words", testConfig, plateaus([2]float64{1, 2.1}, [2]float64{3, 4.1}), "left 1.50, left 3.50"},
		{"repeated after 0.8 s, released in between", quick, plateaus([2]float64{1, 1.6}, [2]float64{1.8, 2.9}),
			"left 1.50, left 2.30"},
		{"the same with a longer refractory time", testConfig, plateaus([2]float64{1, 1.6}, [2]float64{1.8, 2.9}),
			"left 1.50, left 2.50"},
		{"repeated and over within it", testConfig, plateaus([2]float64{1, 1.6}, [2]float64{1.8, 2.2}), "left 1.50"},
		{"repeated without a gap", testConfig, plateaus([2]float64{1, 2.9}), "left 1.50"},
		{"a long plateau", testConfig, plateaus([2]float64{1, 9}), "left 1.50"},
		{"flicker", testConfig, flicker, "left 1.45"},
		{"a spike", testConfig, spike, ""},
		{"too short", testConfig, plateaus([2]float64{1, 1.15}), ""},
		{"rivals", low, rivals, "left 1.50, right 2.25"},
		{"a sentence", testConfig, sentence, "left 1.50, right 2.10"},
		{"background", testConfig, background, ""},
		{"rest", testConfig, func(float64) []float64 { return nil }, ""},
		{"just below the threshold", testConfig, func(float64) []float64 { return []float64{0.7999, 0.1, 0.1, 0} }, ""},
		{"no waiting", Config{Threshold: 0.8, Release: 1}, plateaus([2]float64{1, 2}), "left 1.25"},
	} {
		begun, ended := script(newDetector(t, c.config), 10, c.p)
		if got := outline(begun); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if len(ended) != len(begun) {
			t.Errorf("%s: %d events begun, %d ended", c.name, len(begun), len(ended))
		}
	}
}

func TestEventFields(t *testing.T) {
	begun, ended := script(newDetector(t, testConfig), 6, plateaus([2]float64{2, 3.05}))
	b, e := begun[0], ended[0]
	near := func(what string, got, want, within float64) {
		t.Helper()
		if !(math.Abs(got-want) <= within) {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	near("time", b.Time, 2.5, 1e-9)
	near("start", b.Start, 2.05-0.25, 1e-9)
	near("end", b.End, 2.3, 1e-9)
	near("p", b.P, 0.95, 1e-9)
	// A sound from 1.8 to 2.3 whose half is enough: contained in the windows that end from 2.05 to 3.05.
	near("start, in hindsight", e.Start, 1.8, step)
	near("end, in hindsight", e.End, 2.3, step)
	if e.Time != b.Time || e.Label != "left" || e.P != b.P {
		t.Errorf("%+v ends as %+v", b, e)
	}
}

// TestSpanInHindsight has sounds of known position, of which half is enough.
func TestSpanInHindsight(t *testing.T) {
	for _, c := range []struct{ start, end float64 }{{2, 2.5}, {3, 3.5}, {2, 4}, {3, 8}} {
		half := min(c.end-c.start, 1) / 2
		_, ended := script(newDetector(t, testConfig), 12, plateaus([2]float64{c.start + half, c.end - half + 1}))
		if len(ended) != 1 {
			t.Fatalf("%d events", len(ended))
		}
		if e := ended[0]; math.Abs(e.Start-c.start) > 2*step || math.Abs(e.End-c.end) > 2*step ||
			math.Abs(e.Start+e.End-c.start-c.end) > 2*step {
			t.Errorf("a sound from %g to %g s is put at %.2f to %.2f", c.start, c.end, e.Start, e.End)
		}
	}
}

func TestFlushEndsWhatGoesOn(t *testing.T) {
	d := newDetector(t, testConfig)
	begun, ended := script(d, 5, plateaus([2]float64{2, 9}))
	if len(begun) != 1 || len(ended) != 1 || ended[0].End != 5 || ended[0].Start != begun[0].Start {
		t.Errorf("begun %+v, ended %+v", begun, ended)
	}
	d.Flush()
	if len(d.Ended()) != 0 {
		t.Error("the event ends twice")
	}
}

func TestResetLeavesNothingBehind(t *testing.T) {
	used, fresh := newDetector(t, testConfig), newDetector(t, testConfig)
	// In the middle of a rise, an event, the refractory time, and afterwards.
	for _, left := range []float64{0.5, 1.3, 2.2, 4} {
		script(used, left, plateaus([2]float64{0.4, 1.5}))
		used.Reset()
		begun, ended := script(used, 6, plateaus([2]float64{0, 0.9}, [2]float64{3, 4}))
		wantBegun, wantEnded := script(fresh, 6, plateaus([2]float64{0, 0.9}, [2]float64{3, 4}))
		fresh.Reset()
		if !slices.Equal(begun, wantBegun) || !slices.Equal(ended, wantEnded) {
			t.Errorf("after a Reset at %g s: %v, want %v", left, begun, wantBegun)
		}
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	d := newDetector(t, testConfig)
	for i, p := range [][]float64{{nan, nan, nan, nan}, {inf, nan, -inf, 0}, {-3, 7, nan, 0}, nil} {
		for range 20 {
			end := d.end + step
			if e, ok := d.Push(end-1, end, nan, p); ok && (e.P < 1-1e-9 || math.IsNaN(e.Time+e.Start+e.End)) {
				t.Errorf("script %d: %+v", i, e)
			}
		}
		for _, m := range d.smoother.mean {
			if !(m >= 0 && m <= 1) {
				t.Errorf("script %d: average %g", i, m)
			}
		}
	}
	last := d.end
	for _, w := range [][2]float64{{nan, 100}, {0, nan}, {0, inf}, {-inf, 100}, {100, 99}, {last - 1, last},
		{last - 2, last - 1}} {
		if _, ok := d.Push(w[0], w[1], w[1], []float64{1, 0, 0, 0}); ok || d.end != last {
			t.Errorf("the window %v is taken", w)
		}
	}
}

func TestWrongNumberOfProbabilitiesPanics(t *testing.T) {
	defer func() {
		if r := fmt.Sprint(recover()); !strings.Contains(r, "2 probabilities for 4 labels") {
			t.Errorf("panic %s", r)
		}
	}()
	newDetector(t, testConfig).Push(0, 1, 1, []float64{0, 1})
}

func TestThresholdsByLabel(t *testing.T) {
	c := testConfig
	c.Thresholds = map[string]float64{"right": 0.3}
	d := newDetector(t, c)
	begun, _ := script(d, 5, func(t float64) []float64 {
		return []float64{0.6, 0.35, 0.05, 0} // right reaches its threshold, left does not
	})
	if got := outline(begun); got != "right 0.50" {
		t.Errorf("%s", got)
	}
}

func TestValidate(t *testing.T) {
	nan := math.NaN()
	for want, change := range map[string]func(*Config){
		"smoothing":                  func(c *Config) { c.Smoothing = -1 },
		"smoothing over 61":          func(c *Config) { c.Smoothing = 61 },
		"smoothing over NaN":         func(c *Config) { c.Smoothing = nan },
		"a threshold of 0":           func(c *Config) { c.Threshold = 0 },
		"a threshold of 1.1":         func(c *Config) { c.Threshold = 1.1 },
		"a threshold of NaN":         func(c *Config) { c.Threshold = nan },
		"a release of 0":             func(c *Config) { c.Release = 0 },
		"a release of 2":             func(c *Config) { c.Release = 2 },
		"a minimum duration of -1":   func(c *Config) { c.MinDuration = -1 },
		"a refractory time of +Inf":  func(c *Config) { c.Refractory = math.Inf(1) },
		`a threshold of 2 for "left`: func(c *Config) { c.Thresholds = map[string]float64{"left": 2} },
		`"up", which is none`:        func(c *Config) { c.Thresholds = map[string]float64{"up": 0.5} },
		`"_silence_", which begins`:  func(c *Config) { c.Thresholds = map[string]float64{"_silence_": 0.5} },
	} {
		c := testConfig
		change(&c)
		if _, err := New(testLabels, c); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, err := New(nil, testConfig); !errors.Is(err, ErrConfig) {
		t.Errorf("no labels: %v", err)
	}
	for _, window := range []float64{0.001, 0.2, 1, 5, 3600} {
		if err := Default(window).Validate(testLabels); err != nil {
			t.Errorf("the default for a window of %g s: %v", window, err)
		}
	}
}

func TestPushDoesNotAllocate(t *testing.T) {
	d := newDetector(t, testConfig)
	p := []float64{0.9, 0.05, 0.05, 0}
	script(d, 5, func(float64) []float64 { return p })
	if n := testing.AllocsPerRun(100, func() { d.Push(d.end-0.9, d.end+step, d.end+step, p) }); n != 0 {
		t.Errorf("%g allocations a decision", n)
	}
}

// TestRequire: a label that wavers at 0.85 before it rises to 0.95 begins its event late, and one that never rises is
// refused once, however often it wavers before it is released.
func TestRequire(t *testing.T) {
	rising := func(t float64) []float64 {
		switch {
		case t > 1 && t <= 2:
			return []float64{0.85, 0, 0, 0}
		case t > 2 && t <= 3:
			return []float64{0.95, 0, 0, 0}
		}
		return []float64{0, 0, 0, 1}
	}
	wavering := func(t float64) []float64 {
		switch {
		case t > 1 && t <= 1.5 || t > 2 && t <= 2.5:
			return []float64{0.85, 0, 0, 0}
		case t > 1 && t <= 2.5:
			return []float64{0.5, 0, 0, 0}
		}
		return []float64{0, 0, 0, 1}
	}
	for _, c := range []struct {
		name    string
		p       func(float64) []float64
		minimum float64
		events  string
		refused int
	}{
		{"rising", rising, 0, "left 1.50", 0},
		{"rising", rising, 0.91, "left 2.35", 0},
		{"rising", rising, 0.99, "", 1},
		{"wavering", wavering, 0, "left 1.50", 0},
		{"wavering", wavering, 0.9, "", 1},
		{"to the end", func(float64) []float64 { return []float64{0.85, 0, 0, 0} }, 0.9, "", 1},
		{"silence", plateaus(), 0.9, "", 0},
	} {
		d := newDetector(t, testConfig)
		d.Require(c.minimum)
		for range 2 {
			begun, _ := script(d, 5, c.p)
			if got := outline(begun); got != c.events || d.Refused() != c.refused {
				t.Errorf("%s, at least %g: events %q, %d refused, want %q and %d",
					c.name, c.minimum, got, d.Refused(), c.events, c.refused)
			}
			d.Reset()
		}
	}
}
