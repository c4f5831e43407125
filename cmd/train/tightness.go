package main

import (
	"context"
	"io"
	"math"

	"github.com/polyphon/polyphon/bounds"
	"github.com/polyphon/polyphon/internal/safe"
)

// tightness is how wide a clip's logits are, on average, over a region of changes.
type tightness struct {
	Intervals float64 `json:"interval_width"` // by interval arithmetic
	Linear    float64 `json:"linear_width"`   // by linear bounds
	Reached   float64 `json:"reached_width"`  // between changes that were found: no sound bounds are tighter
}

// widths are the tightness of the first clip's bounds. A region without any change is left out.
type widths struct {
	Noise *tightness `json:"noise,omitempty"`
	All   *tightness `json:"gain_and_noise,omitempty"`
}

// widths compares the bounds of a clip, over the noise alone and with all gains.
func (c *certifier) widths(ctx context.Context, s bounds.Sound) (w widths, err error) {
	if err := c.compile(len(s.Rows) / c.model.Net.Inputs); err != nil {
		return w, err
	}
	if c.Noise > 0 {
		if w.Noise, err = c.tightness(ctx, s.Region(0, 0, c.Noise)); err != nil {
			return w, err
		}
	}
	if c.Gain > 0 {
		w.All, err = c.tightness(ctx, s.Region(-c.Gain, c.Gain, c.Noise))
	}
	return w, err
}

func (c *certifier) tightness(ctx context.Context, r bounds.Region) (*tightness, error) {
	t := &tightness{Reached: c.reached(r)}
	for _, one := range []struct {
		width  *float64
		method bounds.Method
	}{{&t.Intervals, bounds.Method{Intervals: true}}, {&t.Linear, bounds.Method{Depth: bounds.Full}}} {
		b, err := c.net.Compute(ctx, r, one.method)
		if err != nil {
			return nil, err
		}
		f := b.Logits()
		for i := range f.Low {
			*one.width += (f.High[i] - f.Low[i]) / float64(len(f.Low))
		}
		if !(*one.width < math.MaxFloat64) { // neither JSON nor ratios have more
			*one.width = math.MaxFloat64
		}
	}
	return t, nil
}

// reachingSteps is how many steps along the sign of the gradient look for a logit's lowest and highest values.
const reachingSteps = 8

// reached returns how far apart, on average, the lowest and the highest value are that were found of each logit.
func (c *certifier) reached(r bounds.Region) (width float64) {
	classes := len(c.model.Labels)
	for class := range classes {
		for _, sign := range []float32{-1, 1} {
			weights := make([]float32, classes)
			weights[class] = sign
			rows, noise := make([]float32, len(r.Center)), make([]float64, len(r.Center))
			best, g := math.Inf(-1), 0.0
			for step := range reachingSteps {
				for i, center := range r.Center {
					rows[i] = float32(center + r.Slope[i]*g + noise[i])
				}
				best = max(best, float64(sign*c.gradient.Logits(rows, 1)[class]))
				if step == reachingSteps-1 {
					break
				}
				along := 0.0
				for i, d := range c.gradient.Gradient(rows, weights) {
					along += float64(d) * r.Slope[i]
					noise[i] = math.Copysign(r.Radius[i], float64(d))
				}
				g = math.Copysign(1, along)
			}
			width += best / float64(classes)
		}
	}
	return width
}

// print writes a line for each region.
func (t widths) print(w io.Writer) {
	for _, one := range []struct {
		over string
		*tightness
	}{{"the noise", t.Noise}, {"all gains and the noise", t.All}} {
		if f := one.tightness; f != nil && f.Linear > 0 {
			safe.Fprintf(w, "The first clip's logits are, over %s, %.3g wide by interval arithmetic and %.3g by linear bounds: "+
				"%.3g times tighter. Changes that were found reach %.3g.\n", one.over, f.Intervals, f.Linear,
				f.Intervals/f.Linear, f.Reached)
		}
	}
}
