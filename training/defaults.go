package training

import "github.com/polyphon/polyphon/datasets"

// A batch has as many clips as lets an epoch make so many optimiser steps, within bounds: with fewer, small data sets
// are hardly learnt at all.
const (
	stepsPerEpoch = 20
	leastBatch    = 8
	fullBatch     = 100
)

// DefaultBatch returns the batch size for a data set.
func DefaultBatch(set *datasets.Set) int {
	return max(leastBatch, min(len(set.Split(datasets.Train))/stepsPerEpoch, fullBatch))
}

// DefaultRate returns the peak learning rate of an optimiser: for SGD in proportion to the batch (Goyal et al., 2017).
func DefaultRate(kind OptimizerKind, batch int) float64 {
	if kind == AdamW {
		return 0.003
	}
	return 0.2 * float64(batch) / fullBatch
}

// DefaultDecay returns the weight decay of an optimiser.
func DefaultDecay(kind OptimizerKind) float64 {
	if kind == AdamW {
		return 0.05
	}
	return 5e-4
}
