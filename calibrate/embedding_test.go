package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDistances: two classes with a covariance of which one direction is ten times as wide.
func TestDistances(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	e := Embeddings{Width: 2}
	for i := range 4000 {
		class := i % 2
		e.Values = append(e.Values, 10*float64(class)+rng.NormFloat64(), 10*rng.NormFloat64())
		e.Truth = append(e.Truth, class)
	}
	mahalanobis, err := e.Mahalanobis()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   []float64
		want float64
	}{
		{[]float64{0, 0}, 0}, {[]float64{10, 0}, 0}, {[]float64{2, 0}, 4}, {[]float64{12, 20}, 8}, {[]float64{5, 0}, 25},
	} {
		if got := mahalanobis(c.at); math.Abs(got-c.want) > 0.1*c.want+0.1 {
			t.Errorf("%v is at the squared distance %g, want %g", c.at, got, c.want)
		}
	}
	n := Embeddings{2, []float64{1, 0, 0, 2, 3, 3}, []int{0, 0, 1}}
	for k, want := range map[int]float64{1: 0, 2: 1 - math.Sqrt(0.5), 3: 1, 9: 1} {
		if got := n.Neighbours(k)([]float64{5, 0}); math.Abs(got-want) > 1e-12 {
			t.Errorf("neighbour %d is at the distance %g, want %g", k, got, want)
		}
	}
}
