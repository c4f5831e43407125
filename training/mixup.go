package training

import (
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// mixUp replaces each clip of x and its row of targets by a mixture with another clip of the batch and its row, in a
// proportion drawn from Beta(alpha, alpha) (mixup: Zhang et al., 2018, with one share a batch as in their code).
func mixUp(x, targets []float32, clips int, alpha float64, rng *rand.Rand) {
	share := float32(distuv.Beta{Alpha: alpha, Beta: alpha, Src: rng}.Rand())
	partners := rng.Perm(clips)
	mix := func(values []float32) {
		size, was := len(values)/clips, slices.Clone(values)
		for i, partner := range partners {
			other := was[partner*size:]
			for k := range size {
				v := &values[i*size+k]
				*v = share**v + (1-share)*other[k]
			}
		}
	}
	mix(x)
	mix(targets)
}
