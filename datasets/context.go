package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Context says what surrounds the window that an example is about: live sound has a past, and words before and after.
type Context struct {
	// Before and After are the seconds of sound around the window. In training, each batch draws how much of the sound lies before
	// the windows, at least a quarter of Before: where a sound begins must not tell where its words are.
	Before float64 `json:"before,omitempty"`
	After  float64 `json:"after,omitempty"`
	// Share is the share of an epoch's batches whose examples have a context; those of the others are the window alone.
	Share float64 `json:"share,omitempty"`
}

// Validate returns an error wrapping ErrOptions that names the setting out of range.
func (c Context) Validate() error {
	for _, seconds := range []float64{c.Before, c.After} {
		if !(seconds >= 0 && seconds <= maxContext) {
			return fmt.Errorf("%w: a context of %g seconds is not in 0…%d", ErrOptions, seconds, maxContext)
		}
	}
	if !(c.Share >= 0 && c.Share <= 1) {
		return fmt.Errorf("%w: a share of %g examples in context is not in 0…1", ErrOptions, c.Share)
	}
	return nil
}

const (
	maxContext = 60 // seconds

	// neighbourGap is the most seconds between two neighbouring clips, which bring silence of their own.
	neighbourGap = 0.3
	// pauses is the probability of a pause of up to pauseSeconds seconds instead of a neighbour.
	pauses       = 0.25
	pauseSeconds = 1.0

	// noContext stands for a window alone, in place of how much sound comes before it.
	noContext = -1
)

// neighbourGain is the range in dB of how much louder neighbours are made in augmented contexts.
var neighbourGain = [2]float64{-8, 6}

// contextStream is the position that decides which batches of an epoch have a context, and how much of it lies before the windows.
const contextStream = -2

// drawLead returns how many samples, in whole hops, come before the windows of the batch of an epoch that begins at a position, or
// noContext.
func (l *Loader) drawLead(epoch, first int) int {
	if l.cfg.Context.Share == 0 {
		return noContext
	}
	var pcg rand.PCG
	seed(&pcg, l.cfg.Seed, epoch, contextStream-first)
	rng := rand.New(&pcg)
	if rng.Float64() >= l.cfg.Context.Share {
		return noContext
	}
	hop := l.cfg.Extractor.Config().Hop
	most := l.lead / hop
	least := (most + 3) / 4
	return (least + rng.IntN(most-least+1)) * hop
}

// surround fills the stretch before and behind the window with other clips.
func (w *worker) surround() {
	for at := w.lead; at > 0; {
		at -= w.gap()
		samples := w.neighbour()
		at -= len(samples)
		w.add(samples, at)
	}
	for at := w.lead + w.l.window; at < len(w.stretch); {
		at += w.gap()
		samples := w.neighbour()
		w.add(samples, at)
		at += len(samples)
	}
}

// gap draws the samples between two neighbours.
func (w *worker) gap() int {
	return int(math.Round(neighbourGap * w.rng.Float64() * float64(w.l.clips.rate)))
}

// neighbour draws a clip, or a pause: at least a quarter of a second of zeros.
func (w *worker) neighbour() []int16 {
	if w.rng.Float64() < pauses {
		seconds := between([2]float64{0.25, pauseSeconds}, w.rng)
		return w.l.pause[:int(seconds*float64(w.l.clips.rate))]
	}
	return w.clip()
}

// clip draws a clip that is no silence and not much longer than a window, from its middle.
func (w *worker) clip() []int16 {
	it := w.l.speech[w.rng.IntN(len(w.l.speech))]
	samples, err := w.l.clips.read(w.l.file[it])
	if err != nil {
		w.l.skip(w.l.items[it].Path, err)
		return w.l.pause
	}
	if over := len(samples) - 2*w.l.window; over > 0 {
		samples = samples[over/2:][:2*w.l.window]
	}
	return samples
}

// add adds a clip to the stretch from sample at on, as far as it lies in it; in training, at another level.
func (w *worker) add(samples []int16, at int) {
	gain := float32(1.0 / (1 << 15))
	if w.p.train {
		gain *= float32(fromDecibels(between(neighbourGain, w.rng)))
	}
	begin, end := max(at, 0), min(at+len(samples), len(w.stretch))
	for i := begin; i < end; i++ {
		w.stretch[i] += gain * float32(samples[i-at])
	}
}
