package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/confidence"
)

// drawn returns the logits of n clips, with classes in shares of mix, of a network that is as sure as sureness says.
func drawn(rng *rand.Rand, n int, mix []float64, sureness float64) Logits {
	l := Logits{Classes: len(mix)}
	for range n {
		u, truth := rng.Float64(), 0
		for u -= mix[0]; u > 0 && truth < len(mix)-1; u -= mix[truth] {
			truth++
		}
		for c := range mix {
			z := rng.NormFloat64()
			if c == truth {
				z += sureness
			}
			l.Values = append(l.Values, z)
		}
		l.Truth = append(l.Truth, truth)
	}
	return l
}

// inputs passes clips to a test until it finds a drift, and returns how many it took; 0 where it finds none.
func inputs(test *confidence.DriftTest, r *confidence.Reference, l Logits) int {
	for i := range l.Truth {
		var x [confidence.Statistics]float64
		for k, b := range r.Beyond(l.Row(i)) {
			if b {
				x[k] = 1
			}
		}
		if test.Add(x) {
			return i + 1
		}
	}
	return 0
}

// TestReferenceKeepsItsPromise: with limits fitted to few clips and others whose labels have quite another mix, at most
// DriftAlpha and referenceRisk of the runs report a drift: of 300, with a probability of 99.99 %, at most 4.
func TestReferenceKeepsItsPromise(t *testing.T) {
	rng, alarms := rand.New(rand.NewPCG(1, 2)), 0
	for range 300 {
		r := FitReference(drawn(rng, 300, []float64{0.4, 0.3, 0.3}, 4))
		if inputs(confidence.NewDriftTest(r), r, drawn(rng, confidence.DriftInputs, []float64{0.02, 0.08, 0.9}, 4)) > 0 {
			alarms++
		}
	}
	if alarms > 4 {
		t.Errorf("%d of 300 runs report a drift", alarms)
	}
}

// TestReferenceFindsDrift: clips of a network that is less sure than on the reference, or more, are a drift.
func TestReferenceFindsDrift(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	mix := []float64{0.3, 0.3, 0.4}
	for sureness, most := range map[float64]int{0: 150, 1: 400, 12: 20} {
		r := FitReference(drawn(rng, 300, mix, 4))
		test := confidence.NewDriftTest(r)
		if n := inputs(test, r, drawn(rng, 2000, mix, 4)); n > 0 {
			t.Fatalf("a drift is found after %d inputs without one", n)
		}
		if n := inputs(test, r, drawn(rng, 2000, mix, sureness)); n == 0 || n > most {
			t.Errorf("a sureness of %g is found after %d inputs, at most %d are due", sureness, n, most)
		}
	}
}

// TestToleranceLimits: of limits of n values of a uniform distribution, a share of the risk has more than the tolerance
// of it beyond them, as far as n allows.
func TestToleranceLimits(t *testing.T) {
	const risk, runs = 0.05, 20000
	rng := rand.New(rand.NewPCG(5, 6))
	for n, want := range map[int]float64{13: -1, 14: math.Pow(0.8, 14), 22: math.Pow(0.8, 22) + 22*0.2*math.Pow(0.8, 21)} {
		bad := 0
		values := make([]float64, n)
		for range runs {
			for i := range values {
				values[i] = rng.Float64()
			}
			limit, ok := toleranceLimit(values, risk)
			if ok != (want > 0) {
				t.Fatalf("a limit of %d values: %v", n, ok)
			}
			if 1-limit > referenceTolerance {
				bad++
			}
		}
		if want > 0 && math.Abs(float64(bad)/runs-want) > 4*math.Sqrt(want/runs) {
			t.Errorf("%d values: beyond the tolerance in %d of %d runs, expected %g", n, bad, runs, want)
		}
	}
}

func TestReferenceOfFewClips(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	if r := FitReference(drawn(rng, 30, []float64{0.5, 0.5}, 3)); r != nil {
		t.Errorf("30 clips give the reference %v", r)
	}
	// The third class has too few clips: its limits are the common ones, or its largest value.
	l := drawn(rng, 200, []float64{0.5, 0.5, 0}, 6)
	rare := drawn(rng, 5, []float64{0, 0, 1}, 6)
	l.Values, l.Truth = append(l.Values, rare.Values...), append(l.Truth, rare.Truth...)
	r := FitReference(l)
	for s := range confidence.Statistics {
		var all, own []float64
		for i := range l.Truth {
			class, v := confidence.Unlikeness(l.Row(i))
			if all = append(all, v[s]); class == 2 {
				own = append(own, v[s])
			}
		}
		common, _ := toleranceLimit(all, referenceRisk/9)
		if want := max(common, slices.Max(own)); len(own) != 5 || r.Limits[2][s] != want {
			t.Errorf("limit %d of the class of %d clips is %g, want %g", s, len(own), r.Limits[2][s], want)
		}
	}
}
