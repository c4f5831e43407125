package polynet

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/features"
)

// StreamOptions says how a Stream works. The zero value is right for most uses.
type StreamOptions struct {
	// Hop is the time between two decisions in seconds, at most the model's window. It is rounded to whole rows of the
	// last stage; 0 stands for one row.
	Hop float64
	// Step is how much sound is computed at once, in seconds, at most 10; 0 stands for a quarter of a second. It is rounded
	// to whole rows of the last stage. A longer step is cheaper, and decisions come up to a step later. Sound that
	// is pushed in larger pieces is computed in larger pieces.
	Step float64
	// Gate is the level in dB below which sound is silence, 0 dB being that of a square wave of full scale; 0 stands for
	// no gate. While all of a decision's window and lookahead is silence, frame by frame, the network rests.
	Gate float64
}

// Decision is what a Stream says of the sound between Start and End.
type Decision struct {
	// Start and End are seconds since the stream began. They are the model's window apart, less at the beginning.
	Start, End float64
	// Heard is how much sound the decision took, in seconds: End and the lookahead, rounded up to whole steps, but not
	// more than there is.
	Heard float64
	// P is each label's probability, in the model's order. It is valid until the next call. Of a decision that was gated it
	// is 1 for the label _silence_, and it is nil where the model has none.
	P []float64
	// Gated says that there was nothing to hear, so that the network was not asked.
	Gated bool
}

// StreamStats counts what a Stream has done since it began.
type StreamStats struct {
	Samples   int // pushed
	Frames    int // rows of features, those apart that wait for a step to be full
	Gated     int // of the Frames, those that the network has not computed because of the gate
	Decisions int
}

// Stream classifies sound as it arrives, for ever: its memory is as large as the model's window and what its network reaches
// back over, and a second of sound costs about as much as in one run over a whole recording, whose numbers it
// gives. A decision is the network's answer to the rows of its last stage whose frames lie in the decision's window,
// both ends included, as if the sound before the window belonged to it. A Stream is used by one goroutine; many may
// share a Classifier.
type Stream struct {
	c      *Classifier
	framer *features.Framer
	gate   *levelGate // nil without one
	flow   *flow
	narrow *Plan       // for a step; nil until it is used, as is wide
	wide   *Plan       // for more
	sum    *slidingSum // of logits
	streamTimes

	heard, told int  // samples: pushed, and where the latest decision's window ends
	ended       bool // by Flush
	// Frames: ready are in whole steps, of these the flow has reached fed, and of those it has computed run. While the
	// gate is shut, fed stays behind.
	ready, fed, run int
	awake, finished bool      // the flow is wanted for the latest step; it has come to the sound's end
	rows            []float32 // a ring: the latest frames, normalised
	logits          []float32 // what the flow gave last: rows from first on
	first           int

	decisions int
	p         []float64
}

// streamTimes says when what is due.
type streamTimes struct {
	begin, hop  int // the first decision's end, and from one to the next, in samples
	window      int // samples
	back, ahead int // frames that a row of the last stage depends on
	row         int // frames a row of the last stage
	step, most  int // frames that are computed together, and at most
	frame       features.Config
}

const (
	defaultStep = 0.24 // seconds
	longestStep = 10

	// Frames that are computed together at most, unless a step has more: memory grows with them. The first is for sound
	// that is catching up, the second for recordings.
	liveFrames      = 96
	recordingFrames = 288
)

// Stream returns a new Stream, or an error that wraps ErrConfig when o makes no sense for the model, and ErrModel when the
// model hears whole clips alone (Config.WholeClip).
func (c *Classifier) Stream(o StreamOptions) (*Stream, error) {
	m := c.model
	switch {
	case m.Net.WholeClip():
		return nil, fmt.Errorf("%w: its %s blocks have norms over whole clips, so it cannot answer for a stream", ErrModel, m.Net.Block)
	case !(o.Hop >= 0 && o.Hop <= m.Window):
		return nil, fmt.Errorf("%w: a decision every %g s about windows of %g s", ErrConfig, o.Hop, m.Window)
	case !(o.Step >= 0 && o.Step <= longestStep):
		return nil, fmt.Errorf("%w: steps of %g s", ErrConfig, o.Step)
	case !(o.Gate <= 0) || math.IsInf(o.Gate, 0):
		return nil, fmt.Errorf("%w: a gate of %g dB", ErrConfig, o.Gate)
	}
	_, _, row := m.Net.reach()
	hop := c.wholeRows(o.Hop) * row * m.Features.Hop
	return c.stream(o, hop, hop, liveFrames), nil
}

