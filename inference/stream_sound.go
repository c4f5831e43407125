package polynet

import (
	"slices"

	"github.com/polyphon/polyphon/features"
)

// sound is one of a group's sounds, all but the network: it makes rows of features of samples, and decisions of the rows of logits
// that a flow makes of those.
type sound struct {
	model  *Model
	framer *features.Framer
	gate   *levelGate  // nil without one
	sum    *slidingSum // of logits
	*streamTimes

	heard, told int  // samples: pushed, and where the latest decision's window ends
	ended       bool // by Flush
	// Frames: ready are in whole steps, of these the flow has reached fed, and of those it has computed run. While the
	// gate is shut, fed stays behind. At the sound's end the flow takes zeros behind the last frame.
	ready, fed, run int
	awake           bool      // the flow is wanted for the latest step
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

// newSound returns a sound at its beginning.
func newSound(c *Classifier, t *streamTimes, gate float64) *sound {
	classes := len(c.model.Labels)
	s := &sound{
		model: c.model, framer: c.extractor.Framer(), streamTimes: t, p: make([]float64, classes),
		sum:    newSlidingSum((t.window+t.hop)/t.rowSamples()+2, classes),
		logits: make([]float32, 0, t.most/t.row*classes),
	}
	room := t.most
	if gate != 0 {
		room += t.rerun()
		s.gate = newLevelGate(gate, t.frame.Hop, t.hold(), t.most+1)
	}
	s.rows = make([]float32, room*t.frame.Mels)
	s.reset()
	return s
}

// rowSamples returns the samples from one row of the last stage to the next.
func (t *streamTimes) rowSamples() int { return t.row * t.frame.Hop }

// hold returns how many frames before the latest one that a decision depends on its window begins, or more.
func (t *streamTimes) hold() int { return max(ceilDiv(t.window, t.frame.Hop), t.row) + t.ahead + 1 }

// past returns over how many frames, or more, all of a decision depends.
func (t *streamTimes) past() int { return t.hold() + t.back + t.row }

// rerun returns how many frames before a step, in whole steps, a flow has to begin so that what it gives for the step does not
// depend on what it has missed.
func (t *streamTimes) rerun() int { return ceilDiv(t.past(), t.step) * t.step }

// finish returns how many frames, zeros included, a flow takes of a sound of so many, so that it gives all rows.
func (t *streamTimes) finish(frames int) int { return (ceilDiv(frames, t.row) + t.ahead/t.row) * t.row }

func (s *sound) reset() {
	s.framer.Reset()
	if s.gate != nil {
		s.gate.reset()
	}
	s.sum.reset()
	s.heard, s.told, s.ended = 0, 0, false
	s.ready, s.fed, s.run = 0, 0, 0
	s.awake = false
	s.logits, s.first = s.logits[:0], 0
	s.decisions = 0
}

func (s *sound) push(samples []float32) {
	s.framer.Push(samples)
	if s.gate != nil {
		s.gate.push(samples)
	}
	s.heard += len(samples)
}

func (s *sound) flush() {
	s.framer.Flush()
	if s.gate != nil && !s.ended {
		s.gate.close()
	}
	s.ended = true
}

func (s *sound) stats() StreamStats {
	return StreamStats{Samples: s.heard, Frames: s.ready, Gated: s.ready - s.run, Decisions: s.decisions}
}

// over reports whether the last decision has been told.
func (s *sound) over() bool { return s.ended && s.told >= s.heard }

// complete reports whether all of the sound's frames are ready, after its end.
func (s *sound) complete() bool { return s.ended && s.ready == s.frames() }

// decide returns the next decision if that takes neither more frames nor more logits.
func (s *sound) decide() (Decision, bool, error) {
	if s.over() {
		return Decision{}, false, nil
	}
	w := s.next()
	due := w.depends < s.ready || s.complete()
	switch {
	case due && s.gate != nil && !s.gate.open(min(w.depends, s.ready-1)):
		return s.tell(w, true)
	case s.gather(w) && due:
		return s.tell(w, false)
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
func (s *sound) next() streamWindow {
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
func (s *sound) frames() int {
	if reach := s.frame.Window / 2; !s.ended && s.heard < reach {
		return 0
	} else if !s.ended {
		return s.frame.Frames(s.heard - reach)
	}
	return s.frame.Frames(s.heard)
}

// gather sums up the window's rows and reports whether all of them have been computed. Rows before the window are kept as long
// as it may yet turn out to be shorter, the sound's end being near.
func (s *sound) gather(w streamWindow) bool {
	classes := len(s.p)
	for s.sum.next <= w.last {
		at := (s.sum.next - s.first) * classes
		if at >= len(s.logits) {
			return false
		}
		s.sum.push(s.logits[at:][:classes])
	}
	return true
}

// tell returns the decision about w.
func (s *sound) tell(w streamWindow, gated bool) (Decision, bool, error) {
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
	if !Softmax(s.p, s.model.Temperature) {
		return d, true, diverged(d.Start, d.End)
	}
	d.P = s.p
	return d, true, nil
}

// silence returns the probabilities of a decision about nothing.
func (s *sound) silence() []float64 {
	i := slices.Index(s.model.Labels, SilenceLabel)
	if i < 0 {
		return nil
	}
	clear(s.p)
	s.p[i] = 1
	return s.p
}

func (s *sound) seconds(samples int) float64 { return float64(samples) / float64(s.frame.Rate) }

// wants reports whether the flow has something to take.
func (s *sound) wants() bool {
	return s.awake && (s.fed < s.ready || s.complete() && s.fed < s.finish(s.ready))
}

// wanted returns how many frames the flow may take: whole steps, but at the sound's end.
func (s *sound) wanted() int {
	if s.complete() {
		return min(s.finish(s.ready)-s.fed, s.most)
	}
	return min(s.ready-s.fed, s.most)
}

// take takes frames from the framer, as many whole steps as there are or, at the sound's end, what is left. It reports whether
// there were any, and where the flow has to begin anew because it is wanted and has missed too much, the frame from which on.
func (s *sound) take() (took bool, restart int) {
	n := min(s.frames()-s.ready, s.most)
	if !s.ended {
		n -= n % s.step
	}
	if n == 0 {
		return false, 0
	}
	mels := s.frame.Mels
	for i := range n {
		row := s.rows[(s.ready+i)*mels%len(s.rows):][:mels]
		s.framer.Next(row)
		s.model.Norm.Apply(row)
	}
	before := s.ready
	s.ready += n
	s.awake = true
	if s.gate != nil {
		s.gate.take(before, n)
		return true, s.wake(before)
	}
	return true, 0
}

// wake decides whether the flow is wanted for one of the frames from the given one on. Where it has stayed behind, it begins
// so far before them that what it gives for them does not depend on what it has missed; wake returns that frame then.
func (s *sound) wake(frame int) (restart int) {
	s.awake = false
	for f := frame; f < s.ready && !s.awake; f++ {
		s.awake = s.gate.open(f)
	}
	begin := frame - s.rerun()
	if !s.awake || begin <= s.fed {
		return 0
	}
	s.fed = begin
	s.logits, s.first = s.logits[:0], begin/s.row
	s.sum.drop(ceilDiv(begin+s.back, s.row))
	return begin
}

// load gives the flow's i-th sound the next frames, as far as there are so many.
func (s *sound) load(f *flow, i, frames int) {
	mels := s.frame.Mels
	n := min(frames, s.ready-s.fed)
	if n <= 0 {
		return
	}
	at := s.fed * mels % len(s.rows)
	rows := s.rows[at:min(at+n*mels, len(s.rows))]
	f.load(i, 0, rows)
	f.load(i, len(rows)/mels, s.rows[:n*mels-len(rows)]) // the rest is at the ring's beginning
}

// answer takes over what the flow gave for so many frames.
func (s *sound) answer(logits []float32, first, frames int) {
	s.logits, s.first = append(s.logits[:0], logits...), first
	s.run += min(frames, max(0, s.ready-s.fed))
	s.fed += frames
}
