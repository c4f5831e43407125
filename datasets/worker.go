package datasets

import (
	"math/rand/v2"

	"github.com/polyphon/polyphon/features"
)

// worker makes examples; each goroutine has one.
type worker struct {
	l              *Loader
	samples, noise []float32
	scratch        *features.Scratch
}

func (l *Loader) newWorker() *worker {
	return &worker{
		l: l, samples: make([]float32, l.window), noise: make([]float32, l.window), scratch: l.cfg.Extractor.Scratch(),
	}
}

// plain writes the rows of example i as it is.
func (w *worker) plain(dst []float32, i int) error {
	it := w.l.items[i]
	if it.Silence {
		if err := w.silence(it, it.Offset, it.Gain); err != nil {
			return err
		}
	} else {
		samples, err := w.l.store.clip(i)
		if err != nil {
			return err
		}
		middle(w.samples, samples)
	}
	rows := w.l.cfg.Extractor.Rows(dst, w.samples, w.scratch)
	if n := w.l.cfg.Norm; n != nil {
		n.Apply(rows)
	}
	return nil
}

// augmented writes the rows of example i, changed as Augment and Mask say. A silence example is cut and scaled
// anew in each epoch.
func (w *worker) augmented(dst []float32, i int, rng *rand.Rand) error {
	l, a, it := w.l, w.l.cfg.Augment, w.l.items[i]
	if it.Silence {
		level := rng.Float64()
		if err := w.silence(it, rng.Float64(), level*level); err != nil { // squared: often near 0
			return err
		}
	} else {
		samples, err := l.store.clip(i)
		if err != nil {
			return err
		}
		w.play(samples, a, rng)
	}
	if rng.Float64() < a.Noise && len(l.store.recordings) > 0 {
		path := l.store.recordings[rng.IntN(len(l.store.recordings))]
		if recording, err := l.store.background(path, Train); err == nil {
			cut(w.noise, recording, rng.Float64())
			addNoise(w.samples, w.noise, uniform(rng, a.SNR[0], a.SNR[1]))
		}
	}
	scale(w.samples, decibels(uniform(rng, a.Gain[0], a.Gain[1])))

	e := l.cfg.Extractor
	rows := e.Energies(dst, w.samples, w.scratch)
	e.Distort(rows, a.Channel, rng)
	e.Log(rows)
	if n := l.cfg.Norm; n != nil {
		n.Apply(rows)
	}
	l.cfg.Mask.Apply(rows, e.Config().Mels, rng, 0)
	return nil
}

// silence writes a piece of background noise to w.samples.
func (w *worker) silence(it Item, offset, gain float64) error {
	recording, err := w.l.store.background(it.Path, it.Split)
	if err != nil {
		return err
	}
	cut(w.samples, recording, offset)
	scale(w.samples, float32(gain))
	return nil
}

// play writes a clip to w.samples at a random speed and place; of a long one, a random part.
func (w *worker) play(samples []float32, a Augment, rng *rand.Rand) {
	speed := uniform(rng, 1-a.Speed, 1+a.Speed)
	shift := uniform(rng, -a.Shift, a.Shift) * float64(w.l.cfg.Extractor.Config().Rate)
	centre := float64(len(samples)) / 2
	if room := float64(len(samples)-len(w.samples)) / 2; room > 0 {
		centre = uniform(rng, centre-room, centre+room)
	}
	place(w.samples, samples, centre, speed, shift)
}
