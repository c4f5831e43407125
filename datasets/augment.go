package datasets

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/features"
)

// Augment says how training clips are varied. The fields are in the order in which they apply. Each clip and epoch
// draws anew, uniformly from the ranges. The zero value changes nothing.
type Augment struct {
	// MadeUp is the probability that a clip becomes a pseudo-word of the label `_unknown_`, where there is that label: it
	// is played backwards, or its end is followed by the beginning of another word.
	MadeUp float64 `json:"made_up,omitempty"`
	// Speed is the greatest relative change of tape speed, which moves pitch and formants too: 0.15 is 0.85 to 1.15.
	Speed float64 `json:"speed,omitempty"`
	// Shift is how many seconds earlier or later a clip lies in its window, at most. Zeros follow where it ends.
	Shift float64 `json:"shift,omitempty"`
	// Noise is the probability of added background noise from the recordings' training parts (synthesised if there are
	// none), SNR the range of its ratio in dB, of mean powers over the window; it fills the window's context too. Noise
	// and silence examples are cut from anywhere, from loud places more often, and played at up to twice or half the
	// speed, as far as Speed says, and sometimes backwards: no label depends on that.
	Noise float64    `json:"noise,omitempty"`
	SNR   [2]float64 `json:"snr,omitempty"`
	// Synthetic is the share of that noise, and of silence examples, which is synthesised: tones, beeps, coloured noise.
	Synthetic float64            `json:"synthetic,omitempty"`
	Gain      [2]float64         `json:"gain,omitempty"` // range in dB; what goes beyond full scale is clipped
	Channel   features.Acoustics `json:"channel,omitzero"`
}

// Validate returns an error wrapping ErrOptions that names the settings out of range.
func (a Augment) Validate() error {
	return errors.Join(
		inRange("probability of pseudo-words", 0, a.MadeUp, 0, 1),
		inRange("speed", 0, a.Speed, 0, 0.5), inRange("shift", 0, a.Shift, 0, 60),
		inRange("noise probability", 0, a.Noise, 0, 1), inRange("share of synthetic noise", 0, a.Synthetic, 0, 1),
		inRange("signal-to-noise ratio", a.SNR[0], a.SNR[1], -60, 120), inRange("gain", a.Gain[0], a.Gain[1], -120, 60),
		inRange("room probability", 0, a.Channel.Room, 0, 1), inRange("filter probability", 0, a.Channel.Filter, 0, 1),
		inRange("band probability", 0, a.Channel.Band, 0, 1))
}

// inRange returns an error wrapping ErrOptions where low to high is no range within lower to upper.
func inRange(name string, low, high, lower, upper float64) error {
	if lower <= low && low <= high && high <= upper {
		return nil
	}
	return fmt.Errorf("%w: %s of %g to %g is no range in %g…%g", ErrOptions, name, low, high, lower, upper)
}

// vary draws speed and shift of a window of n samples that begins at from: sample i is that at newFrom + i·step.
func (a Augment) vary(from float64, n, rate int, rng *rand.Rand) (newFrom, step float64) {
	half := float64(n / 2)
	step = 1 + a.Speed*(2*rng.Float64()-1)
	shift := math.Round(a.Shift * float64(rate) * (2*rng.Float64() - 1))
	return from + half - (half+shift)*step, step
}

// drawDecibels draws a factor of amplitude from a range in dB.
func drawDecibels(r [2]float64, rng *rand.Rand) float32 {
	return float32(math.Pow(10, between(r, rng)/20))
}

func between(r [2]float64, rng *rand.Rand) float64 { return r[0] + (r[1]-r[0])*rng.Float64() }

// scale multiplies x by gain.
func scale(x []float32, gain float32) {
	for i := range x {
		x[i] *= gain
	}
}

// pseudoWord returns a word of no label, made of a clip: the clip backwards, or its second half followed by the first
// half of another label's clip, halves of the sound's energy.
func (w *worker) pseudoWord(it *Item, samples []int16) []int16 {
	l := w.l
	other := l.clips[w.rng.IntN(len(l.clips))]
	if l.items[other].Label != it.Label && w.rng.Float64() < 2.0/3 {
		if second, err := l.cache.read(l.sources[other]); err == nil {
			w.pseudo = append(append(w.pseudo[:0], samples[middle(samples):]...), second[:middle(second)]...)
			return w.pseudo
		}
	}
	w.pseudo = append(w.pseudo[:0], samples...)
	slices.Reverse(w.pseudo)
	return w.pseudo
}

// middle returns the sample at which half of the energy has passed.
func middle(samples []int16) int {
	total := 0.0
	for _, v := range samples {
		total += float64(v) * float64(v)
	}
	passed := 0.0
	for i, v := range samples {
		if passed += float64(v) * float64(v); passed >= total/2 {
			return i
		}
	}
	return len(samples)
}
