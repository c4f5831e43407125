package compress

import (
	"math"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/internal/nettest"
	"gonum.org/v1/gonum/mat"
)

// TestAverageLinkage compares with the definition: the closest two clusters are joined, again and again.
func TestAverageLinkage(t *testing.T) {
	for seed := range uint64(20) {
		rng := nettest.Rand(seed)
		n := 1 + int(seed)
		d := mat.NewSymDense(n, nil)
		for i := range n {
			for j := range i {
				d.SetSym(i, j, math.Abs(rng.NormFloat64()))
			}
		}
		weights := make([]float64, n)
		for i := range weights {
			weights[i] = 0.1 + rng.Float64()
		}
		merges := averageLinkage(d, weights)
		clusters := make([][]int, n)
		for i := range n {
			clusters[i] = []int{i}
		}
		for k := range n - 1 {
			a, b, least := 0, 0, math.Inf(1)
			for i := range clusters {
				for j := range i {
					if v := meanDistance(d, weights, clusters[i], clusters[j]); v < least {
						a, b, least = i, j, v
					}
				}
			}
			if math.Abs(merges[k].height-least) > 1e-12 {
				t.Fatalf("seed %d: merge %d at %g, want %g", seed, k, merges[k].height, least)
			}
			clusters[b] = append(clusters[b], clusters[a]...)
			clusters = slices.Delete(clusters, a, a+1)
			labels := cut(merges[:k+1], n)
			for _, members := range clusters {
				for _, i := range members {
					if labels[i] != labels[members[0]] {
						t.Fatalf("seed %d: after %d merges the labels are %v, want clusters %v", seed, k+1, labels, clusters)
					}
				}
			}
			if slices.Max(labels) != len(clusters)-1 {
				t.Fatalf("seed %d: after %d merges the labels are %v", seed, k+1, labels)
			}
		}
	}
}

func meanDistance(d *mat.SymDense, weights []float64, a, b []int) float64 {
	sum, total := 0.0, 0.0
	for _, i := range a {
		for _, j := range b {
			sum += weights[i] * weights[j] * d.At(i, j)
			total += weights[i] * weights[j]
		}
	}
	return sum / total
}
