package datasets

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/audio"
)

// synthesize fills x, sound at rate hertz, with noise of about full scale: coloured noise, one to three tones, short
// sounds as of animals and things, or artificial sounds of more kinds.
func synthesize(x []float32, rate int, rng *rand.Rand) {
	clear(x)
	switch rng.IntN(4) {
	case 0:
		colouredNoise(x, rng)
	case 1:
		artificial(x, rate, rng)
	case 2:
		shortSounds(x, rate, rng)
	default:
		for range 1 + rng.IntN(3) {
			addTone(x, rate, rng)
		}
		scale(x, 1.0/3)
	}
}

// madeNoise returns a recording of synthesised noise, of another kind each second. It is always the same.
func madeNoise() Recording {
	const rate, seconds = 16000, 60
	sound := &audio.Clip{Rate: rate, Samples: make([]float32, rate*seconds)}
	rng := rand.New(rand.NewPCG(1, 1))
	for second := range slices.Chunk(sound.Samples, rate) {
		synthesize(second, rate, rng)
		scale(second, drawDecibels([2]float64{-50, 0}, rng))
	}
	made := []Recording{{Path: "made noise", Memory: sound, Parts: [All]Span{Train: {0, seconds}}}}
	divide(made)
	return made[0]
}

// colouredNoise fills x with white noise through a one-pole low-pass of random corner: from white to brown.
func colouredNoise(x []float32, rng *rand.Rand) {
	pole := float32(rng.Float64())
	var y float32
	for i := range x {
		y = pole*y + (rng.Float32() - 0.5)
		x[i] = y
	}
}

// addTone adds a tone of random pitch, from 40 Hz to Nyquist's frequency, that lasts or is switched on and off. Every
// third one glides to another pitch.
func addTone(x []float32, rate int, rng *rand.Rand) {
	const lowest = 40.0
	pitch := func() float64 { // radians a sample
		return 2 * math.Pi / float64(rate) * lowest * math.Pow(float64(rate)/2/lowest, rng.Float64())
	}
	step, glide := pitch(), 0.0
	if rng.IntN(3) == 0 {
		glide = (pitch() - step) / float64(len(x))
	}
	level, phase := 0.1+0.9*rng.Float64(), 2*math.Pi*rng.Float64()
	period := len(x)
	if rng.IntN(2) == 0 {
		period = rate/20 + rng.IntN(rate) // samples of one beep and the pause after it
	}
	// The tone is a rotating phasor: multiplications instead of a sine. So is what rotates it, in one that glides.
	re, im := level*math.Cos(phase), level*math.Sin(phase)
	c, s := math.Cos(step), math.Sin(step)
	cc, ss := math.Cos(glide), math.Sin(glide)
	for i := range x {
		if i%period <= period/2 || period == len(x) {
			x[i] += float32(re)
		}
		re, im = re*c-im*s, re*s+im*c
		if glide != 0 {
			c, s = c*cc-s*ss, c*ss+s*cc
		}
	}
}
