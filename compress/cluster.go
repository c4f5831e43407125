package compress

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// merge joins two clusters. Channels are the clusters from 0 on, and the i-th merge makes cluster n + i of n channels.
type merge struct {
	a, b   int
	height float64
}

// averageLinkage clusters agglomeratively: the distance of two clusters is the mean distance of their members (Sokal
// and Michener, 1958), a pair counting by the product of its positive weights. It follows chains of nearest
// neighbours, which takes time in proportion to the square of the number of channels (Murtagh, 1983), and returns the
// merges by height.
func averageLinkage(distances *mat.SymDense, weights []float64) []merge {
	n := distances.SymmetricDim()
	d := mat.NewSymDense(n, nil)
	d.CopySym(distances)
	size, alive := slices.Clone(weights), upTo(n)
	var chain []int
	var merges []merge
	for len(alive) > 1 {
		if len(chain) == 0 {
			chain = append(chain, alive[0])
		}
		top, previous := chain[len(chain)-1], -1
		nearest, height := -1, math.Inf(1)
		if len(chain) > 1 { // a tie goes to it, so that the chain ends
			previous = chain[len(chain)-2]
			nearest, height = previous, d.At(top, previous)
		}
		for _, i := range alive {
			if i != top && (nearest < 0 || d.At(top, i) < height) {
				nearest, height = i, d.At(top, i)
			}
		}
		if nearest != previous {
			chain = append(chain, nearest)
			continue
		}
		chain = chain[:len(chain)-2]
		merges = append(merges, merge{top, nearest, height})
		for _, i := range alive { // the cluster takes the place of nearest
			if i != top && i != nearest {
				d.SetSym(nearest, i, (size[top]*d.At(top, i)+size[nearest]*d.At(nearest, i))/(size[top]+size[nearest]))
			}
		}
		size[nearest] += size[top]
		alive = slices.Delete(alive, slices.Index(alive, top), slices.Index(alive, top)+1)
	}
	return numbered(merges, n)
}

// numbered sorts merges by height, and replaces the members by which they name clusters by the clusters' numbers.
func numbered(merges []merge, n int) []merge {
	slices.SortStableFunc(merges, func(a, b merge) int { return cmp.Compare(a.height, b.height) })
	root, cluster := upTo(n), upTo(n) // of members; of roots
	for i := range merges {
		m := &merges[i]
		a, b := rootOf(root, m.a), rootOf(root, m.b)
		m.a, m.b = cluster[a], cluster[b]
		root[a], cluster[b] = b, n+i
	}
	return merges
}

// rootOf returns the representative of the set that i is in, and shortens the way to it.
func rootOf(root []int, i int) int {
	for root[i] != i {
		root[i] = root[root[i]]
		i = root[i]
	}
	return i
}

// cut returns the number of each channel's cluster after the merges, from 0 on in the order of their first members.
func cut(merges []merge, n int) []int {
	root := upTo(n + len(merges))
	for i, m := range merges {
		root[rootOf(root, m.a)], root[rootOf(root, m.b)] = n+i, n+i
	}
	numbers, labels := map[int]int{}, make([]int, n)
	for i := range labels {
		r := rootOf(root, i)
		if _, known := numbers[r]; !known {
			numbers[r] = len(numbers)
		}
		labels[i] = numbers[r]
	}
	return labels
}
