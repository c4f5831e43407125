package tuning

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestIntervals compares intervals with SciPy's (testdata/golden.py).
func TestIntervals(t *testing.T) {
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Poisson []struct {
			Events   int
			Interval [2]float64
		}
		Binomial []struct {
			Hits, Of int
			Interval [2]float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	same := func(got Interval, want [2]float64) bool {
		near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-9*want }
		return near(got.Low, want[0]) && near(got.High, want[1])
	}
	if len(golden.Poisson) == 0 || len(golden.Binomial) == 0 {
		t.Fatal("no golden values")
	}
	for _, g := range golden.Poisson {
		if got := PoissonInterval(g.Events); !same(got, g.Interval) {
			t.Errorf("%d events: %v, want %v", g.Events, got, g.Interval)
		}
	}
	for _, g := range golden.Binomial {
		if got := BinomialInterval(g.Hits, g.Of); !same(got, g.Interval) {
			t.Errorf("%d of %d: %v, want %v", g.Hits, g.Of, got, g.Interval)
		}
	}
	if got := BinomialInterval(0, 0); got != (Interval{0, 1}) {
		t.Errorf("a share of nothing: %v", got)
	}
	c := Counts{Words: 20, Missed: 10, FalseAlarms: 3, Hours: 0.5}
	if got := c.FalseAlarmInterval(); !same(got, [2]float64{2 * 0.6186721228956014, 2 * 8.767273069742325}) {
		t.Errorf("3 false alarms in half an hour: %v an hour", got)
	}
	if got := c.MissInterval(); !same(got, [2]float64{0.27195784956079, 0.72804215043921}) {
		t.Errorf("10 of 20 missed: %v", got)
	}
	if got := (Counts{}).FalseAlarmInterval(); got.Low != 0 || !math.IsInf(got.High, 1) {
		t.Errorf("no sound: %v an hour", got)
	}
}
