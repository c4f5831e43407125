package training

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Attack searches a box of clips for one whose answer is not a given label, by projected gradient descent (PGD; Madry
// et al., 2018): steps along the sign of the gradient of the lead of another class's logit. It finds examples; that it
// finds none proves nothing.
type Attack struct {
	Steps        int       // of each search
	Starts       int       // searches: from the box's middle, then from random points
	Scale, Shift []float64 // by class: what the answer multiplies logits by, and adds to them; nil: nothing
}

// Find returns a clip of normalised rows, each value between low and high, for which the answer of g's network is not
// label, or nil where it found none. low and high are (frames, mels).
func (a Attack) Find(g *InputGradient, low, high []float32, label int, rng *rand.Rand) []float32 {
	if len(low) != len(high) {
		panic(fmt.Sprintf("training: a box of %d and %d values", len(low), len(high)))
	}
	rows := make([]float32, len(low))
	for start := range a.Starts {
		for i := range rows {
			share := float32(0.5)
			if start > 0 {
				share = rng.Float32()
			}
			rows[i] = low[i] + share*(high[i]-low[i])
		}
		for step := 0; ; step++ {
			lead, weights := a.lead(g.Logits(rows, 1), label)
			if lead > 0 {
				return rows
			}
			if step == a.Steps || slices.Equal(low, high) {
				break
			}
			// Steps of twice the box's half width, which fall to a tenth of that.
			length := 1 - 0.9*float32(step)/float32(a.Steps)
			for i, d := range g.Gradient(rows, weights) {
				if move := length * (high[i] - low[i]); d > 0 {
					rows[i] = min(rows[i]+move, high[i])
				} else if d < 0 {
					rows[i] = max(rows[i]-move, low[i])
				}
			}
		}
	}
	return nil
}

// lead returns by how much the largest other logit is above the label's, and the weights of the logits in that.
func (a Attack) lead(logits []float32, label int) (lead float64, weights []float32) {
	other := a.largest(logits, label)
	weights = make([]float32, len(logits))
	weights[other], weights[label] = float32(a.scale(other)), -float32(a.scale(label))
	return a.value(logits, other) - a.value(logits, label), weights
}

// Answer returns the class that logits of a clip answer.
func (a Attack) Answer(logits []float32) int { return a.largest(logits, -1) }

// largest returns the class of the largest value, except one.
func (a Attack) largest(logits []float32, except int) int {
	best := -1
	for c := range logits {
		if c != except && (best < 0 || a.value(logits, c) > a.value(logits, best)) {
			best = c
		}
	}
	return best
}

func (a Attack) scale(c int) float64 {
	if a.Scale == nil {
		return 1
	}
	return a.Scale[c]
}

func (a Attack) value(logits []float32, c int) float64 {
	v := a.scale(c) * float64(logits[c])
	if a.Shift != nil {
		v += a.Shift[c]
	}
	return v
}
