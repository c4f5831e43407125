package inference

import (
	"fmt"
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// Group is Streams that share one model and their steps: those that have a step of sound ready are computed together, in
// products of so many more rows, which costs less than each by itself, above all where steps are short. Each gives
// the decisions of a Stream of its own, whatever the others contain. A Group is used by one goroutine.
//
// Streams are numbered from 0. Next decides which are computed together: so push what all have received, and call it until it has no
// more, once a step or so. Streams that have no full step ready wait for the next time and hold up none of the others.
type Group struct {
	plan    *Plan
	streams []*streamInput
	history *history
	size    capacity
	narrow  *weights // for a step of all streams; nil until it is used, as is wide
	wide    *weights // for more of one stream

	at  int   // the stream that may have a decision
	due []int // the streams that are computed next
}

// Group returns a Group of n streams at their beginnings, or an error as Stream does.
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
	g := &Group{
		plan: p, history: newHistory(p, n),
		size: capacity{min(n, max(1, maxGroupFrames/t.step)), t.step, t.most},
	}
	for range n {
		g.streams = append(g.streams, newStreamInput(p, t, o.Gate))
	}
	return g, nil
}

// timing returns when a stream's decisions are due, and how much of it is computed at once.
func (p *Plan) timing(o StreamOptions) *timing {
	m := p.model
	if o.Step == 0 {
		o.Step = defaultStep
	}
	row := p.reach.Stride
	wholeRows := func(seconds float64) int { // of the network, at least one
		return max(1, int(math.Round(seconds*m.Features.FramesPerSecond()/float64(row))))
	}
	t := &timing{window: m.WindowSamples(), features: m.Features, back: p.reach.Before, ahead: p.reach.After, row: row}
	t.step = wholeRows(o.Step) * row
	frames := maxLiveFrames
	t.hop = wholeRows(o.Hop) * row * m.Features.Hop
	t.first = t.hop
	if o.WholeWindows {
		if o.Hop == 0 {
			o.Hop = m.Window / 2
		}
		frames, t.first = maxRecordingFrames, t.window
		t.hop = max(1, int(math.Round(o.Hop*float64(m.Features.Rate))))
	}
	t.most = t.step * max(1, frames/t.step)
	return t
}

// Close gives the group's memory back to the device.
func (g *Group) Close() { g.history.close() }

// Len returns the number of streams.
func (g *Group) Len() int { return len(g.streams) }

// Reset begins a new stream in place of stream i.
func (g *Group) Reset(i int) {
	g.visit(i).reset()
	g.history.restart(i, 0)
}

// Push takes the next samples of stream i, mono at the model's rate, any number of them. They pile up until Next is called. To push
// after Flush is a bug and panics.
func (g *Group) Push(i int, samples []float32) { g.visit(i).push(samples) }

// Flush says that stream i has ended: Next gives the decisions that are left, the last of which ends where the sound does.
func (g *Group) Flush(i int) { g.visit(i).flush() }

// Stats returns what has been done with stream i since it began.
func (g *Group) Stats(i int) StreamStats { return g.streams[i].stats() }

// visit returns stream i, which may have a decision from now on.
func (g *Group) visit(i int) *streamInput {
	g.at = min(g.at, i)
	return g.streams[i]
}

// Next returns the next decision and the number of the stream that it is about, or false when all take more sound. Those of
// one stream come in order. An error that wraps ErrDiverged is about this decision only, whose P is nil then.
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
func (g *Group) compute() bool {
	g.due = g.due[:0]
	any := false
	for i, s := range g.streams {
		if s.over() {
			continue
		}
		if !s.needsRun() {
			took, restart := s.takeFrames()
			if restart > 0 {
				g.history.restart(i, restart)
			}
			any = any || took
		}
		if s.needsRun() {
			g.due = append(g.due, i)
		}
	}
	for due := range slices.Chunk(g.due, g.size.streams) {
		g.run(due)
		any = true
	}
	return any
}

// run computes frames of the streams: a step of each, or of a single one what is there.
func (g *Group) run(streams []int) {
	frames := g.size.step
	if len(streams) == 1 {
		frames = g.streams[streams[0]].wanted()
	}
	e := g.plan.takeExecutor(g.size)
	e.prepare(runSize{len(streams), frames})
	for i, n := range streams {
		s := g.streams[n]
		s.load(e, i, frames)
		if s.complete() {
			g.history.cursors[n].end = s.ready
		}
	}
	e.compute(g.weightsFor(frames), g.history, streams)
	for i, n := range streams {
		logits, first := e.rowsOf(i)
		g.streams[n].takeLogits(logits, first, frames)
	}
	g.plan.returnExecutor(g.size, e)
}

// weightsFor returns the weights that are faster for so many frames of a stream.
func (g *Group) weightsFor(frames int) *weights {
	w, run := &g.narrow, runSize{g.size.streams, g.size.step}
	if frames > g.size.step {
		w, run = &g.wide, runSize{1, g.size.most}
	}
	if *w == nil {
		*w = g.plan.weightsFor(run)
	}
	return *w
}
