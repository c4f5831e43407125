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
	whole := r.NewOverall()
	if err := r.ClassifyOverall(ctx, src, whole); err != nil {
		return nil, err
	}
	return whole.Scores(), nil
}

// ClassifyOverall is ClassifySource that adds the answers for the windows to whole, which says by its pool what comes
// of them.
func (r *Recognizer) ClassifyOverall(ctx context.Context, src audio.Source, whole *Overall) error {
	slots := r.slotsOf(src)
	src, err := audio.Resample(src, r.Model().Features.Rate)
	if err != nil {
		return err
	}
	input := r.newDriftInput()
	c := newWindowCutter(ctx, src, r.Model().WindowSamples(), cap(slots) > 1)
	err = inOrder(slots, c.next, r.classifyWindows, func(w windowAnswers) error {
		for i, logits := range w.logits {
			end := w.seconds(min(w.starts[i]+c.window, len(w.samples)))
			scores := r.scores(logits)
			if scores == nil {
				return inference.Diverged(w.seconds(w.starts[i]), end)
			}
			addToDrift(&input, end, logits)
			whole.Add(scores)
		}
		return w.err
	})
	if err != nil {
		return err
	}
	input.finish()
	return nil
}

// windowCutter cuts a sound into windows, one every quarter of a window and one at its end.
type windowCutter struct {
	ctx         context.Context
	src         audio.Source
	window, hop int
	shared      bool // several goroutines work on what next returns
	samples     []float32
	held, begin int // samples that are held, and where in these the next window begins
	dropped     int // samples before these
	ended       bool
}

func newWindowCutter(ctx context.Context, src audio.Source, window int, shared bool) *windowCutter {
	hop := max(1, window/clipHops)
	return &windowCutter{
		ctx: ctx, src: src, window: window, hop: hop, shared: shared,
		samples: make([]float32, window+(clipWindows-2)*hop), // so many windows, one of them at the end of the sound
	}
}

// windowJob is some windows of a sound.
type windowJob struct {
	samples []float32
	starts  []int   // in samples
	dropped int     // samples of the sound before these
	rate    float64 // hertz
}

func (j windowJob) seconds(sample int) float64 { return float64(j.dropped+sample) / j.rate }

// next returns the next windows; io.EOF after the last ones.
func (c *windowCutter) next() (j windowJob, err error) {
	if c.ended {
		return j, io.EOF
	}
	if keep := max(0, c.begin-c.hop); keep > 0 { // the window at the end of the sound may begin there
		c.held = copy(c.samples, c.samples[keep:c.held])
		c.dropped, c.begin = c.dropped+keep, c.begin-keep
	}
	n, err := audio.ReadFull(c.src, c.samples[c.held:])
	c.held += n
	c.ended = err == io.EOF
	switch {
	case err == nil:
		err = c.ctx.Err()
	case c.ended && c.held == 0:
		err = audio.ErrEmpty
	case c.ended:
		err = nil
	}
	if err != nil {
		return j, err
	}
	j = windowJob{samples: c.samples[:c.held], dropped: c.dropped, rate: float64(c.src.Rate())}
	for ; c.begin+c.window <= c.held; c.begin += c.hop {
		j.starts = append(j.starts, c.begin)
	}
	if last := max(0, c.held-c.window); c.ended && c.begin-c.hop < last || c.begin == 0 {
		j.starts = append(j.starts, last)
	}
	if c.shared {
		j.samples = slices.Clone(j.samples)
	}
	return j, nil
}

// windowAnswers are the logits of each window, or why there are none.
type windowAnswers struct {
	windowJob
	logits [][]float32
	err    error
}

// classifyWindows classifies each window on its own.
func (r *Recognizer) classifyWindows(j windowJob) (a windowAnswers) {
	a.windowJob = j
	b, err := r.takeBatch(clipWindows)
	if err != nil {
		a.err = err
		return a
	}
	defer r.returnBatch(b)
	for i, start := range j.starts {
		b.add(i, j.samples[start:min(start+b.window, len(j.samples))])
	}
	if a.err = b.run(); a.err != nil {
		return a
	}
	classes := len(r.Model().Labels)
	for i := range j.starts {
		a.logits = append(a.logits, slices.Clone(b.logits[i*classes:][:classes]))
	}
	return a
}
