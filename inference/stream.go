package inference

import (
	"errors"
	"fmt"
)

// ErrDiverged marks sound for which a network's numbers grew beyond all bounds, so that it gives no probabilities.
var ErrDiverged = errors.New("the network's answer is not finite")

// Diverged returns the error about the sound from start to end, in seconds.
func Diverged(start, end float64) error {
	return fmt.Errorf("%w from %g to %g s", ErrDiverged, start, end)
}

// StreamOptions says how a Stream works. The zero value is right for most uses.
type StreamOptions struct {
	// Hop is the time between two decisions in seconds, at most the model's window. It is rounded to whole rows of the
	// network; 0 stands for one row, or with WholeWindows for half a window.
	Hop float64
	// Step is how much sound is computed at once, in seconds, at most 10; 0 stands for 0.24. It is rounded to whole rows of
	// the network. A longer step is cheaper, and decisions come up to a step later. Sound that is pushed in larger
	// pieces is computed in larger pieces.
	Step float64
	// Gate is the level in dB below which sound is silence, 0 dB being that of a square wave of full scale; 0 stands for
	// no gate. While all of a decision's window and lookahead is silence, frame by frame, the network does not run.
	Gate float64
	// WholeWindows is for recordings that are answered window by window: the first decision is about the first whole window, Hop is
	// exact, and as much is computed at once as is there, within bounds.
	WholeWindows bool
}

// LiveStep is a StreamOptions.Step for live sound, in seconds: a little more work than longer steps, and earlier events.
const LiveStep = 0.08

// Decision is what a Stream says of the sound between Start and End.
type Decision struct {
	// Start and End are seconds since the stream began. They are the model's window apart, less at the beginning.
	Start, End float64
	// Used is how much sound the decision needed, in seconds: up to End and the lookahead, rounded up to whole steps, but
	// not more than there is.
	Used float64
	// P is each label's probability, in the model's order. It is valid until the next call. Of a gated decision it is 1 for
	// the label _silence_; it is nil where the model has no such label.
	P []float64
	// Gated says that all of the sound was silence, so that the network did not run.
	Gated bool
}

// StreamStats counts what a Stream has done since it began.
type StreamStats struct {
	Samples   int // pushed
	Frames    int // rows of features, without those that wait for a step to be full
	Gated     int // of the Frames, those that the network has not computed because of the gate
	Decisions int
}

const (
	defaultStep = 0.24 // seconds
	maxStep     = 10   // seconds
	maxStreams  = 1 << 12

	// Frames of one stream that are computed at once at most, unless a step has more: memory grows with them. The first
	// is for live sound that is catching up.
	maxLiveFrames      = 96
	maxRecordingFrames = 288

	// maxGroupFrames is how many frames of a group's streams are computed at once at most: enough rows for weights to be read
	// once, and few enough for tensors to stay in the cache.
	maxGroupFrames = 256
)

// Stream classifies sound as it arrives, without end: its memory is as large as the model's window and what its network
// reaches back over, and a second of sound costs about as much as in one run over a whole recording, whose numbers it
// gives. A decision is the network's answer to those of its last rows whose frames lie in the decision's window, both
// ends included, as if the sound before the window belonged to it. A Stream is used by one goroutine.
type Stream struct{ group *Group }

// Stream returns a new Stream, or an error that wraps polynet.ErrConfig when o makes no sense for the model.
func (p *Plan) Stream(o StreamOptions) (*Stream, error) {
	g, err := p.Group(1, o)
	if err != nil {
		return nil, err
	}
	return &Stream{g}, nil
}

// Close gives the Stream's memory back to the device.
func (s *Stream) Close() { s.group.Close() }

// Reset begins a new stream, as if s were new.
func (s *Stream) Reset() { s.group.Reset(0) }

// Push takes the stream's next samples, mono at the model's rate, any number of them. What they decide is computed by Next:
// samples pile up until it is called, so call it until it has no more before the next Push. To push after Flush
// is a bug and panics.
func (s *Stream) Push(samples []float32) { s.group.Push(0, samples) }

// Flush says that the sound has ended: Next gives the decisions that are left, the last of which ends where the sound does.
func (s *Stream) Flush() { s.group.Flush(0) }

// Stats returns what s has done since it began.
func (s *Stream) Stats() StreamStats { return s.group.Stats(0) }

// Next returns the next decision, or false when it takes more sound. An error that wraps ErrDiverged is about this decision
// only, whose P is nil then.
func (s *Stream) Next() (Decision, bool, error) {
	_, d, ok, err := s.group.Next()
	return d, ok, err
}
