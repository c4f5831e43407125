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

// Pool is how Overall makes the labels over the whole of a sound of p(w, l), the probability of label l in window w of
// W windows that count.
type Pool string

// The pools.
const (
	PoolMean  Pool = "mean"  // P(l) = 1/W · Σ p(w, l) over all w: what the sound is most of the time; "" is it, too
	PoolMax   Pool = "max"   // P(l) = max p(w, l) over all w: what is anywhere in it; the labels do not add up to 1
	PoolShare Pool = "share" // P(l) = the share of the W windows in which l is the likeliest; of one window, p(w, l)
)

// Pools are all of them.
func Pools() []Pool { return []Pool{PoolMean, PoolMax, PoolShare} }

// WithPool chooses how the answers for the windows of a sound become one: in Classify and its variants for sounds
// longer than a window, and in what NewOverall returns. The default is PoolMean.
func WithPool(p Pool) Option { return func(s *settings) { s.pool = p } }

// NewOverall returns an Overall with the recognizer's pool.
func (r *Recognizer) NewOverall() *Overall { return &Overall{Pool: r.pool} }

// Overall makes the labels over the whole of a sound of the answers for its windows. Windows whose likeliest label is
// _silence_ do not count unless all are such, so that silence around a sound does not change what kind of sound it is.
// The zero value is ready for use.
type Overall struct {
	Pool Pool
	// RefusedEvents is how many events EventsOverall has left out because they were too doubtful (WithMinConfidence).
	RefusedEvents int

	sound, silence pooled
}

// pooled is what is known of windows.
type pooled struct {
	labels  map[string]*pooledLabel
	windows float64
}

// pooledLabel is what is known of a label in these.
type pooledLabel struct{ sum, max, first float64 }

// Add adds the answer for a window, the likeliest label first.
func (o *Overall) Add(scores []Score) {
	m := &o.sound
	if scores[0].Label == detect.SilenceLabel {
		m = &o.silence
	}
	if m.labels == nil {
		m.labels = make(map[string]*pooledLabel, len(scores))
	}
	m.windows++
	for i, s := range scores {
		l := m.labels[s.Label]
		if l == nil {
			l = new(pooledLabel)
			m.labels[s.Label] = l
		}
		if l.sum, l.max = l.sum+s.P, max(l.max, s.P); i == 0 {
			l.first++
		}
	}
}

// Scores returns the labels over the whole, the likeliest first, of equals that with the larger mean, and then in the
// order of their names; nil before the first Add.
func (o *Overall) Scores() (scores []Score) {
	m := o.sound
	if m.windows == 0 {
		m = o.silence
	}
	for label, l := range m.labels {
		p := l.sum / m.windows
		switch {
		case o.Pool == PoolMax:
			p = l.max
		case o.Pool == PoolShare && m.windows > 1:
			p = l.first / m.windows
		}
		scores = append(scores, Score{label, p})
	}
	slices.SortFunc(scores, func(a, b Score) int {
		mean := cmp.Compare(m.labels[b.Label].sum, m.labels[a.Label].sum)
		return cmp.Or(cmp.Compare(b.P, a.P), mean, cmp.Compare(a.Label, b.Label))
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
	whole := r.NewOverall()
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
		if err := r.addWindows(whole, &input, b, samples[:held], starts, dropped); err != nil {
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
