package datasets

import (
	"errors"
	"math"

	"github.com/polyphon/polyphon/audio"
)

// Context says what surrounds the window that an example is about: in live sound, other sound comes before and after.
type Context struct {
	// Before and After are the seconds of sound around the window. In training, each batch draws how much of it lies
	// before the windows, at least a quarter of Before: where a sound begins must not indicate where its words are.
	Before float64 `json:"before,omitempty"`
	After  float64 `json:"after,omitempty"`
	Share  float64 `json:"share,omitempty"` // of an epoch's batches whose examples have a context
	// Fluent is the share of those examples, in training, whose neighbours follow closely, as words do in fluent speech:
	// what is quiet at the clips' beginnings and ends is left out.
	Fluent float64 `json:"fluent,omitempty"`
}

// Validate returns an error wrapping ErrOptions that names the settings out of range.
func (c Context) Validate() error {
	return errors.Join(
		inRange("seconds of context before", 0, c.Before, 0, maxContext),
		inRange("seconds of context after", 0, c.After, 0, maxContext),
		inRange("share of examples in context", 0, c.Share, 0, 1),
		inRange("share of fluent speech", 0, c.Fluent, 0, 1))
}

const (
	maxContext   = 60   // seconds
	neighbourGap = 0.3  // seconds between two neighbouring clips, at most; clips have silence of their own
	pauses       = 0.25 // probability of a pause instead of a neighbour
	pauseSeconds = 1.0  // of a pause, at most
	fluentGap    = 0.12 // seconds between neighbours in fluent speech, at most
	noContext    = -1   // instead of the samples before a window that is alone
)

// drawLead draws the samples, whole hops, before the windows of an epoch's batch that begins at first, or noContext.
func (l *Loader) drawLead(epoch, first int) int {
	if l.cfg.Context.Share == 0 {
		return noContext
	}
	rng := l.rng(epoch, contextStream-first)
	if rng.Float64() >= l.cfg.Context.Share {
		return noContext
	}
	hop := l.cfg.Extractor.Config().Hop
	high := l.lead / hop
	low := (high + 3) / 4
	return (low + rng.IntN(high-low+1)) * hop
}

// surround fills the stretch before and after the window with other clips.
func (w *worker) surround() {
	begin, end := w.lead, w.lead+w.l.window
	fluent := w.p.train && w.rng.Float64() < w.l.cfg.Context.Fluent
	if fluent {
		first, last := audio.Extent(w.wave, w.l.cache.rate, soundingPart)
		begin, end = w.lead+first, w.lead+last
	}
	for at := begin; at > 0; {
		gap, samples := w.neighbour(fluent)
		at -= gap + len(samples)
		w.add(samples, at)
	}
	for at := end; at < len(w.stretch); {
		gap, samples := w.neighbour(fluent)
		w.add(samples, at+gap)
		at += gap + len(samples)
	}
}

// neighbour draws a gap, in samples, and a pause of at least 0.25 s or at most two windows from the middle of a clip;
// in fluent speech a short gap, and what sounds of the clip.
func (w *worker) neighbour(fluent bool) (gap int, samples []int16) {
	rate := float64(w.l.cache.rate)
	limit := neighbourGap
	if fluent {
		limit = fluentGap
	}
	gap = 1 + int(math.Round(limit*w.rng.Float64()*rate))
	if w.p.train && len(w.l.negatives) > 0 && w.rng.Float64() < negativeNeighbours {
		return gap, w.piece()
	}
	if len(w.l.clips) == 0 || !fluent && w.rng.Float64() < pauses {
		return gap, w.l.pause[:int(between([2]float64{0.25, pauseSeconds}, w.rng)*rate)]
	}
	i := w.l.clips[w.rng.IntN(len(w.l.clips))]
	samples, err := w.l.read(i)
	if err != nil {
		return gap, w.l.pause
	}
	if over := len(samples) - 2*w.l.window; over > 0 {
		samples = samples[over/2:][:2*w.l.window]
	}
	if fluent {
		begin, end := audio.Extent(samples, w.l.cache.rate, soundingPart)
		samples = samples[begin:end]
	}
	return gap, samples
}

// soundingPart is the part of its loudest hundredth of a second's power with which a clip's sound begins and ends:
// 25 dB below.
const soundingPart = 1 / 316.0

// add adds a clip to the stretch from sample at on, as far as it lies in it; in training, at another level.
func (w *worker) add(samples []int16, at int) {
	gain := float32(1.0 / (1 << 15))
	if w.p.train {
		gain *= drawDecibels([2]float64{-8, 6}, w.rng)
	}
	begin, end := max(at, 0), min(at+len(samples), len(w.stretch))
	for i := begin; i < end; i++ {
		w.stretch[i] += gain * float32(samples[i-at])
	}
}