// wholeRows returns how many rows of the last stage are nearest to so many seconds, at least one.
func (c *Classifier) wholeRows(seconds float64) int {
	_, _, row := c.model.Net.reach()
	return max(1, int(math.Round(seconds*c.model.Features.FramesPerSecond()/float64(row))))
}

// stream returns a Stream whose first decision ends at sample begin, and the others each hop samples later. It computes so
// many frames together, if they are there, or a few less.
func (c *Classifier) stream(o StreamOptions, begin, hop, frames int) *Stream {
	m := c.model
	if o.Step == 0 {
		o.Step = defaultStep
	}
	t := streamTimes{begin: begin, hop: hop, window: m.windowSamples(), frame: m.Features}
	t.back, t.ahead, t.row = m.Net.reach()
	t.step = c.wholeRows(o.Step) * t.row
	t.most = t.step * max(1, frames/t.step)
	room := t.most
	s := &Stream{
		c: c, framer: c.extractor.Framer(), streamTimes: t, p: make([]float64, len(m.Labels)),
		sum: newSlidingSum((t.window+hop)/t.rowSamples()+2, len(m.Labels)),
	}
	if o.Gate != 0 {
		room += ceilDiv(t.past(), t.step) * t.step
		s.gate = newLevelGate(o.Gate, m.Features.Hop, t.hold(), t.most+1)
	}
	s.rows = make([]float32, room*m.Features.Mels)
	s.flow = newFlow(c.plan, t.most)
	s.Reset()
	return s
}

// rowSamples returns the samples from one row of the last stage to the next.
func (t *streamTimes) rowSamples() int { return t.row * t.frame.Hop }

// hold returns how many frames before the latest one that a decision depends on its window begins, or more.
func (t *streamTimes) hold() int { return max(ceilDiv(t.window, t.frame.Hop), t.row) + t.ahead + 1 }

// past returns over how many frames, or more, all of a decision depends.
func (t *streamTimes) past() int { return t.hold() + t.back + t.row }

// Close gives the Stream's memory back to the device.
func (s *Stream) Close() { s.flow.close() }

// Reset begins a new stream, as if s were new.
func (s *Stream) Reset() {
	s.framer.Reset()
	if s.gate != nil {
		s.gate.reset()
	}
	s.flow.restart(0)
	s.sum.reset()
	s.heard, s.told, s.ended = 0, 0, false
	s.ready, s.fed, s.run = 0, 0, 0
	s.awake, s.finished = false, false
	s.logits, s.first = nil, 0
	s.decisions = 0
}

// Push takes the stream's next samples, mono at the model's rate, any number of them. What they decide is computed by Next:
// samples pile up until it is called, so call it until it has no more before the next Push. To push behind Flush
// is a bug and panics.
func (s *Stream) Push(samples []float32) {
	s.framer.Push(samples)
	if s.gate != nil {
		s.gate.push(samples)
	}
	s.heard += len(samples)
}

// Flush says that the sound is over: Next gives the decisions that are left, the last of which ends where the sound does.
func (s *Stream) Flush() {
	s.framer.Flush()
	if s.gate != nil && !s.ended {
		s.gate.close()
	}
	s.ended = true
}

// Stats tells what s has done since it began.
func (s *Stream) Stats() StreamStats {
	return StreamStats{Samples: s.heard, Frames: s.ready, Gated: s.ready - s.run, Decisions: s.decisions}
}

// Next returns the next decision, or false when it takes more sound. An error that wraps ErrDiverged is about this decision
// only, whose P is nil then.
func (s *Stream) Next() (Decision, bool, error) {
	for !s.ended || s.told < s.heard {
		w := s.next()
		due := w.depends < s.ready || s.ended && s.ready == s.frames()
		switch {
		case due && s.gate != nil && !s.gate.open(min(w.depends, s.ready-1)):
			return s.tell(w, true)
		case s.gather(w) && due:
			return s.tell(w, false)
		case !s.compute():
			return Decision{}, false, nil
		}
	}
	return Decision{}, false, nil
}

// streamWindow is what a decision is about.
type streamWindow struct {
	start, end  int // samples
	first, last int // rows of the last stage
	depends     int // the last frame that matters, if there is one
}

// next returns the window of the next decision. Once the sound has ended, none reaches beyond.
func (s *Stream) next() streamWindow {
	w := streamWindow{end: s.told + s.hop}
	if s.told == 0 {
		w.end = s.begin
	}
	if s.ended {
		w.end = min(w.end, s.heard)
	}
	w.start = max(0, w.end-s.window)
	w.last = w.end / s.rowSamples()
	w.first = min(ceilDiv(w.start, s.rowSamples()), w.last) // rows may lie further apart than a window is long
	w.depends = max(w.last*s.row+s.ahead, ceilDiv(w.end, s.frame.Hop))
	return w
}

