package polynet

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
)

// ErrDiverged marks a sound for which a network's numbers grew beyond all bounds, so that it gives no probabilities.
var ErrDiverged = errors.New("the network's answer is not finite")

// Score is a label's probability.
type Score struct {
	Label string
	P     float64
}

// Window is what a Classifier says of the sound between Start and End, in seconds.
type Window struct {
	Start, End float64
	Scores     []Score // the likeliest first
}

// Background reports whether the likeliest label is one of those that stand for "none of the words".
func (w Window) Background() bool {
	return w.Scores[0].Label == UnknownLabel || w.Scores[0].Label == SilenceLabel
}

// Classifier turns sound into labels with one model on one device. It is immutable and shared by goroutines; each works
// with a Worker of its own.
type Classifier struct {
	model     *Model
	plan      *Plan
	extractor *features.Extractor

	steps sync.Mutex
	plans map[int]*Plan // of streams, by the frames that they compute together
}

// NewClassifier compiles m for d. A model that is not consistent gives an error that wraps ErrModel.
func NewClassifier(m *Model, d device.Device) (*Classifier, error) {
	plan, err := m.Compile(d)
	if err != nil {
		return nil, err
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	return &Classifier{model: m, plan: plan, extractor: extractor, plans: map[int]*Plan{}}, nil
}

// planFor returns a Plan for so many frames at a time, which streams share.
func (c *Classifier) planFor(frames int) *Plan {
	c.steps.Lock()
	defer c.steps.Unlock()
	p := c.plans[frames]
	if p == nil {
		p = c.model.compile(c.plan.dev, frames)
		c.plans[frames] = p
	}
	return p
}

// Options says how a Worker works. The zero value is right for most uses.
type Options struct {
	Hop   float64 // seconds from one window's start to the next one's, at most the model's window; 0: half of that
	Batch int     // windows computed together; 0: 16, for throughput. With 1, each is told as soon as it is heard.
	Top   int     // the most Scores of a Window; 0: all labels
}

const defaultBatch = 16

// Worker classifies sounds on one goroutine. Its memory does not depend on how long they are.
//
// Sound is resampled to the model's rate and cut into windows of the model's length, one a hop, beginning at 0. What
// remains at the end and is shorter than a hop is heard in one more window that ends where the sound ends. Sound shorter
// than a window is put in the middle of one, between zeros, as in training. Each window is then classified as if it
// were a recording of its own.
type Worker struct {
	c       *Classifier
	session *Session
	scratch *features.Scratch
	top     int
	window  int // samples
	hop     int // samples
	samples []float32
	rows    []float32 // of the windows that wait, one after the other
	waiting []waitingWindow
	batch   int
	p       []float64 // of one window
	ranking []Score   // the same
}

// waitingWindow is a window whose rows wait for the batch to be full.
type waitingWindow struct {
	sound      *pushed
	start, end float64
}

// pushed is the state of one Push.
type pushed struct {
	each    func(Window) bool
	end     func(error)
	waiting int  // windows
	read    bool // to its end, which err tells
	stopped bool // by each
	err     error
}

// Worker returns a new Worker, or an error that wraps ErrConfig when o makes no sense for the model.
func (c *Classifier) Worker(o Options) (*Worker, error) {
	m := c.model
	window, hop, batch := m.windowSamples(), 0, o.Batch
	if o.Hop == 0 {
		o.Hop = m.Window / 2
	}
	if o.Hop > 0 && o.Hop <= m.Window {
		hop = max(1, int(math.Round(o.Hop*float64(m.Features.Rate))))
	}
	if batch == 0 {
		batch = defaultBatch
	}
	switch {
	case hop == 0:
		return nil, fmt.Errorf("%w: a hop of %g s for windows of %g s", ErrConfig, o.Hop, m.Window)
	case batch < 1 || o.Top < 0:
		return nil, fmt.Errorf("%w: a batch of %d windows, %d labels of each", ErrConfig, batch, o.Top)
	}
	w := &Worker{
		c: c, scratch: c.extractor.Scratch(), top: len(m.Labels), window: window, hop: hop, batch: batch,
		samples: make([]float32, window+hop),
		session: c.plan.Session(batch, m.Features.Frames(window)),
		p:       make([]float64, len(m.Labels)),
		ranking: make([]Score, len(m.Labels)),
	}
	if o.Top > 0 {
		w.top = min(o.Top, len(m.Labels))
	}
	return w, nil
}

// Hop returns the seconds from one window's start to the next one's.
func (w *Worker) Hop() float64 { return float64(w.hop) / float64(w.c.model.Features.Rate) }

// Top returns how many Scores a Window has.
func (w *Worker) Top() int { return w.top }

// Classify classifies src window by window. An error ends the sequence: the source's own, audio.ErrEmpty for a source
// without samples, ErrDiverged.
func (w *Worker) Classify(src audio.Source) iter.Seq2[Window, error] {
	return func(yield func(Window, error) bool) {
		w.Push(src,
			func(window Window) bool { return yield(window, nil) },
			func(err error) {
				if err != nil {
					yield(Window{}, err)
				}
			})
		w.Flush()
	}
}

// Push reads src to its end and classifies it. It calls each for every window, in order, and then end, once, with nil or
// the error that ended the sound, as Classify gives it; but since windows are computed in batches, this may happen
// as late as in a following Push or Flush, so that short sounds share a batch. When each returns false, the rest of the
// sound is left out, and end is not called.
func (w *Worker) Push(src audio.Source, each func(Window) bool, end func(error)) {
	p := &pushed{each: each, end: end}
	p.err = w.cut(src, p)
	p.read = true
	p.finish()
}

// cut reads src and queues its windows.
func (w *Worker) cut(src audio.Source, p *pushed) error {
	src, err := audio.Resample(src, w.c.model.Features.Rate)
	if err != nil {
		return err
	}
	n, err := readFull(src, w.samples[:w.window])
	switch {
	case n == 0 && err == io.EOF:
		return audio.ErrEmpty
	case n < w.window && err == io.EOF:
		w.queue(p, w.center(n), 0, n)
		return nil
	case n < w.window:
		return err
	}
	w.queue(p, w.samples[:w.window], 0, w.window)
	for at := w.hop; err == nil && !p.stopped; at += w.hop {
		n, err = readFull(src, w.samples[w.window:])
		if n < w.hop && err != io.EOF {
			return err
		}
		if n > 0 {
			w.queue(p, w.samples[n:n+w.window], at-w.hop+n, at+n-w.hop+w.window)
		}
		copy(w.samples, w.samples[w.hop:])
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// readFull fills dst unless src ends before; then n < len(dst), or the source's error comes with the last samples.
func readFull(src audio.Source, dst []float32) (n int, err error) {
	for n < len(dst) && err == nil {
		var got int
		got, err = src.Read(dst[n:])
		n += got
	}
	return n, err
}

// center moves the first n samples to the middle of a window of zeros.
func (w *Worker) center(n int) []float32 {
	front := (w.window - n) / 2
	copy(w.samples[front:], w.samples[:n])
	clear(w.samples[:front])
	clear(w.samples[front+n : w.window])
	return w.samples[:w.window]
}

// queue adds the window of samples start … end to the batch, and computes the batch when it is full.
func (w *Worker) queue(p *pushed, samples []float32, start, end int) {
	rate := float64(w.c.model.Features.Rate)
	w.rows = w.c.extractor.Rows(w.rows, samples, w.scratch)
	w.waiting = append(w.waiting, waitingWindow{p, float64(start) / rate, float64(end) / rate})
	p.waiting++
	if len(w.waiting) == w.batch {
		w.Flush()
	}
}

// Flush classifies the windows that wait for more to share a batch with.
func (w *Worker) Flush() {
	if len(w.waiting) == 0 {
		return
	}
	classes := len(w.c.model.Labels)
	logits := w.session.Run(w.rows, len(w.waiting))
	for i, window := range w.waiting {
		window.sound.tell(window, w.scores(logits[i*classes:(i+1)*classes]))
	}
	w.rows, w.waiting = w.rows[:0], w.waiting[:0]
}

// scores returns the likeliest labels, or nil where the logits are not finite.
func (w *Worker) scores(logits []float32) []Score {
	for i, v := range logits {
		w.p[i] = float64(v)
	}
	if !softmax(w.p, w.c.model.Temperature) {
		return nil
	}
	return w.rank(w.p)
}

// rank returns the likeliest labels.
func (w *Worker) rank(p []float64) []Score {
	for i, label := range w.c.model.Labels {
		w.ranking[i] = Score{label, p[i]}
	}
	slices.SortStableFunc(w.ranking, func(a, b Score) int { return cmp.Compare(b.P, a.P) })
	return slices.Clone(w.ranking[:w.top])
}

// softmax turns logits into probabilities, in place, and reports whether they were finite.
func softmax(p []float64, temperature float64) bool {
	largest, sum := slices.Max(p), 0.0
	for i, v := range p {
		p[i] = math.Exp((v - largest) / temperature)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return !math.IsNaN(sum)
}

// tell hands a computed window on; nil scores end the sound.
func (p *pushed) tell(w waitingWindow, scores []Score) {
	p.waiting--
	switch {
	case p.stopped:
	case scores == nil:
		p.stopped = true
		p.end(fmt.Errorf("%w from %g to %g s", ErrDiverged, w.start, w.end))
	default:
		p.stopped = !p.each(Window{w.start, w.end, scores})
		p.finish()
	}
}

// finish tells the end when all windows have been told.
func (p *pushed) finish() {
	if p.read && p.waiting == 0 && !p.stopped {
		p.stopped = true
		p.end(p.err)
	}
}
