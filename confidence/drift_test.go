package confidence

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// share returns an input whose windows are beyond all limits or none, the latter with the probability 1−p.
func share(rng *rand.Rand, p float64) [Statistics]float64 {
	if rng.Float64() < p {
		return [Statistics]float64{1, 1, 1}
	}
	return [Statistics]float64{}
}

// TestDriftFalseAlarms: where as many inputs are beyond the limits as the tolerance allows, which is the worst case,
// at most a share of DriftAlpha of the runs of DriftInputs inputs reports a drift. A true share that is larger would
// give so many reports with a probability of at most 1e-4; the exact bound is binomial.
func TestDriftFalseAlarms(t *testing.T) {
	const runs, tolerance = 400, 0.2
	for name, input := range map[string]func(rng *rand.Rand, i int) [Statistics]float64{
		"all limits alike": func(rng *rand.Rand, _ int) [Statistics]float64 { return share(rng, tolerance) },
		"limits on their own": func(rng *rand.Rand, _ int) [Statistics]float64 {
			a, b, c := share(rng, tolerance), share(rng, tolerance), share(rng, tolerance)
			return [Statistics]float64{a[0], b[0], c[0]}
		},
		"shares of windows": func(rng *rand.Rand, _ int) (mean [Statistics]float64) {
			for range 4 {
				for k, v := range share(rng, tolerance) {
					mean[k] += v / 4
				}
			}
			return mean
		},
	} {
		rng, alarms := rand.New(rand.NewPCG(1, 2)), 0
		for range runs {
			test := NewDriftTest(&Reference{Tolerance: tolerance})
			for i := range DriftInputs {
				if test.Add(input(rng, i)) {
					alarms++
					break
				}
			}
		}
		promised := distuv.Binomial{N: runs, P: DriftAlpha}
		if tail := 1 - promised.CDF(float64(alarms)-1); tail < 1e-4 {
			t.Errorf("%s: %d of %d runs report a drift, which is likely with %g", name, alarms, runs, tail)
		}
	}
}

// TestDriftDelays: how many inputs a drift takes to be found, after a long time without one, on average.
func TestDriftDelays(t *testing.T) {
	for beyond, most := range map[float64]float64{1: 13, 0.9: 18, 0.6: 60, 0.4: 250} {
		rng, sum := rand.New(rand.NewPCG(3, 4)), 0
		const runs = 100
		for range runs {
			test := NewDriftTest(&Reference{Tolerance: 0.2})
			for range 5000 {
				if test.Add(share(rng, 0.05)) {
					t.Fatal("a drift is found before there is one")
				}
			}
			for !test.Add(share(rng, beyond)) {
				sum++
			}
		}
		if mean := 1 + float64(sum)/runs; mean > most {
			t.Errorf("a share of %g beyond the limits is found after %g inputs, at most %g are due", beyond, mean, most)
		}
	}
}

// TestDriftIsReportedOnce: a drift that goes on is found once, and another one when the first is over.
func TestDriftIsReportedOnce(t *testing.T) {
	test := NewDriftTest(&Reference{Tolerance: 0.2})
	rng := rand.New(rand.NewPCG(5, 6))
	for i, c := range []struct {
		inputs        int
		beyond        float64
		found         int
		drifted       bool
		statisticOnly int // −1: all
	}{
		{500, 0.05, 0, false, -1}, {300, 0.9, 1, true, -1}, {5000, 0.6, 0, true, -1}, {300, 0.05, 0, false, -1},
		{300, 0.9, 1, true, 1}, {300, 0.05, 0, false, -1}, {300, 0.9, 1, true, 2},
	} {
		found := 0
		for range c.inputs {
			x := share(rng, c.beyond)
			for k := range x {
				if c.statisticOnly >= 0 && c.statisticOnly != k {
					x[k] = 0
				}
			}
			if test.Add(x) {
				found++
			}
		}
		if found != c.found || test.Drifted() != c.drifted {
			t.Errorf("phase %d: %d drifts found, drifted %v", i, found, test.Drifted())
		}
	}
}

func TestUnlikeness(t *testing.T) {
	for _, c := range []struct {
		logits []float64
		class  int
		want   [Statistics]float64
	}{
		{[]float64{math.Log(2), math.Log(5), math.Log(3)}, 1, [Statistics]float64{0.5, -math.Log(10), math.Log(10)}},
		{[]float64{0, 0}, 0, [Statistics]float64{0.5, -math.Ln2, math.Ln2}},
		{[]float64{1e30, -1e30}, 0, [Statistics]float64{0, -1e30, 1e30}},
	} {
		class, got := Unlikeness(c.logits)
		for i, v := range got {
			if class != c.class || math.Abs(v-c.want[i]) > 1e-12*max(1, math.Abs(v)) {
				t.Errorf("%v: class %d, %v; want %d, %v", c.logits, class, got, c.class, c.want)
			}
		}
	}
	r := &Reference{Tolerance: 0.2, Limits: [][]float64{{0, 0, 0}, {0.6, -math.Log(9), math.Log(9)}}}
	if got := r.Beyond([]float64{math.Log(3), math.Log(7)}); got != [Statistics]bool{false, false, true} {
		t.Errorf("beyond %v", got)
	}
}
