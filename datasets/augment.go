package datasets

import (
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/features"
)

// Augment changes training clips so that a network learns what it must not depend on. The zero value does nothing.
type Augment struct {
	Speed float64    `json:"speed,omitempty"` // plays 1−Speed to 1+Speed times as fast, pitch included
	Shift float64    `json:"shift,omitempty"` // moves by up to so many seconds to either side
	Noise float64    `json:"noise,omitempty"` // probability of background noise
	SNR   [2]float64 `json:"snr,omitempty"`   // range of the ratio of the clip's energy to the noise's, dB
	Gain  [2]float64 `json:"gain,omitempty"`  // range of the level's change, dB

	Channel features.Channel `json:"channel,omitzero"` // rooms and microphones
}

// uniform draws from [low, high).
func uniform(rng *rand.Rand, low, high float64) float64 { return low + rng.Float64()*(high-low) }

// decibels returns the amplitude factor of a level in dB.
func decibels(dB float64) float32 { return float32(math.Pow(10, dB/20)) }

// place writes to dst the part of src around its sample number centre, played speed times as fast and shift samples later.
// Beyond src's ends there is silence. Between samples it interpolates linearly: what that loses at the top of the spectrum
// is one more kind of microphone.
func place(dst, src []float32, centre, speed, shift float64) {
	at := centre - (float64(len(dst))/2+shift)*speed
	for i := range dst {
		position := at + float64(i)*speed
		left := int(math.Floor(position))
		if left < 0 || left+1 >= len(src) {
			dst[i] = 0
			continue
		}
		part := float32(position - float64(left))
		dst[i] = src[left] + part*(src[left+1]-src[left])
	}
}

// middle copies the middle of src to dst, or src to the middle of dst, with silence around.
func middle(dst, src []float32) {
	if len(src) >= len(dst) {
		copy(dst, src[(len(src)-len(dst))/2:])
		return
	}
	before := (len(dst) - len(src)) / 2
	clear(dst[:before])
	n := copy(dst[before:], src)
	clear(dst[before+n:])
}

// addNoise adds a piece of noise, the clip's energy being snr dB above the noise's.
func addNoise(clip, noise []float32, snr float64) {
	energy := power(noise)
	if energy == 0 {
		return
	}
	factor := float32(math.Sqrt(power(clip)/energy)) * decibels(-snr)
	for i := range clip {
		clip[i] += factor * noise[i]
	}
}

// power returns the sum of squares.
func power(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func scale(x []float32, factor float32) {
	for i := range x {
		x[i] *= factor
	}
}

// cut copies a piece of a recording that begins at the share offset of what there is room for. A recording that is too
// short is repeated.
func cut(dst, recording []float32, offset float64) {
	if len(recording) == 0 {
		clear(dst)
		return
	}
	at := int(offset * float64(max(len(recording)-len(dst)+1, 1)))
	for n := 0; n < len(dst); at = 0 {
		n += copy(dst[n:], recording[at:])
	}
}
