package compress

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// Similar removes channels that others are like (Zhang et al., "Exploiting channel similarity for accelerating deep
// convolutional neural networks", 2019, of which metric, linkage and threshold are reconstructed): channels are
// clustered by their distance, one height cuts the trees of all groups, one channel of each cluster stays, and what
// reads the others is changed to make the most of those that stay.
type Similar struct {
	MACs     float64 // the share of the multiply-adds that stays, in (0, 1]; 0: Floor decides
	Floor    float64 // how many percent points of accuracy on the validation clips may go, at least 0
	By       By
	Fold     Fold
	DataFree bool   // estimates moments from the weights instead of measuring them
	Lanes    int    // widths are whole multiples, or what they were
	Seed     int64  // of ByRandom
	Clusters string // folder for the trees and tables of the clusters; "": none
}

// Name returns "similar".
func (*Similar) Name() string { return "similar" }

// Apply removes channels. Errors wrap ErrImpossible where the share cannot be reached.
func (s *Similar) Apply(ctx context.Context, m *polynet.Model, d Data) (*polynet.Model, Report, error) {
	if err := checkFloat(m); err != nil {
		return nil, Report{}, err
	}
	c := channelsOf(m.Net)
	var all map[polynet.Tensor]*moments
	if s.DataFree {
		all = c.estimate(m)
	} else {
		var err error
		if all, err = c.measure(ctx, m, d); err != nil {
			return nil, Report{}, err
		}
	}
	given := &search{Similar: s, channels: c, model: m, moments: all, rankings: c.rank(s.By, s.Seed, m.Weights, all)}
	best, err := given.best(ctx, d)
	if err != nil {
		return nil, Report{}, err
	}
	if s.Clusters != "" {
		if err := best.draw(s.Clusters, best.cut, best.chosen); err != nil {
			return nil, Report{}, err
		}
	}
	return best.narrowed, best.report(), nil
}

// search looks for the height at which all groups are cut.
type search struct {
	*Similar
	channels *channels
	model    *polynet.Model
	moments  map[polynet.Tensor]*moments
	rankings []ranking

	cut      float64 // that was found
	chosen   []int   // the channels of each group at that height
	narrowed *polynet.Model
}

// powers are those of a channel's cost by which the heights of similarity may be divided: a channel of a stage is read
// by many convolutions, all of which lose by its going and become smaller. How much the one weighs against the other
// depends on how much has to go.
var powers = []float64{0, 0.25, 0.5, 0.75, 1}

// withoutData is the power where the clips are not to be looked at.
const withoutData = 0.25

// best searches with heights divided by each of the powers, and returns the search whose network, with a share to
// reach, changes the probabilities of the calibration clips the least, or with a floor, is the smallest.
func (s *search) best(ctx context.Context, d Data) (best *search, err error) {
	list := powers
	switch {
	case s.By != BySimilarity:
		list = powers[:1]
	case s.DataFree:
		list = []float64{withoutData}
	}
	cost := s.channels.costs(s.model.Features.Frames(s.model.Features.Rate))
	least := math.Inf(1)
	var given []float64 // probabilities of the given model; nil: the smallest network is the best
	if s.MACs > 0 && len(list) > 1 {
		if given, err = probabilities(ctx, s.model, d); err != nil {
			return nil, err
		}
	}
	for _, power := range list {
		one := *s
		one.rankings = slices.Clone(s.rankings)
		for i, r := range s.rankings {
			one.rankings[i] = r.divided(math.Pow(cost[i], power))
		}
		if one.cut, err = one.height(ctx, d); err != nil {
			return nil, err
		}
		if one.narrowed, one.chosen, err = one.at(one.cut); err != nil {
			return nil, err
		}
		worse := float64(MACs(one.narrowed))
		if given != nil {
			if worse, err = divergence(ctx, given, one.narrowed, d); err != nil {
				return nil, err
			}
		}
		if best == nil || worse < least {
			best, least = &one, worse
		}
	}
	return best, nil
}

