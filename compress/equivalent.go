package compress

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/polynet"
)

// maxLogitDifference is by how much a logit may differ after an exact change, from rounding, relative to the
// largest and at least to 1.
const maxLogitDifference = 1e-4

// exactBatch is how many clips are run together.
const exactBatch = 16

// clips yields the clips on which an equivalent model has to be so, in batches of features that are not normalised: all
// of the data's, or the one that it is to be equivalent around.
func (w *exactWork) clips(d Data) iter.Seq2[[]float32, error] {
	switch {
	case w.Around != nil:
		return func(yield func([]float32, error) bool) { yield(w.Around, nil) }
	case d.Every != nil:
		return d.Every
	}
	return func(yield func([]float32, error) bool) { yield(d.Rows, nil) }
}

// random returns random points of the region, or corners of it, as features that are not normalised.
func (w *exactWork) random(rng *rand.Rand, clips int, corner bool) []float32 {
	region, norm, mels := w.region(w.frames), w.model.Norm, w.model.Net.Inputs
	rows := make([]float32, 0, clips*len(region.Center))
	for range clips {
		for i, center := range region.Center {
			at := 2*rng.Float64() - 1
			if corner {
				at = math.Copysign(1, at)
			}
			rows = append(rows, float32(center+region.Radius[i]*at)*norm.Std[i%mels]+norm.Mean[i%mels])
		}
	}
	return rows
}

// comparison is how the answers of two models differ.
type comparison struct {
	clips           int
	onClips, random float64 // the largest difference of a logit, on clips and at random points
	ties            int     // clips and points at which the answers differ, both being the largest logit up to rounding
}

// compare compares the logits of an equivalent model with those of the given one, on the clips and at random points. An
// answer that differs, or a logit by too much, gives an error that wraps ErrImpossible.
func (w *exactWork) compare(ctx context.Context, n *polynet.Model, d Data) (c comparison, err error) {
	runs := [2]*inference.Clips{}
	for i, m := range []*polynet.Model{w.model, n} {
		plan, err := inference.Compile(m, d.Device)
		if err != nil {
			return c, err
		}
		defer plan.Close()
		runs[i] = plan.Clips(exactBatch, w.frames)
		defer runs[i].Close()
	}
	check := func(rows []float32, largest *float64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for rows := range slices.Chunk(rows, exactBatch*w.frames*n.Net.Inputs) {
			count := len(rows) / (w.frames * n.Net.Inputs)
			before := slices.Clone(runs[0].Run(rows, count))
			after := runs[1].Run(rows, count)
			for i := range count {
				if err := c.add(before[i*n.Net.Classes:][:n.Net.Classes], after[i*n.Net.Classes:], largest); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for rows, err := range w.clips(d) {
		if err != nil {
			return c, err
		}
		if err := check(rows, &c.onClips); err != nil {
			return c, err
		}
		c.clips += len(rows) / (w.frames * n.Net.Inputs)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < w.Points; done += exactBatch {
		if err := check(w.random(rng, min(exactBatch, w.Points-done), false), &c.random); err != nil {
			return c, err
		}
	}
	return c, nil
}

// add compares logits of one clip before and after the change.
func (c *comparison) add(before, after []float32, largest *float64) error {
	differ, scale, was, is := 0.0, 1.0, 0, 0
	for k, v := range before {
		differ, scale = max(differ, math.Abs(float64(v-after[k]))), max(scale, math.Abs(float64(v)))
		if v > before[was] {
			was = k
		}
		if after[k] > after[is] {
			is = k
		}
	}
	*largest = max(*largest, differ)
	tied := float64(before[was]-before[is]) <= 2*differ
	if !(differ <= maxLogitDifference*scale) || !tied {
		return fmt.Errorf("%w: a logit of an equivalent network differs by %g", ErrImpossible, differ)
	}
	if was != is {
		c.ties++
	}
	return nil
}

// report says how much the models differ.
func (c comparison) report(points int) string {
	answers := "the same answers"
	if c.ties > 0 {
		answers = fmt.Sprintf("other answers at %d, of two logits that are equal but for rounding,", c.ties)
	}
	clips := fmt.Sprintf("%d clips", c.clips)
	if c.clips == 1 {
		clips = "the clip"
	}
	return fmt.Sprintf("%s on %s and at %d random points; the largest difference of a logit is %.2g on clips and %.2g at "+
		"the points", answers, clips, points, c.onClips, c.random)
}
