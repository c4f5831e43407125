package inference

import (
	"slices"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/polynet"
)

// streamInput is one stream without the network: it computes rows of features from samples, and decisions from the rows
// of logits that an executor computes from the features.
type streamInput struct {
	model  *polynet.Model
	framer *features.Framer
	gate   *levelGate  // nil without one
	sum    *slidingSum // of logits
	*timing
	progress
	rows   []float32 // a ring: the latest frames, normalised
	logits []float32 // of the latest run: rows from firstRow on
	p      []float64 // of the latest decision
	mean   []float64 // its logits
}

// progress is what has been done with a stream.
type progress struct {
	pushed, decided int // samples: pushed, and where the latest decision's window ends
	ended           bool
	// Frames: ready have been made, in whole steps; the executor has passed fed, of which it has computed run. fed stops
	// while the gate is closed, and at the stream's end the executor takes zeros after the last frame.
	ready, fed, run int
	skip            int  // frames that the framer makes before those that count (Part)
	active          bool // the latest step needs the network
	firstRow        int
	decisions       int
}

// newStreamInput returns a stream at its beginning.
func newStreamInput(p *Plan, t *timing, gate float64) *streamInput {
	classes := len(p.model.Labels)
	s := &streamInput{
		model: p.model, framer: p.extractor.Framer(), timing: t, p: make([]float64, classes), mean: make([]float64, classes),
		sum:    newSlidingSum((t.window+t.hop)/t.rowSamples()+2, classes),
		logits: make([]float32, 0, t.maxFrames/t.row*classes),
	}
	room := t.maxFrames
	if gate != 0 {
		room += t.rerun()
		s.gate = newLevelGate(gate, t.features.Hop, t.hold(), t.maxFrames+1)
	}
	s.rows = make([]float32, room*t.features.Mels)
	s.reset()
	return s
}

func (s *streamInput) reset() {
	s.framer.Reset()
	if s.gate != nil {
		s.gate.reset()
	}
	s.sum.reset()
	s.progress, s.logits = progress{}, s.logits[:0]
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
		s.gate.endFrame()
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

// decide returns the next decision if that needs neither more frames nor more logits.
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

// next returns the window of the next decision. None extends past the end of a stream that has ended.
func (s *streamInput) next() decisionWindow {
	w := decisionWindow{end: s.decided + s.hop}
	if s.decided == 0 {
		w.end = s.first
	}
	if s.ended {
		w.end = min(w.end, s.pushed)
	}
	w.start = max(0, w.end-s.window)
	w.last = w.end / s.rowSamples()
	w.first = min(device.CeilDiv(w.start, s.rowSamples()), w.last) // rows may lie further apart than a window is long
	w.depends = max(w.last*s.row+s.ahead, device.CeilDiv(w.end, s.features.Hop))
	return w
}

// frames returns how many frames the pushed samples complete.
func (s *streamInput) frames() int {
	if s.ended {
		return s.features.Frames(s.pushed)
	}
	if reach := s.features.Window / 2; s.pushed >= reach {
		return s.features.Frames(s.pushed - reach)
	}
	return 0
}

// gather adds the window's rows to the sum and reports whether all of them have been computed. It drops none: before
// the stream's end is known, the window may still turn out to end earlier, and so to begin earlier.
func (s *streamInput) gather(w decisionWindow) bool {
	classes := len(s.p)
	for s.sum.next <= w.last {
		at := (s.sum.next - s.firstRow) * classes
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
	steps := device.CeilDiv(w.depends+1, s.step)
	used := min((steps*s.step-1)*s.features.Hop+s.features.Window/2, s.pushed)
	d := Decision{Start: s.seconds(w.start), End: s.seconds(w.end), Used: s.seconds(used), Gated: gated}
	if gated {
		if i := slices.Index(s.model.Labels, polynet.SilenceLabel); i >= 0 {
			clear(s.p)
			s.p[i], d.P = 1, s.p
		}
		return d, true, nil
	}
	s.sum.mean(s.mean)
	copy(s.p, s.mean)
	if !s.model.Probabilities(s.p) {
		return d, true, Diverged(d.Start, d.End)
	}
	d.P, d.Logits = s.p, s.mean
	return d, true, nil
}

func (s *streamInput) seconds(samples int) float64 {
	return float64(samples) / float64(s.features.Rate)
}

// needsRun reports whether there are frames for the executor.
func (s *streamInput) needsRun() bool { return s.active && s.wanted() > 0 }

// wanted returns how many frames the executor may take: whole steps, but at the stream's end.
func (s *streamInput) wanted() int {
	end := s.ready
	if s.complete() {
		end = s.finish(s.ready)
	}
	return min(end-s.fed, s.maxFrames)
}

// takeFrames takes frames from the framer: as many whole steps as there are or, at the stream's end, what is left. It
// reports whether there were any, and as activate does where the executor has to begin anew.
func (s *streamInput) takeFrames() (took bool, restart int) {
	n := min(s.frames()-s.ready, s.maxFrames)
	if !s.ended {
		n -= n % s.step
	}
	if n == 0 {
		return false, 0
	}
	mels := s.features.Mels
	for ; s.skip > 0; s.skip-- {
		s.framer.Next(s.rows)
	}
	for i := range n {
		row := s.rows[(s.ready+i)*mels%len(s.rows):][:mels]
		s.framer.Next(row)
		s.model.Norm.Apply(row)
	}
	before := s.ready
	s.ready += n
	s.active = true
	if s.gate != nil {
		s.gate.take(before, n)
		return true, s.activate(before)
	}
	return true, 0
}

// activate sets whether the frames from the given one on need the network. If they do and the executor has left out
// frames that they depend on, it has to begin anew at the returned frame, else that is 0.
func (s *streamInput) activate(frame int) (restart int) {
	s.active = false
	for f := frame; f < s.ready && !s.active; f++ {
		s.active = s.gate.open(f)
	}
	begin := frame - s.rerun()
	if !s.active || begin <= s.fed {
		return 0
	}
	s.fed = begin
	s.logits, s.firstRow = s.logits[:0], begin/s.row
	s.sum.drop(device.CeilDiv(begin+s.back, s.row))
	return begin
}

// load loads the next frames, or as many as there are, as those of the run's i-th stream.
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

// takeLogits takes the logits of a run over so many frames.
func (s *streamInput) takeLogits(logits []float32, first, frames int) {
	s.logits, s.firstRow = append(s.logits[:0], logits...), first
	s.run += min(frames, max(0, s.ready-s.fed))
	s.fed += frames
}
