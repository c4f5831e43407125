package inference

import (
	"slices"

	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// streamInput is all of one stream but the network: it makes rows of features of samples, and decisions of the rows of logits
// that an executor makes of those.
type streamInput struct {
	model  *polynet.Model
	framer *features.Framer
	gate   *levelGate  // nil without one
	sum    *slidingSum // of logits
	*timing

	pushed, decided int // samples: pushed, and where the latest decision's window ends
	ended           bool
	// Frames: ready are in whole steps, of these the executor has passed fed, and of those it has computed run. While the
	// gate is shut, fed lags behind. At the stream's end the executor takes zeros after the last frame.
	ready, fed, run int
	awake           bool      // the network is needed for the latest step
	rows            []float32 // a ring: the latest frames, normalised
	logits          []float32 // of the latest run: rows from first on
	first           int

	decisions int
	p         []float64
}

// timing says when what is due.
type timing struct {
	first, hop  int // the first decision's end, and from one to the next, in samples
	window      int // samples
	back, ahead int // frames that a row of logits depends on
	row         int // frames a row of logits
	step, most  int // frames that are computed together, and at most
	features    features.Config
}

// newStreamInput returns a stream at its beginning.
func newStreamInput(p *Plan, t *timing, gate float64) *streamInput {
	classes := len(p.model.Labels)
	s := &streamInput{
		model: p.model, framer: p.extractor.Framer(), timing: t, p: make([]float64, classes),
		sum:    newSlidingSum((t.window+t.hop)/t.rowSamples()+2, classes),
		logits: make([]float32, 0, t.most/t.row*classes),
	}
	room := t.most
	if gate != 0 {
		room += t.rerun()
		s.gate = newLevelGate(gate, t.features.Hop, t.hold(), t.most+1)
	}
	s.rows = make([]float32, room*t.features.Mels)
	s.reset()
	return s
}

// rowSamples returns the samples from one row of logits to the next.
func (t *timing) rowSamples() int { return t.row * t.features.Hop }

// hold returns how many frames before the latest one that a decision depends on its window begins, or more.
func (t *timing) hold() int { return max(ceilDiv(t.window, t.features.Hop), t.row) + t.ahead + 1 }

// rerun returns how many frames before a step, in whole steps, an executor has to begin so that what it gives for the step does
// not depend on what it has missed: all of a decision depends on no more.
func (t *timing) rerun() int { return ceilDiv(t.hold()+t.back+t.row, t.step) * t.step }

// finish returns how many frames, zeros included, an executor takes of a stream of so many, so that it gives all rows.
func (t *timing) finish(frames int) int { return (ceilDiv(frames, t.row) + t.ahead/t.row) * t.row }

func (s *streamInput) reset() {
	s.framer.Reset()
	if s.gate != nil {
		s.gate.reset()
	}
	s.sum.reset()
	s.pushed, s.decided, s.ended = 0, 0, false
	s.ready, s.fed, s.run = 0, 0, 0
	s.awake = false
	s.logits, s.first = s.logits[:0], 0
	s.decisions = 0
}

func (s *streamInput) push(samples []float32) {
	s.framer.Push(samples)
	if s.gate != nil {
		s.gate.push(samples)
	}
	s.pushed += len(samples)
}

func (s *streamInput) flush() {
	s.framer.Flush()
	if s.gate != nil && !s.ended {
		s.gate.close()
	}
	s.ended = true
}

func (s *streamInput) stats() StreamStats {
	return StreamStats{Samples: s.pushed, Frames: s.ready, Gated: s.ready - s.run, Decisions: s.decisions}
}

// over reports whether the last decision has been made.
func (s *streamInput) over() bool { return s.ended && s.decided >= s.pushed }

// complete reports whether all of the stream's frames are ready, after its end.
func (s *streamInput) complete() bool { return s.ended && s.ready == s.frames() }

// decide returns the next decision if that takes neither more frames nor more logits.
func (s *streamInput) decide() (Decision, bool, error) {
	if s.over() {
		return Decision{}, false, nil
	}
	w := s.next()
	due := w.depends < s.ready || s.complete()
	switch {
	case due && s.gate != nil && !s.gate.open(min(w.depends, s.ready-1)):
		return s.decision(w, true)
	case s.gather(w) && due:
		return s.decision(w, false)
	}
	return Decision{}, false, nil
}

// decisionWindow is what a decision is about.
type decisionWindow struct {
	start, end  int // samples
	first, last int // rows of logits
	depends     int // the last frame that matters, if there is one
}

// next returns the window of the next decision. Once the stream has ended, none reaches beyond.
func (s *streamInput) next() decisionWindow {
	w := decisionWindow{end: s.decided + s.hop}
	if s.decided == 0 {
		w.end = s.timing.first
	}
	if s.ended {
		w.end = min(w.end, s.pushed)
	}
	w.start = max(0, w.end-s.window)
	w.last = w.end / s.rowSamples()
	w.first = min(ceilDiv(w.start, s.rowSamples()), w.last) // rows may lie further apart than a window is long
	w.depends = max(w.last*s.row+s.ahead, ceilDiv(w.end, s.features.Hop))
	return w
}

// frames returns how many frames the samples make that have been pushed.
func (s *streamInput) frames() int {
	if reach := s.features.Window / 2; !s.ended && s.pushed < reach {
		return 0
	} else if !s.ended {
		return s.features.Frames(s.pushed - reach)
	}
	return s.features.Frames(s.pushed)
}

// gather adds the window's rows to the sum and reports whether all of them have been computed. Rows before the window are kept as
// long as it may yet turn out to be shorter, the stream's end being near.
func (s *streamInput) gather(w decisionWindow) bool {
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

// decision returns the decision about w.
func (s *streamInput) decision(w decisionWindow, gated bool) (Decision, bool, error) {
	s.decided = w.end
	s.decisions++
	s.sum.drop(w.first)
	steps := ceilDiv(w.depends+1, s.step)
	used := min((steps*s.step-1)*s.features.Hop+s.features.Window/2, s.pushed)
	d := Decision{Start: s.seconds(w.start), End: s.seconds(w.end), Used: s.seconds(used), Gated: gated}
	if gated {
		d.P = s.silence()
		return d, true, nil
	}
	s.sum.mean(s.p)
	if !polynet.Softmax(s.p, s.model.Temperature) {
		return d, true, Diverged(d.Start, d.End)
	}
	d.P = s.p
	return d, true, nil
}

// silence returns the probabilities of a decision about silence.
func (s *streamInput) silence() []float64 {
	i := slices.Index(s.model.Labels, polynet.SilenceLabel)
	if i < 0 {
		return nil
	}
	clear(s.p)
	s.p[i] = 1
	return s.p
}

func (s *streamInput) seconds(samples int) float64 {
	return float64(samples) / float64(s.features.Rate)
}

// needsRun reports whether there are frames for the executor.
func (s *streamInput) needsRun() bool {
	return s.awake && (s.fed < s.ready || s.complete() && s.fed < s.finish(s.ready))
}

// wanted returns how many frames the executor may take: whole steps, but at the stream's end.
func (s *streamInput) wanted() int {
	if s.complete() {
		return min(s.finish(s.ready)-s.fed, s.most)
	}
	return min(s.ready-s.fed, s.most)
}

// takeFrames takes frames from the framer, as many whole steps as there are or, at the stream's end, what is left. It reports
// whether there were any, and where the executor has to begin anew because it is needed and has missed too much, the frame
// from which on.
func (s *streamInput) takeFrames() (took bool, restart int) {
	n := min(s.frames()-s.ready, s.most)
	if !s.ended {
		n -= n % s.step
	}
	if n == 0 {
		return false, 0
	}
	mels := s.features.Mels
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

// wake decides whether the network is needed for one of the frames from the given one on. Where it has stayed behind, it begins
// so far before them that what it gives for them does not depend on what it has missed; wake returns that frame then.
func (s *streamInput) wake(frame int) (restart int) {
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

// load gives the executor's i-th stream the next frames, as far as there are so many.
func (s *streamInput) load(e *streamExecutor, i, frames int) {
	mels := s.features.Mels
	n := min(frames, s.ready-s.fed)
	if n <= 0 {
		return
	}
	at := s.fed * mels % len(s.rows)
	rows := s.rows[at:min(at+n*mels, len(s.rows))]
	e.load(i, 0, rows)
	e.load(i, len(rows)/mels, s.rows[:n*mels-len(rows)]) // the rest is at the ring's beginning
}

// takeLogits takes over what a run over so many frames gave.
func (s *streamInput) takeLogits(logits []float32, first, frames int) {
	s.logits, s.first = append(s.logits[:0], logits...), first
	s.run += min(frames, max(0, s.ready-s.fed))
	s.fed += frames
}
