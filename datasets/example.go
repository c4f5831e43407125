package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/features"
)

// worker makes examples; it holds one goroutine's work memory.
type worker struct {
	l       *Loader
	p       pass
	pcg     *rand.PCG
	rng     *rand.Rand // draws from pcg
	scratch *features.Scratch
	stretch []float32 // the sound of the example
	wave    []float32 // the window in it
	lead    int       // samples of context before it, or noContext
	made    []int16   // a made-up word
	source  []float32 // what it is interpolated from, and the noise for the stretch
}

func (l *Loader) newWorker(p pass) *worker {
	w := &worker{l: l, p: p, pcg: &rand.PCG{}, scratch: l.cfg.Extractor.Scratch(), stretch: make([]float32, l.longest)}
	w.rng = rand.New(w.pcg)
	w.setContext(noContext)
	w.source = make([]float32, max(int(float64(l.window)*(1+l.cfg.Augment.Speed))+2*sincTaps, l.longest))
	return w
}

// run makes one example of a slot.
func (w *worker) run(j job) {
	l, s := w.l, j.slot
	index := s.indices[j.k]
	item := &l.items[index]
	samples, err := l.clips.read(l.file[index])
	if err != nil {
		l.skip(item.Path, err)
	} else {
		seed(w.pcg, l.cfg.Seed, w.p.epoch, s.first+j.k)
		w.setContext(s.lead)
		if w.p.train && !item.Silence && l.unknown != nil && w.rng.Float64() < l.cfg.Augment.MadeUp {
			samples = w.makeUp(item, samples)
			item = l.unknown
		}
		s.labels[j.k], s.items[j.k] = item.Label, *item
		from, to := j.k*s.size, (j.k+1)*s.size
		var raw []float32
		if l.cfg.Raw {
			raw = s.raw[from:to]
		}
		w.rows(s.x[from:to], raw, item, samples)
	}
	s.failed[j.k] = err != nil
	if s.left.Add(-1) == 0 {
		s.done <- struct{}{}
	}
}

// rows makes the rows of an example, and keeps them in raw, if any, as they are before they are normalised and masked.
func (w *worker) rows(dst, raw []float32, it *Item, samples []int16) {
	c, e := w.l.cfg, w.l.cfg.Extractor
	w.listen(it, samples)
	if w.p.train {
		w.mix()
		scale(w.stretch, c.Augment.drawGain(w.rng))
		saturate(w.stretch)
	} else if w.p.noisy {
		w.mixAt(w.p.snr)
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
		c.Mask.Apply(dst, e.Config().Mels, w.rng, 0)
	}
}

// listen sets the stretch to the example's sound.
func (w *worker) listen(it *Item, samples []int16) {
	clear(w.stretch)
	if it.Silence {
		w.cut(it, samples)
	} else {
		w.show(samples)
	}
	if w.lead != noContext {
		w.surround()
	}
}

// setContext makes the stretch the window in its context, of which so many samples come before it, or the window alone.
func (w *worker) setContext(lead int) {
	w.lead = lead
	if lead != noContext {
		w.stretch = w.stretch[:w.l.longest]
		w.wave = w.stretch[lead:][:w.l.window]
	} else {
		w.stretch = w.stretch[:w.l.window]
		w.wave = w.stretch
	}
}

// randomCrop is how many times longer than the window a clip must be to be cropped at random.
const randomCrop = 1.5

// show puts the window onto a clip: its middle, or, in training, somewhere near it or anywhere in a long clip.
func (w *worker) show(samples []int16) {
	n := len(w.wave)
	begin := (len(samples) - n) / 2
	if w.p.train && float64(len(samples)) >= randomCrop*float64(n) {
		begin = w.rng.IntN(len(samples) - n + 1)
	}
	at := placement{from: float64(begin), step: 1}
	if w.p.train {
		at = w.l.cfg.Augment.vary(at, n, w.l.clips.rate, w.rng)
	}
	if at.step == 1 {
		window(w.wave, samples, int(at.from))
		return
	}
	first := int(math.Floor(at.from)) - sincBefore
	window(w.source, samples, first)
	w.l.sinc.read(w.wave, w.source, at.from-float64(first), at.step)
}

// cut puts the stretch onto a noise recording: where the item says or, in augmented training, somewhere else in its part.
// The noise fills the whole stretch, since a room does not fall silent where a window ends.
func (w *worker) cut(it *Item, samples []int16) {
	offset, gain := it.Offset, it.Gain
	if w.p.train && w.l.cfg.Augment != (Augment{}) {
		offset, gain = drawSilence(w.rng)
	}
	if w.p.train && w.rng.Float64() < w.l.cfg.Augment.Synthetic {
		synthesize(w.stretch, w.l.clips.rate, w.rng)
	} else {
		cut(w.stretch, it.Part.of(samples, w.l.clips.rate), offset)
	}
	scale(w.stretch, float32(gain))
}

// mix adds noise, as likely and as loud as the augmentation says.
func (w *worker) mix() {
	if a := w.l.cfg.Augment; w.rng.Float64() < a.Noise {
		w.mixAt(between(a.SNR, w.rng))
	}
}

// mixAt adds noise at the signal-to-noise ratio snr, in dB. The signal is what the window holds, however loud the
// neighbours are.
func (w *worker) mixAt(snr float64) {
	noise := w.source[:len(w.stretch)]
	if n := len(w.l.noise); n > 0 && w.rng.Float64() >= w.l.cfg.Augment.Synthetic {
		cut(noise, w.l.noise[w.rng.IntN(n)], w.rng.Float64())
	} else {
		synthesize(noise, w.l.clips.rate, w.rng)
	}
	mixNoise(w.stretch, noise, meanSquare(w.wave), snr)
}

// orderStream is the position that stands for the order of an epoch's examples.
const orderStream = -1

// seed sets the generator for one position of an epoch. Examples thereby do not depend on each other, nor on which
// goroutine makes them, and an epoch does not depend on those before it.
func seed(pcg *rand.PCG, seed int64, epoch, position int) {
	pcg.Seed(splitMix(splitMix(uint64(seed))+uint64(epoch)), splitMix(uint64(position)))
}

// splitMix scrambles its argument (Steele et al., "Fast splittable pseudorandom number generators", 2014), so that
// neighbouring seeds give unrelated numbers.
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
