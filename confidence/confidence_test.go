package confidence

import (
	"math"
	"slices"
	"testing"
)

func TestScores(t *testing.T) {
	p := []float64{0.2, 0.5, 0.3}
	for score, want := range map[Score][]float64{
		Plain: {0.8, 0.5, 0.7},
		APS:   {0.9, 0.25, 0.65},
	} {
		for c, got := range score.Of(p) {
			if math.Abs(got-want[c]) > 1e-12 {
				t.Errorf("%s of class %d is %g, want %g", score, c, got, want[c])
			}
		}
	}
}

// TestSetsOf: quantiles rise from 0.5 to 0.5 + 0.03·12 with the level, and one class fits nothing.
func TestSetsOf(t *testing.T) {
	sets := &Sets{Score: Plain}
	for class := range 3 {
		quantiles := make([]float64, len(Levels))
		for k := range quantiles {
			quantiles[k] = 0.5 + 0.03*float64(k) - 10*float64(class/2)
		}
		sets.Quantiles = append(sets.Quantiles, quantiles)
	}
	for _, c := range []struct {
		name     string
		p        []float64
		coverage float64
		want     []int
	}{
		{"the likeliest alone", []float64{0.2, 0.6, 0.2}, 0.5, []int{1}},
		{"the likeliest first", []float64{0.25, 0.65, 0.1}, 0.99, []int{1, 0}},
		{"none", []float64{0.1, 0.1, 0.8}, 0.5, nil},
		{"at a level", []float64{0.38, 0.32, 0.3}, 0.75, nil},
		{"above it", []float64{0.42, 0.3, 0.28}, 0.75, []int{0}},
		{"between two levels", []float64{0.395, 0.3, 0.305}, 0.78, []int{0}},
		{"beyond the highest level", []float64{0.2, 0.2, 0.6}, 0.9999, []int{0, 1}},
	} {
		if got := sets.Of(c.p, c.coverage); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestUnfamiliarity(t *testing.T) {
	labels := []string{"a", "b", "_silence_"}
	logits := []float64{math.Log(2), math.Log(5), math.Log(3)} // p = 0.2, 0.5, 0.3
	for score, want := range map[Unfamiliarity]float64{
		Background: 0.3, MaxProbability: 0.5, MaxLogit: -math.Log(5), Energy: -math.Log(7), Margin: 0.8,
		Entropy: -(0.2*math.Log(0.2) + 0.5*math.Log(0.5) + 0.3*math.Log(0.3)),
	} {
		if got := score.Of(logits, labels); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %g, want %g", score, got, want)
		}
	}
	if len(Unfamiliarities) != 6 {
		t.Errorf("%d scores are listed", len(Unfamiliarities))
	}
}

// TestUnfamiliarityOfLargeLogits: no score overflows.
func TestUnfamiliarityOfLargeLogits(t *testing.T) {
	for _, logits := range [][]float64{{1e30, -1e30, 0}, {-1e30, -1e30, 1e30}, {-3e38, -3e38, -3e38}} {
		for _, score := range Unfamiliarities {
			if v := score.Of(logits, []string{"a", "b", "_silence_"}); math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s of %v is %v", score, logits, v)
			}
		}
	}
}
