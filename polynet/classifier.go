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

	streams sync.Mutex            // for what they share:
	plans   map[batchShape]*Plan  // by what they compute together
	flows   map[flowShape][]*flow // those that nobody uses
}

// batchShape is so many frames of so many sounds.
type batchShape struct{ sounds, frames int }

// NewClassifier compiles m for d. A model that is not consistent gives an error that wraps ErrModel.
func NewClassifier(m *Model, d device.Trainer) (*Classifier, error) {
	plan, err := m.Compile(d)
	if err != nil {
		return nil, err
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModel, err)
	}
	plan.hear(extractor)
	return &Classifier{model: m, plan: plan, extractor: extractor, plans: map[batchShape]*Plan{}, flows: map[flowShape][]*flow{}}, nil
}

// Options says how a Worker works. The zero value is right for most uses.
type Options struct {
	Hop   float64 // seconds from one window's start to the next one's, at most the model's window; 0: half of that
	Batch int     // sounds that are computed together, none of them longer than a window; 0: 16
	Top   int     // the most Scores of a Window; 0: all labels
}

const defaultBatch = 16

// Worker classifies sounds on one goroutine. Its memory does not depend on how long they are.
//
// Sound is resampled to the model's rate and answered for in windows of the model's length, one a hop, beginning at 0. What
// remains at the end and is shorter than a hop is heard in one more window that ends where the sound ends. Sound longer
// than a window runs through the network once, as a Stream, whose decisions the windows are: the sound around a window
// counts as far as the network reaches. Sound of a window's length or less is one pass, which gives what a stream gives
// that ends there; where it is shorter, it is put in the middle of a window, between zeros, as in training.
// A network that hears whole clips alone (Config.WholeClip) hears each window by itself.
type Worker struct {
	c       *Classifier
	session *Session
	scratch *features.Scratch
	stream  *Stream // nil until it is used
	top     int
	window  int       // samples
	hop     int       // samples
	samples []float32 // a window, and one to tell whether there are more
	piece   []float32 // of a long sound
	rows    []float32 // of the sounds that wait, one after the other; their samples where the device makes the features
	waiting []waitingWindow
	batch   int
	p       []float64 // of one window
	ranking []Score   // the same
}

// pieceSamples is how much of a long sound is read at a time, at most.
const pieceSamples = 1 << 15

