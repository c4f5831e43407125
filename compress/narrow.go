package compress

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"gonum.org/v1/gonum/mat"
	"gorgonia.org/tensor"
)

// Fold says how the values of removed channels are made up for in the convolutions that read them.
type Fold string

// The ways to fold. They fit by least squares, on the moments.
const (
	// FoldPair replaces a channel y by s·y' + t, y' being its cluster's representative, or where there are no clusters the
	// best of the channels that are kept.
	FoldPair Fold = "pair"
	// FoldAll is FoldPair with a regression of what that leaves on all channels that are kept. A channel's copy so takes
	// all of its place, and others little that depends on few rows.
	FoldAll  Fold = "all"
	FoldNone Fold = "none" // a channel is left out
)

// choice is which channels of a group are kept.
type choice struct {
	keep           []int   // ascending
	representative []int   // by channel: the kept one that stands for it; nil: there are no clusters
	exact          *affine // what the channels are, where that is known; nil: it is approximated
}

// affine is an approximation of all channels of a tensor by the kept ones: y ≈ weight·kept + shift.
type affine struct {
	weight *mat.Dense // (channels, kept)
	shift  []float64
}

// ridge is what the regression on all kept channels adds to each variance, relative to it.
const ridge = 1e-3

// approximate returns how a tensor's channels follow from the kept ones. origin leaves out the shift.
func (k *choice) approximate(m *moments, fold Fold, origin bool) affine {
	if k.exact != nil {
		return *k.exact
	}
	width, kept := len(m.mean), len(k.keep)
	a := affine{mat.NewDense(width, kept, nil), make([]float64, width)}
	var removed []int
	for i := range width {
		if at, found := slices.BinarySearch(k.keep, i); found {
			a.weight.Set(i, at, 1)
		} else {
			removed = append(removed, i)
		}
	}
	if fold == FoldNone || len(removed) == 0 {
		return a
	}
	moment := func(i, j int) float64 {
		if v := m.cov.At(i, j); !origin {
			return v
		} else {
			return v + m.mean[i]*m.mean[j]
		}
	}
	partners := make([]int, width)
	for _, j := range removed {
		at := k.partner(j, moment)
		if v := moment(k.keep[at], k.keep[at]); v > 0 {
			a.weight.Set(j, at, moment(j, k.keep[at])/v)
		}
		partners[j] = at
	}
	if fold == FoldAll {
		k.regress(a, removed, partners, moment)
	}
	for _, j := range removed {
		if origin {
			break
		}
		a.shift[j] = m.mean[j]
		for at, i := range k.keep {
			a.shift[j] -= a.weight.At(j, at) * m.mean[i]
		}
	}
	return a
}

// partner returns the place among the kept channels of the one that stands for a removed one.
func (k *choice) partner(j int, moment func(i, j int) float64) (at int) {
	if k.representative != nil {
		return slices.Index(k.keep, k.representative[j])
	}
	best := -1.0
	for n, i := range k.keep {
		if v := moment(i, i); v > 0 {
			if explained := moment(i, j) * moment(i, j) / v; explained > best {
				at, best = n, explained
			}
		}
	}
	return at
}

// regress adds to the rows of removed channels in a, which depend on their partners, the regression of the rest on all
// kept ones.
func (k *choice) regress(a affine, removed, partners []int, moment func(i, j int) float64) {
	kept := len(k.keep)
	s := mat.NewSymDense(kept, nil)
	for x, i := range k.keep {
		for y, j := range k.keep[:x+1] {
			s.SetSym(x, y, moment(i, j))
		}
		s.SetSym(x, x, max(s.At(x, x)*(1+ridge), math.SmallestNonzeroFloat32))
	}
	right := mat.NewDense(kept, len(removed), nil)
	for x, i := range k.keep {
		for y, j := range removed {
			at := partners[j]
			right.Set(x, y, moment(i, j)-a.weight.At(j, at)*moment(i, k.keep[at]))
		}
	}
	var c mat.Cholesky
	var solution mat.Dense
	if !c.Factorize(s) || c.SolveTo(&solution, right) != nil {
		return // moments without a meaning: as FoldPair
	}
	for y, j := range removed {
		for x := range kept {
			a.weight.Set(j, x, a.weight.At(j, x)+solution.At(x, y))
		}
	}
}

