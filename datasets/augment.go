package datasets

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/features"
)

// Augment says how training clips are varied; each clip and epoch draws anew, uniformly from the ranges. The zero value
// changes nothing. In the order in which the parts apply:
type Augment struct {
	// MadeUp is the probability that a clip is turned into a word that nobody knows, of the label `_unknown_` where there is
	// that: played backwards, or its end followed by another word's beginning.
	MadeUp float64 `json:"made_up,omitempty"`
	// Speed is the greatest relative change of tape speed: 0.15 plays a clip at 0.85 to 1.15 of its speed, which moves
	// pitch and formants along.
	Speed float64 `json:"speed,omitempty"`
	// Shift is how many seconds earlier or later a clip lies in its window, at most. Where the recording ends, zeros follow.
	Shift float64 `json:"shift,omitempty"`
	// Noise is the probability of added background noise from the recordings' training parts (random coloured noise
	// where there are none), SNR the range of the signal-to-noise ratio in dB, of mean powers over the whole window; noise
	// of that level fills the window's context too.
	Noise float64    `json:"noise,omitempty"`
	SNR   [2]float64 `json:"snr,omitempty"`
	// Synthetic is the share of that noise, and of silence examples, which is made up instead: tones, beeps and coloured
	// noise, of which recordings have few.
	Synthetic float64 `json:"synthetic,omitempty"`
	// Gain is the range of the level's change in dB; what goes beyond full scale is clipped, as converters do.
	Gain [2]float64 `json:"gain,omitempty"`
	// Channel is what rooms and microphones do.
	Channel features.Acoustics `json:"channel,omitzero"`
}

// Validate returns an error wrapping ErrOptions that names the setting out of range.
func (a Augment) Validate() error {
	for _, part := range []struct {
		name            string
		low, high       float64
		least, greatest float64
	}{
		{"probability of made-up words", 0, a.MadeUp, 0, 1},
		{"speed", 0, a.Speed, 0, 0.5},
		{"shift", 0, a.Shift, 0, 60},
		{"noise probability", 0, a.Noise, 0, 1},
		{"share of synthetic noise", 0, a.Synthetic, 0, 1},
		{"signal-to-noise ratio", a.SNR[0], a.SNR[1], -60, 120},
		{"gain", a.Gain[0], a.Gain[1], -120, 60},
		{"room probability", 0, a.Channel.Room, 0, 1},
		{"filter probability", 0, a.Channel.Filter, 0, 1},
		{"band probability", 0, a.Channel.Band, 0, 1},
	} {
		if !(part.least <= part.low && part.low <= part.high && part.high <= part.greatest) {
			return fmt.Errorf("%w: %s of %g to %g is no range in %g…%g",
				ErrOptions, part.name, part.low, part.high, part.least, part.greatest)
		}
	}
	return nil
}

// placement says which part of a recording a window shows: sample i of the window is at from + i·step.
type placement struct{ from, step float64 }

// vary draws speed and shift, about the middle of a window of n samples. rate is in hertz.
func (a Augment) vary(p placement, n, rate int, rng *rand.Rand) placement {
	half := float64(n / 2)
	centre := p.from + half
	p.step = 1 + a.Speed*(2*rng.Float64()-1)
	shift := math.Round(a.Shift * float64(rate) * (2*rng.Float64() - 1))
	p.from = centre - (half+shift)*p.step
	return p
}

// drawGain draws a factor for the samples.
func (a Augment) drawGain(rng *rand.Rand) float32 { return float32(fromDecibels(between(a.Gain, rng))) }

func between(r [2]float64, rng *rand.Rand) float64 { return r[0] + (r[1]-r[0])*rng.Float64() }

// fromDecibels returns the factor of amplitude.
func fromDecibels(db float64) float64 { return math.Pow(10, db/20) }

// mixNoise adds noise to x so that a signal of the mean power signal has the signal-to-noise ratio snr, in dB of mean
// powers. It does nothing where either is digital silence. Both are of one length.
func mixNoise(x, noise []float32, signal, snr float64) {
	power := meanSquare(noise)
	if signal == 0 || power == 0 {
		return
	}
	gain := float32(math.Sqrt(signal/power) / fromDecibels(snr))
	for i, v := range noise {
		x[i] += gain * v
	}
}

func meanSquare(x []float32) float64 {
	var a, b, c, d float64
	for i := 0; i+4 <= len(x); i += 4 {
		s := x[i : i+4 : i+4]
		a += float64(s[0]) * float64(s[0])
		b += float64(s[1]) * float64(s[1])
		c += float64(s[2]) * float64(s[2])
		d += float64(s[3]) * float64(s[3])
	}
	for _, v := range x[len(x)&^3:] {
		a += float64(v) * float64(v)
	}
	return (a + b + c + d) / float64(max(len(x), 1))
}

// scale multiplies x by gain.
func scale(x []float32, gain float32) {
	for i := range x {
		x[i] *= gain
	}
}

// saturate holds x within full scale.
func saturate(x []float32) {
	for i, v := range x {
		x[i] = max(-1, min(v, 1))
	}
}
