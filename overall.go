package polyphon

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/inference"
)

// Overall makes the labels over the whole of a sound of the answers for its windows: the mean of each label's
// probability. Windows whose likeliest label is _silence_ are left out unless all are such, so that silence around a
// sound does not change what kind of sound it is. The zero value is ready for use.
type Overall struct {
	// RefusedEvents is how many events EventsOverall has left out because they were too doubtful (WithMinConfidence).
	RefusedEvents int

	sound, silence meanScores
}

type meanScores struct {
	sum     map[string]float64
	windows float64
}

// Add adds the answer for a window, the likeliest label first.
func (o *Overall) Add(scores []Score) {
	m := &o.sound
	if scores[0].Label == detect.SilenceLabel {
		m = &o.silence
	}
	if m.sum == nil {
		m.sum = make(map[string]float64, len(scores))
	}
	m.windows++
	for _, s := range scores {
		m.sum[s.Label] += s.P
	}
}

// Scores returns the labels over the whole, the likeliest first, of equals in the order of their names; nil before the
// first Add.
func (o *Overall) Scores() (scores []Score) {
	m := o.sound
	if m.windows == 0 {
		m = o.silence
	}
	for label, sum := range m.sum {
		scores = append(scores, Score{label, sum / m.windows})
	}
	slices.SortFunc(scores, func(a, b Score) int {
		return cmp.Or(cmp.Compare(b.P, a.P), cmp.Compare(a.Label, b.Label))
	})
	return scores
}

// Windows of a long sound that are computed together, and hops in a window.
const (
	clipWindows = 16
	clipHops    = 4
)

// ClassifySource is Classify of a source of any length, in bounded memory. An error may also be the source's or ctx's.
func (r *Recognizer) ClassifySource(ctx context.Context, src audio.Source) ([]Score, error) {
	src, err := audio.Resample(src, r.Model().Features.Rate)
	if err != nil {
		return nil, err
	}
	b, err := r.takeBatch(clipWindows)
	if err != nil {
		return nil, err
	}
	defer r.returnBatch(b)
	var whole Overall
	input := r.newDriftInput()
	hop := max(1, b.window/clipHops)
	samples := make([]float32, b.window+(clipWindows-2)*hop) // so many windows, one of them at the end of the sound
	dropped, held, next := 0, 0, 0                           // samples; next is where the next window begins
	for err != io.EOF {
		var n int
		n, err = audio.ReadFull(src, samples[held:])
		held += n
		if err == nil {
			err = ctx.Err()
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if held == 0 {
			return nil, audio.ErrEmpty
		}
		var starts []int
		for ; next+b.window <= held; next += hop {
			starts = append(starts, next)
		}
		if last := max(0, held-b.window); err == io.EOF && next-hop < last || next == 0 {
			starts = append(starts, last)
		}
		if err := r.addWindows(&whole, &input, b, samples[:held], starts, dropped); err != nil {
			return nil, err
		}
		keep := max(0, next-hop) // the window at the end of the sound may begin there
		held = copy(samples, samples[keep:held])
		dropped, next = dropped+keep, next-keep
	}
	input.finish()
	return whole.Scores(), nil
}

// addWindows adds to whole the answers for the windows that begin at samples of the given numbers, each classified on
// its own. So many samples of the sound were dropped before.
func (r *Recognizer) addWindows(
	whole *Overall, input *driftInput, b *batch, samples []float32, starts []int, dropped int,
) error {
	b.samples, b.index = b.samples[:0], b.index[:0]
	for i, start := range starts {
		b.add(i, samples[start:min(start+b.window, len(samples))])
	}
	if err := b.run(); err != nil {
		return err
	}
	classes := len(r.Model().Labels)
	for i, start := range starts {
		logits := b.logits[i*classes:][:classes]
		scores, rate := r.scores(logits), float64(r.Model().Features.Rate)
		end := float64(dropped+min(start+b.window, len(samples))) / rate
		if scores == nil {
			return inference.Diverged(float64(dropped+start)/rate, end)
		}
		addToDrift(input, end, logits)
		whole.Add(scores)
	}
	return nil
}
