package inference

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// Group classifies one or more streams of sound as it arrives, for any length of time. Its memory depends only on their
// number and the model's window and context, and a second of sound costs about as much as in one run over a whole
// recording, whose numbers it gives. A decision is about the mean of the network's rows of logits whose frames lie in
// its window, both ends included; sound around the window is their context. Streams of a group are computed together,
// which costs less than a group for each, above all where steps are short, and changes none of their decisions.
//
// Streams are numbered from 0. Next computes a step of all streams that have one ready: so push what all have received
// and call it until it has no more, once a step or so. A stream without a full step waits for the next time and delays
// none of the others. A Group is used by one goroutine.
type Group struct {
	plan    *Plan
	streams []*streamInput
	history *history
	size    capacity
	narrow  *weights // for a step of all streams
	wide    *weights // for more of one stream

	at  int   // no stream before this one has a decision ready
	due []int // streams that are computed next
}

// Group returns a Group of n streams at their beginnings, 1 to 4096, or an error that wraps polynet.ErrConfig when n or
// o makes no sense for the model.
func (p *Plan) Group(n int, o StreamOptions) (*Group, error) {
	m := p.model
	switch {
	case n < 1 || n > maxStreams:
		return nil, fmt.Errorf("%w: a group of %d streams, 1 to %d are possible", polynet.ErrConfig, n, maxStreams)
	case !(o.Hop >= 0 && o.Hop <= m.Window):
		return nil, fmt.Errorf("%w: a hop of %g s for windows of %g s", polynet.ErrConfig, o.Hop, m.Window)
	case !(o.Step >= 0 && o.Step <= maxStep):
		return nil, fmt.Errorf("%w: steps of %g s", polynet.ErrConfig, o.Step)
	case !(o.Gate <= 0) || math.IsInf(o.Gate, 0):
		return nil, fmt.Errorf("%w: a gate of %g dB", polynet.ErrConfig, o.Gate)
	}
	t := p.timing(o)
	size := capacity{min(n, max(1, maxGroupFrames/t.step)), t.step, t.maxFrames}
	g := &Group{
		plan: p, history: newHistory(p, n), size: size,
		narrow: p.takeWeights(runSize{size.streams, size.step}), wide: p.takeWeights(runSize{1, size.maxFrames}),
	}
	for range n {
		g.streams = append(g.streams, newStreamInput(p, t, o.Gate))
	}
	return g, nil
}

// Close gives the group's memory back to the device, and weights that no other group uses. A second call does nothing.
func (g *Group) Close() {
	if g.history == nil {
		return
	}
	g.history.close()
	g.history = nil
	g.plan.returnWeights(g.narrow)
	g.plan.returnWeights(g.wide)
}

// Reset begins a new stream in place of stream i.
func (g *Group) Reset(i int) {
	g.visit(i).reset()
	g.history.restart(i, 0)
}

// Push adds any number of samples to stream i, mono at the model's rate and finite. They are kept until Next computes
// with them: so call Next until it has no more before the next Push. To push after Flush is a bug and panics.
func (g *Group) Push(i int, samples []float32) { g.visit(i).push(samples) }

// Flush ends stream i: Next gives its remaining decisions, the last of which ends where the sound does.
func (g *Group) Flush(i int) { g.visit(i).flush() }

// Stats returns the counts of stream i since it began.
func (g *Group) Stats(i int) StreamStats { return g.streams[i].stats() }

// visit returns stream i, which may have a decision from now on.
func (g *Group) visit(i int) *streamInput {
	g.at = min(g.at, i)
	return g.streams[i]
}

// Next returns the next decision and the number of its stream, or false when all streams need more sound. Those of one
// stream come in order. An error that wraps ErrDiverged is about this decision only, whose P is nil then.
func (g *Group) Next() (i int, d Decision, ok bool, err error) {
	for {
		for ; g.at < len(g.streams); g.at++ {
			if d, ok, err := g.streams[g.at].decide(); ok {
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
func (g *Group) compute() (worked bool) {
	g.due = g.due[:0]
	for i, s := range g.streams {
		if s.over() {
			continue
		}
		if !s.needsRun() {
			took, restart := s.takeFrames()
			if restart > 0 {
				g.history.restart(i, restart)
			}
			worked = worked || took
		}
		if s.needsRun() {
			g.due = append(g.due, i)
		}
	}
	for due := range slices.Chunk(g.due, g.size.streams) {
		g.run(due)
		worked = true
	}
	return worked
}

// run computes a step of each of the streams, or all ready frames of a single one.
func (g *Group) run(streams []int) {
	frames, w := g.size.step, g.narrow
	if len(streams) == 1 {
		frames = g.streams[streams[0]].wanted()
	}
	if frames > g.size.step {
		w = g.wide
	}
	e := g.plan.takeExecutor(g.size)
	defer g.plan.returnExecutor(e)
	e.prepare(runSize{len(streams), frames})
	for i, n := range streams {
		s := g.streams[n]
		s.load(e, i, frames)
		if s.complete() {
			g.history.cursors[n].end = s.ready
		}
	}
	e.compute(w.packed(g.plan), g.history, streams)
	for i, n := range streams {
		c := &g.history.cursors[n]
		g.streams[n].takeLogits(e.logitsOf(i), c.row(e.last()), frames)
		c.next += frames
	}
}
