package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/features"
)

// worker makes examples, one at a time; it holds the memory for that.
type worker struct {
	l       *Loader
	p       pass
	pcg     *rand.PCG
	rng     *rand.Rand // draws from pcg
	scratch *features.Scratch
	stretch []float32 // the sound of the example
	wave    []float32 // the window in it
	lead    int       // samples of context before it, or noContext
	place   *Place    // where the example begins in its recording; nil: where it says
	pseudo  []int16   // a pseudo-word
	source  []float32 // what the window is interpolated from, and the noise for the stretch
	noise   noiseCutter
}

func (l *Loader) newWorker(p pass) *worker {
	w := &worker{l: l, p: p, pcg: &rand.PCG{}, scratch: l.cfg.Extractor.Scratch(), stretch: make([]float32, l.longest)}
	w.rng = rand.New(w.pcg)
	w.setContext(noContext)
	w.source = make([]float32, max(int(float64(l.window)*(1+l.cfg.Augment.Speed))+2*sincTaps, l.longest))
	return w
}

// makeExample makes example k of a slot.
func (w *worker) makeExample(s *slot, k int) {
	l, index := w.l, s.indices[k]
	item := &l.items[index]
	samples, err := l.read(index)
	if s.failed[k] = err != nil; err != nil {
		return
	}
	seed(w.pcg, l.cfg.Seed, w.p.epoch, s.first+k)
	w.setContext(s.lead)
	if w.p.train && !item.Silence && !item.Negative && l.unknown != nil && w.rng.Float64() < l.cfg.Augment.MadeUp {
		samples = w.pseudoWord(item, samples)
		item = l.unknown
	}
	s.Labels[k], s.Items[k] = item.Label, *item
	if w.place = nil; s.places != nil {
		w.place = &s.places[k]
	}
	w.rows(s.rows(s.X, k), s.rows(s.Raw, k), item, samples)
}

// rows makes the rows of an example, and copies them to raw, if any, before they are normalised and masked.
func (w *worker) rows(dst, raw []float32, it *Item, samples []int16) {
	c, e := w.l.cfg, w.l.cfg.Extractor
	w.fill(it, samples)
	switch {
	case w.p.train:
		w.augment()
	case w.p.noisy:
		w.mix(w.p.snr)
	}
	e.Energies(dst[:0], w.stretch, w.scratch)
	if w.p.train {
		e.Distort(dst, c.Augment.Channel, w.rng)
	}
	e.Log(dst)
	copy(raw, dst)
	if w.p.norm != nil {
		w.p.norm.Apply(dst)
	}
	if w.p.train {
		c.Mask.Apply(dst, e.Config().Mels, w.rng)
	}
}

// setContext makes the stretch the window and its context, of which lead samples come before it, or the window alone.
func (w *worker) setContext(lead int) {
	w.lead, w.stretch = lead, w.stretch[:w.l.window]
	if lead != noContext {
		w.stretch = w.stretch[:w.l.longest]
	}
	w.wave = w.stretch[max(lead, 0):][:w.l.window]
}

// fill sets the stretch to the example's sound.
func (w *worker) fill(it *Item, samples []int16) {
	clear(w.stretch)
	switch {
	case it.Silence:
		w.fillSilence(it, samples)
	case it.Negative:
		w.fillNegative(it, samples)
		return // it is its own context
	default:
		w.crop(samples)
	}
	if w.lead != noContext {
		w.surround()
	}
}

// crop sets the window to a clip: its middle, or, in training, something near it or any part of a long clip.
func (w *worker) crop(samples []int16) {
	n := len(w.wave)
	begin := (len(samples) - n) / 2
	if w.p.train && float64(len(samples)) >= longClip*float64(n) {
		begin = w.rng.IntN(len(samples) - n + 1)
	}
	from, step := float64(begin), 1.0
	if w.p.train {
		from, step = w.l.cfg.Augment.vary(from, n, w.l.cache.rate, w.rng)
	}
	if step == 1 {
		window(w.wave, samples, int(from))
		return
	}
	first := int(math.Floor(from)) - sincBefore
	window(w.source, samples, first)
	w.l.sinc.read(w.wave, w.source, from-float64(first), step)
}

// fillSilence fills the whole stretch, since background noise does not end with a window, with a noise recording from
// where the item says or, in augmented training, from another offset.
func (w *worker) fillSilence(it *Item, samples []int16) {
	offset, gain := it.Offset, it.Gain
	if w.p.train && w.l.cfg.Augment != (Augment{}) {
		offset, gain = drawSilence(w.rng)
	}
	if w.p.train && w.rng.Float64() < w.l.cfg.Augment.Synthetic {
		synthesize(w.stretch, w.l.cache.rate, w.rng)
	} else {
		w.cutNoise(w.stretch, samples, offset)
	}
	scale(w.stretch, float32(gain))
}

// augment varies noise and level of the stretch. What goes beyond full scale is clipped.
func (w *worker) augment() {
	a := w.l.cfg.Augment
	if w.rng.Float64() < a.Noise {
		w.mix(between(a.SNR, w.rng))
	}
	gain := drawDecibels(a.Gain, w.rng)
	for i, v := range w.stretch {
		w.stretch[i] = max(-1, min(gain*v, 1))
	}
}

// mix adds noise to the stretch at the signal-to-noise ratio snr, in dB of mean powers, unless one is digital silence.
// The signal is the window's, however loud the neighbours are.
func (w *worker) mix(snr float64) {
	noise := w.source[:len(w.stretch)]
	if w.p.train && len(w.l.negatives) > 0 && w.rng.Float64() < negativeNoise {
		w.fillWithPieces(noise)
	} else if recorded := w.l.noise(); len(recorded) > 0 && w.rng.Float64() >= w.l.cfg.Augment.Synthetic {
		w.cutNoise(noise, recorded[w.rng.IntN(len(recorded))], w.rng.Float64())
	} else {
		synthesize(noise, w.l.cache.rate, w.rng)
	}
	gain := audio.SNRGain(audio.MeanSquare(w.wave), audio.MeanSquare(noise), snr)
	for i, v := range noise {
		w.stretch[i] += gain * v
	}
}

// Positions of an epoch that are no example's.
const (
	orderStream   = -1 // draws the order of the examples
	contextStream = -2 // minus a batch's first position: draws its context
)

// rng returns the generator for a position of an epoch.
func (l *Loader) rng(epoch, position int) *rand.Rand {
	pcg := &rand.PCG{}
	seed(pcg, l.cfg.Seed, epoch, position)
	return rand.New(pcg)
}

// seed sets the generator for one position of an epoch. Examples thereby depend neither on each other nor on which
// goroutine makes them, and epochs not on those before.
func seed(pcg *rand.PCG, seed int64, epoch, position int) {
	pcg.Seed(splitMix(splitMix(uint64(seed))+uint64(epoch)), splitMix(uint64(position)))
}

// splitMix makes neighbouring seeds unrelated (Steele et al., "Fast splittable pseudorandom number generators", 2014).
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
