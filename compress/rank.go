package compress

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
)

// By says which channels go first.
type By string

// The ways to choose: similarity, and the rules that it is compared with.
const (
	BySimilarity By = "similarity" // those that are like others, by what that changes in what reads them
	ByMoments    By = "moments"    // those that are like others, by their own moments alone
	ByRandom     By = "random"
	ByScale      By = "scale"     // those of small |γ| in the norms that make them (Liu et al., 2017)
	ByMagnitude  By = "magnitude" // those of small filters (Li et al., 2017)
)

// ranking is the order in which a group's channels go.
type ranking struct {
	heights []float64 // ascending: at height h, as many channels are gone as heights are at most h
	merges  []merge   // of similarity
	// score says which channels stay: of a cluster, or without merges of all, those of the highest scores.
	score []float64
}

// maxGroup bounds the channels of a group, whose distances take memory in proportion to its square. Larger groups stay.
const maxGroup = 4096

// rank returns the ranking of each group.
func (c *channels) rank(by By, seed int64, w polynet.Weights, all map[polynet.Tensor]*moments) []ranking {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	list := make([]ranking, len(c.groups))
	for i := range c.groups {
		g, r := &c.groups[i], &list[i]
		if g.width < 2 || g.width > maxGroup {
			continue
		}
		r.score = make([]float64, g.width)
		switch by {
		case BySimilarity:
			c.clusterByUse(r, g, w, all)
			continue
		case ByMoments:
			r.clusterByMoments(g, all)
			continue
		case ByRandom: // the same share of each group
			for n, k := range rng.Perm(g.width) {
				r.score[k] = (float64(n) + 0.5) / float64(g.width)
			}
		default:
			c.scores(r.score, g, by, w)
		}
		r.heights = slices.Sorted(slices.Values(r.score))[:g.width-1]
	}
	return list
}

// clusterByMoments ranks by the distance of the paper, as it is reconstructed. Channels are as far apart as what is
// computed from them differs: the mean over the tensors that are read of
//
//	E(yᵢ − yⱼ)² / (E yᵢ² + E yⱼ²)
//
// Of a cluster, the channel of the largest variance stays.
func (r *ranking) clusterByMoments(g *group, all map[polynet.Tensor]*moments) {
	d := mat.NewSymDense(g.width, nil)
	for _, t := range g.read {
		m, total := all[t], 0.0
		for i := range g.width {
			total += m.cov.At(i, i)
		}
		for i := range g.width {
			if total > 0 {
				r.score[i] += m.cov.At(i, i) / total
			}
			for j := range i {
				difference, energy := m.mean[i]-m.mean[j], m.energy(i)+m.energy(j)
				apart := m.cov.At(i, i) + m.cov.At(j, j) - 2*m.cov.At(i, j) + difference*difference
				if energy > 0 {
					d.SetSym(i, j, d.At(i, j)+max(0, apart)/energy/float64(len(g.read)))
				}
			}
		}
	}
	r.link(d, slices.Repeat([]float64{1}, g.width))
}

// link clusters by distances. A member counts in a mean distance by its weight.
func (r *ranking) link(d *mat.SymDense, weights []float64) {
	r.merges = averageLinkage(d, weights)
	for _, m := range r.merges {
		r.heights = append(r.heights, m.height)
	}
}

// divided returns the ranking with lower heights.
func (r ranking) divided(by float64) ranking {
	r.heights, r.merges = slices.Clone(r.heights), slices.Clone(r.merges)
	for i := range r.heights {
		r.heights[i] /= by
	}
	for i := range r.merges {
		r.merges[i].height /= by
	}
	return r
}

