package polynet

import (
	"fmt"
	"math"
	"slices"
)

// StreamGroup is Streams that share one model and their steps: those that have a step of sound ready are computed together, in
// products of so many more rows, which costs less than each by itself, above all where steps are short. Each
// gives the decisions of a Stream of its own, whatever the others hear. A StreamGroup is used by one goroutine; many may
// share a Classifier.
//
// Sounds are numbered from 0. Next decides which are computed together: so push what all have got, and call it until it has no
// more, once a step or so. Sounds that have no full step ready wait for the next time and hold nobody up.
type StreamGroup struct {
	c      *Classifier
	sounds []*sound
	tide   *tide
	shape  flowShape
	narrow *Plan // for a step of all sounds; nil until it is used, as is wide
	wide   *Plan // for more of one sound

	at  int   // the sound that may have a decision
	due []int // the sounds that are computed next
}

// StreamGroup returns a group of n sounds at their beginnings, or an error as Stream does.
func (c *Classifier) StreamGroup(n int, o StreamOptions) (*StreamGroup, error) {
	m := c.model
	switch {
	case m.Net.WholeClip():
		return nil, fmt.Errorf("%w: its %s blocks have norms over whole clips, so it cannot answer for a stream", ErrModel, m.Net.Block)
	case n < 1 || n > mostSounds:
		return nil, fmt.Errorf("%w: a group of %d streams", ErrConfig, n)
	case !(o.Hop >= 0 && o.Hop <= m.Window):
		return nil, fmt.Errorf("%w: a decision every %g s about windows of %g s", ErrConfig, o.Hop, m.Window)
	case !(o.Step >= 0 && o.Step <= longestStep):
		return nil, fmt.Errorf("%w: steps of %g s", ErrConfig, o.Step)
	case !(o.Gate <= 0) || math.IsInf(o.Gate, 0):
		return nil, fmt.Errorf("%w: a gate of %g dB", ErrConfig, o.Gate)
	}
	_, _, row := m.Net.reach()
	hop := c.wholeRows(o.Hop) * row * m.Features.Hop
	return c.streamGroup(n, o, hop, hop, liveFrames), nil
}

// wholeRows returns how many rows of the last stage are nearest to so many seconds, at least one.
func (c *Classifier) wholeRows(seconds float64) int {
	_, _, row := c.model.Net.reach()
	return max(1, int(math.Round(seconds*c.model.Features.FramesPerSecond()/float64(row))))
}

// streamGroup returns a StreamGroup whose first decisions end at sample begin, and the others each hop samples later. Of a sound
// alone it computes so many frames together, if they are there, or a few less.
func (c *Classifier) streamGroup(n int, o StreamOptions, begin, hop, frames int) *StreamGroup {
	m := c.model
	if o.Step == 0 {
		o.Step = defaultStep
	}
	t := &streamTimes{begin: begin, hop: hop, window: m.windowSamples(), frame: m.Features}
	t.back, t.ahead, t.row = m.Net.reach()
	t.step = c.wholeRows(o.Step) * t.row
	t.most = t.step * max(1, frames/t.step)
	g := &StreamGroup{c: c, tide: c.plan.newTide(n), shape: flowShape{min(n, max(1, runFrames/t.step)), t.step, t.most}}
	for range n {
		g.sounds = append(g.sounds, newSound(c, t, o.Gate))
	}
	return g
}

// Close gives the group's memory back to the device.
func (g *StreamGroup) Close() { g.tide.close() }

// Len returns the number of sounds.
func (g *StreamGroup) Len() int { return len(g.sounds) }

// Reset begins a new sound in place of sound i.
func (g *StreamGroup) Reset(i int) {
	g.look(i).reset()
	g.tide.restart(i, 0)
}

// Push takes the next samples of sound i, mono at the model's rate, any number of them. They pile up until Next is called. To push
// behind Flush is a bug and panics.
func (g *StreamGroup) Push(i int, samples []float32) { g.look(i).push(samples) }

// Flush says that sound i is over: Next gives the decisions that are left, the last of which ends where the sound does.
func (g *StreamGroup) Flush(i int) { g.look(i).flush() }

// Stats tells what has been done with sound i since it began.
func (g *StreamGroup) Stats(i int) StreamStats { return g.sounds[i].stats() }

// look returns sound i, which may have a decision from now on.
func (g *StreamGroup) look(i int) *sound {
	g.at = min(g.at, i)
	return g.sounds[i]
}

// Next returns the next decision and the number of the sound that it is about, or false when all take more sound. Those of one
// sound come in order. An error that wraps ErrDiverged is about this decision only, whose P is nil then.
func (g *StreamGroup) Next() (i int, d Decision, ok bool, err error) {
	for {
		for ; g.at < len(g.sounds); g.at++ {
			if d, ok, err := g.sounds[g.at].decide(); ok {
				return g.at, d, true, err
			}
		}
		g.at = 0
		if !g.compute() {
			return 0, Decision{}, false, nil
		}
	}
}

// compute does the next piece of work and reports whether there was any.
func (g *StreamGroup) compute() bool {
	g.due = g.due[:0]
	did := false
	for i, s := range g.sounds {
		if s.over() {
			continue
		}
		if !s.wants() {
			took, restart := s.take()
			if restart > 0 {
				g.tide.restart(i, restart)
			}
			did = did || took
		}
		if s.wants() {
			g.due = append(g.due, i)
		}
	}
	for due := range slices.Chunk(g.due, g.shape.sounds) {
		g.feed(due)
		did = true
	}
	return did
}

// feed runs the flow over frames of the sounds: a step of each, or of a single one what is there.
func (g *StreamGroup) feed(sounds []int) {
	frames := g.shape.step
	if len(sounds) == 1 {
		frames = g.sounds[sounds[0]].wanted()
	}
	f := g.c.takeFlow(g.shape)
	f.begin(len(sounds), frames)
	for i, n := range sounds {
		s := g.sounds[n]
		s.load(f, i, frames)
		if s.complete() {
			g.tide.end(n, s.ready)
		}
	}
	f.run(g.planFor(frames), g.tide, sounds)
	for i, n := range sounds {
		logits, first := f.answer(i)
		g.sounds[n].answer(logits, first, frames)
	}
	g.c.returnFlow(g.shape, f)
}

// planFor returns the plan that is faster for so many frames of a sound.
func (g *StreamGroup) planFor(frames int) *Plan {
	plan, sounds, n := &g.narrow, g.shape.sounds, g.shape.step
	if frames > g.shape.step {
		plan, sounds, n = &g.wide, 1, g.shape.most
	}
	if *plan == nil {
		*plan = g.c.planFor(sounds, n)
	}
	return *plan
}
