package inference

import (
	"math"

	"github.com/polyphon/polyphon/features"
)

// timing is when a stream's decisions are due, and how many frames are computed at once.
type timing struct {
	first, hop      int // the first decision's end, and from one to the next, in samples
	window          int // samples
	back, ahead     int // frames that a row of logits depends on
	row             int // frames a row of logits
	step, maxFrames int // frames that are computed together, and at most
	features        features.Config
}

// timing returns the timing of streams with options o.
func (p *Plan) timing(o StreamOptions) *timing {
	m, row := p.model, p.reach.Stride
	wholeRows := func(seconds float64) int { // of the network, at least one
		return max(1, int(math.Round(seconds*m.Features.FramesPerSecond()/float64(row))))
	}
	if o.Step == 0 {
		o.Step = defaultStep
	}
	t := &timing{
		hop: wholeRows(o.Hop) * row * m.Features.Hop, window: m.WindowSamples(),
		back: p.reach.Before, ahead: p.reach.After, row: row, step: wholeRows(o.Step) * row, features: m.Features,
	}
	t.first = t.hop
	frames := maxLiveFrames
	if o.WholeWindows {
		if o.Hop == 0 {
			o.Hop = m.Window / 2
		}
		t.first, t.hop = t.window, max(1, int(math.Round(o.Hop*float64(m.Features.Rate))))
		frames = maxRecordingFrames
	}
	t.maxFrames = t.step * max(1, frames/t.step)
	return t
}

// rowSamples returns the samples from one row of logits to the next.
func (t *timing) rowSamples() int { return t.row * t.features.Hop }

// hold returns at least how many frames lie between the beginning of a decision's window and the last frame that the
// decision depends on.
func (t *timing) hold() int { return max(ceilDiv(t.window, t.features.Hop), t.row) + t.ahead + 1 }

// rerun returns how many frames before a step, in whole steps, an executor that has left out frames has to begin, so
// that decisions of the step do not depend on those that it has left out.
func (t *timing) rerun() int { return ceilDiv(t.hold()+t.back+t.row, t.step) * t.step }

// finish returns how many frames, zeros included, an executor takes to compute all rows of a stream of so many.
func (t *timing) finish(frames int) int { return (ceilDiv(frames, t.row) + t.ahead/t.row) * t.row }