// height returns the lowest height at which the share of the multiply-adds is reached, or the highest at which the
// accuracy is not below the floor; −1 removes nothing.
func (s *search) height(ctx context.Context, d Data) (float64, error) {
	heights := []float64{-1}
	for _, r := range s.rankings {
		heights = append(heights, r.heights...)
	}
	slices.Sort(heights)
	heights = slices.Compact(heights)
	var failed error
	try := func(met func(height float64) (bool, error)) int {
		return sort.Search(len(heights), func(i int) bool {
			if failed != nil {
				return true
			}
			var is bool
			is, failed = met(heights[i])
			return is
		})
	}
	if s.MACs > 0 {
		before, least := MACs(s.model), 0.0
		i := try(func(height float64) (bool, error) {
			small := *s.model
			var err error
			small.Net, err = s.channels.resize(s.widths(height))
			least = float64(MACs(&small)) / float64(before)
			return least <= s.MACs, err
		})
		if failed == nil && i == len(heights) {
			failed = fmt.Errorf("%w: %.3g of the multiply-adds is less than the %.3g that stay at least, in widths of %d",
				ErrImpossible, s.MACs, least, s.Lanes)
		}
		return heights[min(i, len(heights)-1)], failed
	}
	given, err := d.Accuracy(ctx, s.model)
	if err != nil {
		return 0, err
	}
	i := try(func(height float64) (bool, error) {
		small, _, err := s.at(height)
		if err != nil {
			return false, err
		}
		accuracy, err := d.Accuracy(ctx, small)
		return accuracy < given-s.Floor, err
	})
	return heights[max(i-1, 0)], failed
}

// widths returns the channels of each group at a height.
func (s *search) widths(height float64) []int {
	list := make([]int, len(s.rankings))
	for i, r := range s.rankings {
		list[i] = r.width(height, s.channels.groups[i].width, s.Lanes)
	}
	s.channels.separate(list)
	return list
}

// at returns the model of a height, and the channels of each group.
func (s *search) at(height float64) (*polynet.Model, []int, error) {
	widths := s.widths(height)
	chosen := make([]choice, len(widths))
	for i, r := range s.rankings {
		chosen[i] = r.choose(widths[i], s.channels.groups[i].width)
	}
	m, err := s.channels.narrow(s.model, chosen, s.moments, s.Fold)
	return m, widths, err
}

// report says what was done.
func (s *search) report() Report {
	before, after := 0, 0
	var lines []string
	for i, g := range s.channels.groups {
		before, after = before+g.width, after+s.chosen[i]
		lines = append(lines, fmt.Sprintf("%s: %d of %d channels", g.name, s.chosen[i], g.width))
	}
	how := string(s.By)
	if s.DataFree {
		how += " without data"
	}
	share := float64(MACs(s.narrowed)) / float64(MACs(s.model))
	return Report{
		Done: fmt.Sprintf("by %s, %d of %d channels stay, cut at %.3g, others folded into %s; %.3g of the multiply-adds",
			how, after, before, s.cut, s.Fold, share),
		Lines: lines,
	}
}

// divergence returns the mean Kullback-Leibler divergence, in nats, of the probabilities that n gives the calibration
// clips' labels from the given ones.
func divergence(ctx context.Context, given []float64, n *polynet.Model, d Data) (float64, error) {
	other, err := probabilities(ctx, n, d)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, p := range given {
		if p > 0 {
			sum += p * math.Log(p/max(other[i], math.SmallestNonzeroFloat64))
		}
	}
	return sum / float64(d.Clips), nil
}

// probabilities returns those that a model gives the labels of the calibration clips, (Clips, classes).
func probabilities(ctx context.Context, m *polynet.Model, d Data) (all []float64, err error) {
	plan, err := inference.Compile(m, d.Device)
	if err != nil {
		return nil, err
	}
	defer plan.Close()
	run := plan.Clips(momentsBatch, d.Frames)
	defer run.Close()
	size := d.Frames * m.Net.Inputs
	for rows := range slices.Chunk(d.Rows, momentsBatch*size) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for p := range slices.Chunk(toFloat64(run.Run(rows, len(rows)/size)), m.Net.Classes) {
			if !polynet.Softmax(p, 1) {
				return nil, fmt.Errorf("%w: the network's logits are not finite", ErrImpossible)
			}
			all = append(all, p...)
		}
	}
	return all, nil
}
