package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Embeddings are what a network makes of clips before its last layer.
type Embeddings struct {
	Width  int
	Values []float64 // (clips, Width)
	Truth  []int     // of each clip, its class
}

func (e Embeddings) row(i int) []float64 { return e.Values[i*e.Width : (i+1)*e.Width] }

// Distance is a score of an embedding that is higher for sounds of no known class.
type Distance func(embedding []float64) float64

// Distances returns the scores of all embeddings.
func (e Embeddings) Distances(d Distance) []float64 {
	scores := make([]float64, len(e.Truth))
	for i := range scores {
		scores[i] = d(e.row(i))
	}
	return scores
}

// Mahalanobis returns the squared Mahalanobis distance from the nearest mean of a class (Lee et al., 2018), with one
// covariance for all classes, to which a thousandth of its mean variance is added on the diagonal.
func (e Embeddings) Mahalanobis() (Distance, error) {
	count, means := map[int]float64{}, map[int][]float64{}
	for i, class := range e.Truth {
		if means[class] == nil {
			means[class] = make([]float64, e.Width)
		}
		floats.Add(means[class], e.row(i))
		count[class]++
	}
	for class, mean := range means {
		floats.Scale(1/count[class], mean)
	}
	covariance := mat.NewSymDense(e.Width, nil)
	difference := make([]float64, e.Width)
	for i, class := range e.Truth {
		floats.SubTo(difference, e.row(i), means[class])
		covariance.SymRankOne(covariance, 1/float64(len(e.Truth)), mat.NewVecDense(e.Width, difference))
	}
	ridge := 1e-3*mat.Trace(covariance)/float64(e.Width) + math.SmallestNonzeroFloat32
	for k := range e.Width {
		covariance.SetSym(k, k, covariance.At(k, k)+ridge)
	}
	var factor mat.Cholesky
	if !factor.Factorize(covariance) {
		return nil, fmt.Errorf("%w: the covariance of %d embeddings is singular", ErrData, len(e.Truth))
	}
	return func(embedding []float64) float64 {
		nearest := math.Inf(1)
		var solved mat.VecDense
		for _, mean := range means {
			difference := mat.NewVecDense(e.Width, floats.SubTo(make([]float64, e.Width), embedding, mean))
			if err := factor.SolveVecTo(&solved, difference); err == nil {
				nearest = min(nearest, mat.Dot(difference, &solved))
			}
		}
		return nearest
	}, nil
}

// Neighbours returns the cosine distance from the k-th nearest of the embeddings (Sun et al., 2022).
func (e Embeddings) Neighbours(k int) Distance {
	unit := slices.Clone(e.Values)
	for i := range e.Truth {
		row := unit[i*e.Width : (i+1)*e.Width]
		floats.Scale(1/max(floats.Norm(row, 2), math.SmallestNonzeroFloat32), row)
	}
	return func(embedding []float64) float64 {
		length := max(floats.Norm(embedding, 2), math.SmallestNonzeroFloat32)
		similarities := make([]float64, len(e.Truth))
		for i := range similarities {
			similarities[i] = floats.Dot(embedding, unit[i*e.Width:(i+1)*e.Width]) / length
		}
		slices.SortFunc(similarities, func(a, b float64) int { return cmp.Compare(b, a) })
		return 1 - similarities[min(k, len(similarities))-1]
	}
}