// narrow returns m with the chosen channels, by group, and the others folded into what reads them.
func (c *channels) narrow(
	m *polynet.Model, chosen []choice, all map[polynet.Tensor]*moments, fold Fold,
) (*polynet.Model, error) {
	widths := make([]int, len(chosen))
	for i, k := range chosen {
		widths[i] = len(k.keep)
	}
	net, err := c.resize(widths)
	if err != nil {
		return nil, err
	}
	n := *m
	n.Net, n.Weights = net, polynet.Weights{}
	for i := range c.p.Steps {
		s := &c.p.Steps[i]
		keep := upTo(s.Width)
		if g := c.of[polynet.Output(i)]; g >= 0 {
			keep = chosen[g].keep
		}
		if s.Weight != "" {
			c.narrowStep(&n, m.Weights, s, keep, chosen, all, fold)
		}
		if s.ProductNorm.Name != "" {
			narrowNorm(n.Weights, m.Weights, s.ProductNorm, keep)
		}
	}
	if err := n.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	return &n, nil
}

// narrowStep sets the weights of a step that has some, given the output channels that are kept.
func (c *channels) narrowStep(
	n *polynet.Model, from polynet.Weights, s *polynet.Step, keep []int, chosen []choice,
	all map[polynet.Tensor]*moments, fold Fold,
) {
	old := values(from, s.Weight)
	in, x := s.In, c.operand(s)
	a := affine{}
	if g := c.of[x]; g >= 0 && s.Op != polynet.OpDepthwise {
		origin := s.Norm.Name == "" && s.Bias == "" // nothing could take up the shift
		a, in = chosen[g].approximate(all[x], fold, origin), len(chosen[g].keep)
	}
	weight, shift := make([]float32, 0, s.Kernel*in*len(keep)), make([]float64, s.Width)
	for tap := range slices.Chunk(old, s.In*s.Width) {
		full := mat.NewDense(s.In, s.Width, toFloat64(tap))
		if a.weight != nil {
			for i, t := range a.shift {
				for o := range shift {
					shift[o] += t * full.At(i, o)
				}
			}
			var folded mat.Dense
			folded.Mul(a.weight.T(), full)
			full = &folded
		}
		for i := range in {
			for _, o := range keep {
				weight = append(weight, float32(full.At(i, o)))
			}
		}
	}
	shape := []int{s.Kernel, in, len(keep)}
	if s.Op == polynet.OpLinear {
		shape = shape[1:]
	}
	put(n.Weights, s.Weight, weight, shape...)
	if s.Bias != "" {
		put(n.Weights, s.Bias, added(values(from, s.Bias), shift, keep), len(keep))
	}
	if s.Norm.Name != "" {
		narrowNorm(n.Weights, from, s.Norm, keep)
		for o := range shift { // the convolution gives that much less: its mean lies lower
			shift[o] = -shift[o]
		}
		mean := s.Norm.Name + ".running_mean"
		put(n.Weights, mean, added(values(from, mean), shift, keep), len(keep))
	}
}

func narrowNorm(to, from polynet.Weights, n polynet.Norm, keep []int) {
	for _, part := range []string{".weight", ".bias", ".running_mean", ".running_var"} {
		put(to, n.Name+part, added(values(from, n.Name+part), nil, keep), len(keep))
	}
	if n.Factor != "" {
		put(to, n.Factor, slices.Clone(values(from, n.Factor)), 1)
	}
}

// added returns the kept ones of values plus shift, which may be nil.
func added(values []float32, shift []float64, keep []int) []float32 {
	list := make([]float32, len(keep))
	for i, k := range keep {
		if list[i] = values[k]; shift != nil {
			list[i] = float32(float64(values[k]) + shift[k])
		}
	}
	return list
}

func put(w polynet.Weights, name string, values any, shape ...int) {
	w[name] = tensor.New(tensor.WithShape(shape...), tensor.WithBacking(values))
}

// upTo returns 0 … n − 1.
func upTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}
