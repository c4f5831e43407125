package datasets

import (
	"math"
	"math/rand/v2"
	"slices"
)

// How noise is varied in augmented training. No label depends on its speed, pitch or direction, and of a kind of sound
// there are few recordings, many of which are silent but for an instant: a bark, a tick or a sneeze.
const (
	loudShare     = 0.5  // of cuts: of several places, the loudest
	loudPlaces    = 4    // of which it is the loudest
	loudStride    = 16   // samples, of which one is looked at
	reversedShare = 0.25 // of cuts, that are played backwards
	noiseSpeed    = 4    // times the speed change of words, as the logarithm of a factor
	maxNoiseSpeed = 2    // factor, at most
)

// noiseCutter cuts noise for examples.
type noiseCutter struct {
	source []float32 // what is interpolated
}

// cut sets dst to noise that is varied as a says.
func (c *noiseCutter) cut(dst []float32, noise []int16, a Augment, sinc *interpolator, rng *rand.Rand) {
	speed := min(math.Exp(noiseSpeed*a.Speed*(2*rng.Float64()-1)), maxNoiseSpeed)
	n := int(float64(len(dst))*speed) + 2*sincTaps
	offset := rng.Float64()
	if rng.Float64() < loudShare {
		offset = loudestOffset(noise, n, rng)
	}
	c.source = slices.Grow(c.source[:0], n)[:n]
	cut(c.source, noise, offset)
	if speed == 1 {
		copy(dst, c.source)
	} else {
		sinc.read(dst, c.source, sincBefore, speed)
	}
	if rng.Float64() < reversedShare {
		slices.Reverse(dst)
	}
}

// loudestOffset returns the offset of the loudest of several cuts of n samples.
func loudestOffset(noise []int16, n int, rng *rand.Rand) (offset float64) {
	most := -1.0
	for range loudPlaces {
		o, power := rng.Float64(), 0.0
		begin := int(o * float64(max(len(noise)-n, 0)+1))
		for i := begin; i < min(begin+n, len(noise)); i += loudStride {
			power += float64(noise[i]) * float64(noise[i])
		}
		if power > most {
			offset, most = o, power
		}
	}
	return offset
}

// cutNoise sets dst to a recording of noise, varied in augmented training, or else from the share offset of it on.
func (w *worker) cutNoise(dst []float32, noise []int16, offset float64) {
	if a := w.l.cfg.Augment; w.p.train && a != (Augment{}) {
		w.noise.cut(dst, noise, a, w.l.sinc, w.rng)
	} else {
		cut(dst, noise, offset)
	}
}
