package polynet

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

// LiveStep is a StreamOptions.Step for live sound, in seconds: a little more work than longer steps, and events that much sooner.
const LiveStep = 0.08

const (
	defaultStep = 0.24 // seconds
	longestStep = 10

	// Frames that are computed together at most, unless a step has more: memory grows with them. The first is for sound
	// that is catching up, the second for recordings.
	liveFrames      = 96
	recordingFrames = 288

	mostSounds = 1 << 12 // of a group

	// runFrames is how many frames of a group's sounds are computed together at most: enough rows for weights to be read once, and
	// few enough for activations to stay in the cache.
	runFrames = 256
)

// Stream classifies sound as it arrives, for ever: its memory is as large as the model's window and what its network reaches
// back over, and a second of sound costs about as much as in one run over a whole recording, whose numbers it
// gives. A decision is the network's answer to the rows of its last stage whose frames lie in the decision's window,
// both ends included, as if the sound before the window belonged to it. A Stream is used by one goroutine; many may
// share a Classifier.
type Stream struct {
	group  *StreamGroup
	*sound // its only one
}

// Stream returns a new Stream, or an error that wraps ErrConfig when o makes no sense for the model, and ErrModel when the
// model hears whole clips alone (Config.WholeClip).
func (c *Classifier) Stream(o StreamOptions) (*Stream, error) {
	g, err := c.StreamGroup(1, o)
	if err != nil {
		return nil, err
	}
	return g.only(), nil
}

// only returns a group of one as a Stream.
func (g *StreamGroup) only() *Stream { return &Stream{g, g.sounds[0]} }

// Close gives the Stream's memory back to the device.
func (s *Stream) Close() { s.group.Close() }

// Reset begins a new stream, as if s were new.
func (s *Stream) Reset() { s.group.Reset(0) }

// Push takes the stream's next samples, mono at the model's rate, any number of them. What they decide is computed by Next:
// samples pile up until it is called, so call it until it has no more before the next Push. To push behind Flush
// is a bug and panics.
func (s *Stream) Push(samples []float32) { s.group.Push(0, samples) }

// Flush says that the sound is over: Next gives the decisions that are left, the last of which ends where the sound does.
func (s *Stream) Flush() { s.group.Flush(0) }

// Stats tells what s has done since it began.
func (s *Stream) Stats() StreamStats { return s.group.Stats(0) }

// Next returns the next decision, or false when it takes more sound. An error that wraps ErrDiverged is about this decision
// only, whose P is nil then.
func (s *Stream) Next() (Decision, bool, error) {
	_, d, ok, err := s.group.Next()
	return d, ok, err
}