// waitingWindow is a sound whose rows wait for the batch to be full.
type waitingWindow struct {
	sound      *pushed
	start, end float64 // seconds
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
		return nil, fmt.Errorf("%w: a batch of %d sounds, %d labels of each", ErrConfig, batch, o.Top)
	}
	w := &Worker{
		c: c, scratch: c.extractor.Scratch(), top: len(m.Labels), window: window, hop: hop, batch: batch,
		samples: make([]float32, window+1),
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
// the error that ended the sound, as Classify gives it. The windows of a long sound are told as they are heard, a step and
// the model's lookahead later at most; but since shorter sounds are computed in batches, their window may come as late as in
// a following Push or Flush. When each returns false, the rest of the sound is left out, and end is not called.
func (w *Worker) Push(src audio.Source, each func(Window) bool, end func(error)) {
	p := &pushed{each: each, end: end}
	p.err = w.hear(src, p)
	p.read = true
	p.finish()
}

// hear reads src and queues it or, where it is long, follows it.
func (w *Worker) hear(src audio.Source, p *pushed) error {
	src, err := audio.Resample(src, w.c.model.Features.Rate)
	if err != nil {
		return err
	}
	n, err := audio.ReadFull(src, w.samples)
	switch {
	case n > w.window && w.c.model.Net.WholeClip():
		return w.cut(src, err, p)
	case n > w.window:
		return w.follow(src, err, p)
	case err != io.EOF:
		return err
	case n == 0:
		return audio.ErrEmpty
	}
	w.queue(p, w.center(n), 0, n)
	return nil
}

// cut classifies window by window the sound that begins with w.samples, the last of which came with err, and goes on with src:
// for networks that hear whole clips alone.
func (w *Worker) cut(src audio.Source, err error, p *pushed) error {
	if w.piece == nil {
		w.piece = make([]float32, w.window+w.hop)
	}
	sound := w.piece // a window and what comes behind it
	start, ahead := 0, copy(sound, w.samples)-w.window
	for {
		w.queue(p, sound[:w.window], start, w.window)
		if p.stopped {
			return nil
		}
		if n := w.hop - ahead; n > 0 && err == nil {
			n, err = audio.ReadFull(src, sound[w.window+ahead:])
			ahead += n
		}
		step := min(ahead, w.hop)
		if step == 0 || step < w.hop && err != io.EOF {
			break
		}
		ahead -= step
		start += step
		copy(sound, sound[step:w.window+step+ahead])
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// follow streams the sound that begins with w.samples, the last of which came with err, and goes on with src.
func (w *Worker) follow(src audio.Source, err error, p *pushed) error {
	w.Flush() // the sound may take its time
	if w.stream == nil {
		w.stream = w.c.streamGroup(1, StreamOptions{}, w.window, w.hop, recordingFrames).only()
		w.piece = make([]float32, pieceSamples)
	}
	s := w.stream
	s.Reset()
	for samples := w.samples; ; {
		s.Push(samples)
		if err == io.EOF {
			s.Flush()
		}
		w.tellDecisions(s, p)
		if err != nil || p.stopped {
			break
		}
		var n int
		n, err = src.Read(w.piece)
		samples = w.piece[:n]
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// tellDecisions tells the windows that have been heard.
func (w *Worker) tellDecisions(s *Stream, p *pushed) {
	for !p.stopped {
		d, ok, err := s.Next()
		switch {
		case !ok:
			return
		case err != nil:
			p.stop(err)
		default:
			p.tell(Window{d.Start, d.End, w.rank(d.P)})
		}
	}
}

// center moves the first n samples to the middle of a window of zeros.
func (w *Worker) center(n int) []float32 {
	front := (w.window - n) / 2
	copy(w.samples[front:], w.samples[:n])
	clear(w.samples[:front])
	clear(w.samples[front+n : w.window])
	return w.samples[:w.window]
}

// queue adds the window around n samples of sound, which begin at the given one, to the batch, and computes the batch when it is
// full.
func (w *Worker) queue(p *pushed, samples []float32, start, n int) {
	if w.c.plan.listener != nil {
		w.rows = append(w.rows, samples...)
	} else {
		w.rows = w.c.extractor.Rows(w.rows, samples, w.scratch)
	}
	rate := float64(w.c.model.Features.Rate)
	w.waiting = append(w.waiting, waitingWindow{p, float64(start) / rate, float64(start+n) / rate})
	p.waiting++
	if len(w.waiting) == w.batch {
		w.Flush()
	}
}

// Flush classifies the sounds that wait for more to share a batch with.
func (w *Worker) Flush() {
	if len(w.waiting) == 0 {
		return
	}
	classes := len(w.c.model.Labels)
	run := w.session.Run
	if w.c.plan.listener != nil {
		run = w.session.RunSounds
	}
	logits := run(w.rows, len(w.waiting))
	for i, window := range w.waiting {
		p := window.sound
		p.waiting--
		if scores := w.scores(logits[i*classes : (i+1)*classes]); scores != nil {
			p.tell(Window{window.start, window.end, scores})
			p.finish()
		} else {
			p.stop(diverged(window.start, window.end))
		}
	}
	w.rows, w.waiting = w.rows[:0], w.waiting[:0]
}

// diverged returns the error about the sound from start to end.
func diverged(start, end float64) error {
	return fmt.Errorf("%w from %g to %g s", ErrDiverged, start, end)
}

// scores returns the likeliest labels, or nil where the logits are not finite.
func (w *Worker) scores(logits []float32) []Score {
	for i, v := range logits {
		w.p[i] = float64(v)
	}
	if !Softmax(w.p, w.c.model.Temperature) {
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

// Softmax turns logits, at least one, into probabilities, in place. The temperature, which is positive, divides the logits
// before. It reports whether the probabilities are finite.
func Softmax(p []float64, temperature float64) bool {
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

// tell hands a window on.
func (p *pushed) tell(w Window) {
	if !p.stopped {
		p.stopped = !p.each(w)
	}
}

// stop ends the sound with an error.
func (p *pushed) stop(err error) {
	if !p.stopped {
		p.stopped = true
		p.end(err)
	}
}

// finish tells the end when all windows have been told.
func (p *pushed) finish() {
	if p.read && p.waiting == 0 {
		p.stop(p.err)
	}
}