// frames returns how many frames the samples make that have been pushed.
func (s *Stream) frames() int {
	if reach := s.frame.Window / 2; !s.ended && s.heard < reach {
		return 0
	} else if !s.ended {
		return s.frame.Frames(s.heard - reach)
	}
	return s.frame.Frames(s.heard)
}

// gather sums up the window's rows and reports whether all of them have been computed. Rows before the window are kept as long
// as it may yet turn out to be shorter, the sound's end being near.
func (s *Stream) gather(w streamWindow) bool {
	classes := len(s.p)
	for ; s.sum.next <= w.last; s.sum.push(s.logits[:classes]) {
		at := (s.sum.next - s.first) * classes
		if at >= len(s.logits) {
			return false
		}
		s.logits, s.first = s.logits[at:], s.sum.next
	}
	return true
}

// tell returns the decision about w.
func (s *Stream) tell(w streamWindow, gated bool) (Decision, bool, error) {
	s.told = w.end
	s.decisions++
	s.sum.drop(w.first)
	steps := ceilDiv(w.depends+1, s.step)
	heard := min((steps*s.step-1)*s.frame.Hop+s.frame.Window/2, s.heard)
	d := Decision{Start: s.seconds(w.start), End: s.seconds(w.end), Heard: s.seconds(heard), Gated: gated}
	if gated {
		d.P = s.silence()
		return d, true, nil
	}
	s.sum.mean(s.p)
	if !softmax(s.p, s.c.model.Temperature) {
		return d, true, diverged(d.Start, d.End)
	}
	d.P = s.p
	return d, true, nil
}

// silence returns the probabilities of a decision about nothing.
func (s *Stream) silence() []float64 {
	i := slices.Index(s.c.model.Labels, SilenceLabel)
	if i < 0 {
		return nil
	}
	clear(s.p)
	s.p[i] = 1
	return s.p
}

func (s *Stream) seconds(samples int) float64 { return float64(samples) / float64(s.frame.Rate) }

// compute does the next piece of work and reports whether there was any.
func (s *Stream) compute() bool {
	switch {
	case s.awake && s.fed < s.ready:
		s.feed()
	case s.awake && s.ended && s.ready == s.frames() && !s.finished:
		s.logits, s.first = s.flow.run(s.planFor(0), true)
		s.finished = true
	default:
		return s.take()
	}
	return true
}

// take takes frames from the framer, as many whole steps as there are or, at the sound's end, what is left.
func (s *Stream) take() bool {
	n := min(s.frames()-s.ready, s.most)
	if !s.ended {
		n -= n % s.step
	}
	if n == 0 {
		return false
	}
	mels := s.frame.Mels
	for i := range n {
		row := s.rows[(s.ready+i)*mels%len(s.rows):][:mels]
		s.framer.Next(row)
		s.c.model.Norm.Apply(row)
	}
	before := s.ready
	s.ready += n
	s.awake = true
	if s.gate != nil {
		s.gate.take(before, n)
		s.wake(before)
	}
	return true
}

// wake decides whether the flow is wanted for one of the frames from the given one on. Where it has stayed behind, it begins
// so far before them that what it gives for them does not depend on what it has missed.
func (s *Stream) wake(frame int) {
	s.awake = false
	for f := frame; f < s.ready && !s.awake; f++ {
		s.awake = s.gate.open(f)
	}
	if begin := (frame - s.past()) / s.row * s.row; s.awake && begin > s.fed {
		s.flow.restart(begin)
		s.fed = begin
		s.logits, s.first = nil, begin/s.row
		s.sum.drop(ceilDiv(begin+s.back, s.row))
	}
}

// feed runs the flow over frames that are ready.
func (s *Stream) feed() {
	mels := s.frame.Mels
	n := min(s.ready-s.fed, s.most)
	rows := s.rows[s.fed*mels%len(s.rows):]
	whole := min(n*mels, len(rows)) // the rest is at the ring's beginning
	s.flow.push(rows[:whole])
	s.flow.push(s.rows[:n*mels-whole])
	s.logits, s.first = s.flow.run(s.planFor(n), false)
	s.fed += n
	s.run += n
}

// planFor returns the plan that is faster for so many frames.
func (s *Stream) planFor(frames int) *Plan {
	plan, n := &s.narrow, s.step
	if frames > s.step {
		plan, n = &s.wide, s.most
	}
	if *plan == nil {
		*plan = s.c.planFor(n)
	}
	return *plan
}