// clusterByUse ranks by how much what reads the channels changes when s·yᵢ + t stands for yⱼ, or the other way round
// where that is less, relative to all that it gets of the group: with Uᵢ = ‖Wᵢ‖² Var yᵢ / Σ ‖Wₖ‖² Var yₖ of each
// reader,
//
//	min(Σ Uᵢ·(1 − ρᵢⱼ²), Σ Uⱼ·(1 − ρᵢⱼ²)), the sums over the readers.
//
// A channel counts in its cluster by its U, so that many of little use do not bring together two that differ. Of a
// cluster, the channel of the largest U stays.
func (c *channels) clusterByUse(r *ranking, g *group, w polynet.Weights, all map[polynet.Tensor]*moments) {
	lost := mat.NewDense(g.width, g.width, nil) // of the use of a row's channel, where a column's stands for it
	for i := range c.p.Steps {
		s := &c.p.Steps[i]
		t := c.operand(s)
		if s.Op != polynet.OpConv && s.Op != polynet.OpLinear || !slices.Contains(g.read, t) {
			continue
		}
		m, use, total := all[t], filterSizes(s, w), 0.0
		for k := range use {
			use[k] *= m.cov.At(k, k)
			total += use[k]
		}
		for k := range use {
			if total > 0 {
				use[k] /= total
			}
			r.score[k] += use[k]
		}
		for k := range use {
			for l := range use {
				rest := 1.0
				if scale := m.cov.At(k, k) * m.cov.At(l, l); scale > 0 {
					rest = max(0, 1-m.cov.At(k, l)*m.cov.At(k, l)/scale)
				}
				lost.Set(k, l, lost.At(k, l)+use[k]*rest)
			}
		}
	}
	d := mat.NewSymDense(g.width, nil)
	for k := range g.width {
		for l := range k {
			d.SetSym(k, l, min(lost.At(k, l), lost.At(l, k)))
		}
	}
	weights := slices.Clone(r.score)
	for k := range weights {
		weights[k] = max(weights[k], 1e-12)
	}
	r.link(d, weights)
}

// filterSizes returns, for each channel that a convolution or the head reads, the sum of the squares of its weights, in
// units of what the norm after it makes of them.
func filterSizes(s *polynet.Step, w polynet.Weights) []float64 {
	scale := slices.Repeat([]float64{1}, s.Width)
	if n := s.Norm.Name; n != "" {
		variance := values(w, n+".running_var")
		for o, v := range values(w, n+".weight") {
			scale[o] = float64(v) * float64(v) / (float64(variance[o]) + polynet.NormEpsilon)
		}
	}
	sizes := make([]float64, s.In)
	for i, v := range values(w, s.Weight) {
		sizes[i/s.Width%s.In] += float64(v) * float64(v) * scale[i%s.Width]
	}
	return sizes
}

// scores adds up, over what makes a group's channels, the size of the norm's scale or of the filter, relative to the
// group's mean.
func (c *channels) scores(score []float64, g *group, by By, w polynet.Weights) {
	for _, i := range g.convs {
		s := &c.p.Steps[i]
		size := make([]float64, g.width)
		if by == ByScale && s.Norm.Name != "" {
			for k, v := range values(w, s.Norm.Name+".weight") {
				size[k] = math.Abs(float64(v))
			}
		} else {
			for n, v := range values(w, s.Weight) {
				size[n%g.width] += math.Abs(float64(v))
			}
		}
		total := 0.0
		for _, v := range size {
			total += v
		}
		for k, v := range size {
			if total > 0 {
				score[k] += v / total * float64(g.width) / float64(len(g.convs))
			}
		}
	}
}

// width returns how many channels stay at a height, rounded up to whole vectors of lanes channels.
func (r *ranking) width(height float64, all, lanes int) int {
	gone, _ := slices.BinarySearchFunc(r.heights, height, func(h, at float64) int {
		if h <= at {
			return -1
		}
		return 1
	})
	return min(all, (all-gone+lanes-1)/lanes*lanes)
}

// choose returns the channels of which so many stay.
func (r *ranking) choose(width, all int) choice {
	if width >= all {
		return choice{keep: upTo(all), representative: upTo(all)}
	}
	best := upTo(all)
	slices.SortStableFunc(best, func(a, b int) int { return cmp.Compare(r.score[b], r.score[a]) })
	if r.merges == nil {
		return choice{keep: slices.Sorted(slices.Values(best[:width]))}
	}
	labels := cut(r.merges[:all-width], all)
	first := slices.Repeat([]int{-1}, width)
	for _, i := range best {
		if first[labels[i]] < 0 {
			first[labels[i]] = i
		}
	}
	k := choice{keep: slices.Sorted(slices.Values(first))}
	for _, label := range labels {
		k.representative = append(k.representative, first[label])
	}
	return k
}
