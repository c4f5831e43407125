package inference

import (
	"errors"
	"fmt"
	"math"

	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
)

// ErrDiverged marks sound for which a network's numbers grew beyond all bounds, so that it gives no probabilities.
var ErrDiverged = errors.New("the network's answer is not finite")

// Diverged returns the error about the sound from start to end, in seconds.
func Diverged(start, end float64) error {
	return fmt.Errorf("%w from %g to %g s", ErrDiverged, start, end)
}

// StreamOptions are the settings of a Group. The zero value is right for most uses.
type StreamOptions struct {
	// Hop is the time between two decisions in seconds, at most the model's window. It is rounded to whole rows of the
	// network; 0 stands for one row, or with WholeWindows for half a window.
	Hop float64
	// Step is how much sound is computed at once, in seconds, at most 10; 0 stands for 0.24. It is rounded to whole rows
	// of the network. A longer step is cheaper, and decisions come up to a step later. Sound that is pushed in larger
	// pieces is computed in larger pieces.
	Step float64
	// Gate is the level in dB below which sound is silence, 0 dB being that of a square wave of full scale; 0 stands for
	// no gate. While all of a decision's window and lookahead is silence, frame by frame, the network does not run.
	Gate float64
	// WholeWindows is for recordings that are answered window by window: the first decision is about the first whole
	// window, Hop is exact, and as much is computed at once as is there, within bounds.
	WholeWindows bool
}

// LiveStep is a StreamOptions.Step for live sound, in seconds: a little more work than the default, and earlier events.
const LiveStep = 0.08

// Decision is the network's answer for the sound between Start and End.
type Decision struct {
	// Start and End are seconds since the stream began. They are the model's window apart, less at the beginning.
	Start, End float64
	// Used is the end of the sound that had to be pushed before the decision, in seconds since the stream began: End and
	// the lookahead, rounded up to whole steps, but not more than there is.
	Used float64
	// P is each label's probability, in the model's order, valid until the next call. In a gated decision it is 1 for the
	// label _silence_, or nil where the model has no such label.
	P []float64
	// Logits are what P is made of, valid as long; nil where the network did not run or P is not finite.
	Logits []float64
	// Gated reports that all of the sound was silence, so that the network did not run.
	Gated bool
}

// StreamStats counts what a stream has taken and given since it began.
type StreamStats struct {
	Samples   int // pushed
	Frames    int // rows of features in whole steps
	Gated     int // of the Frames, those that the network has not computed because of the gate
	Decisions int
}

const (
	defaultStep = 0.24 // seconds
	maxStep     = 10   // seconds
	maxStreams  = 1 << 12

	// Frames of one stream that are computed at once at most, unless a step has more: memory grows with them.
	maxLiveFrames      = 96 // where live sound is late
	maxRecordingFrames = 288

	// maxGroupFrames is how many frames of all streams of a group are computed at once at most: enough for each weight to
	// be read once for many rows, and few enough for tensors to stay in the cache.
	maxGroupFrames = 256
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
func (t *timing) hold() int {
	return max(device.CeilDiv(t.window, t.features.Hop), t.row) + t.ahead + 1
}

// rerun returns how many frames before a step, in whole steps, an executor that has left out frames has to begin, so
// that decisions of the step do not depend on those that it has left out.
func (t *timing) rerun() int { return device.CeilDiv(t.hold()+t.back+t.row, t.step) * t.step }

// finish returns how many frames, zeros included, an executor takes to compute all rows of a stream of so many.
func (t *timing) finish(frames int) int {
	return (device.CeilDiv(frames, t.row) + t.ahead/t.row) * t.row
}
