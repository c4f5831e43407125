package datasets

import (
	"math"
	"math/rand/v2"
)

// shortSounds adds to x one or two sources of short sounds with a steep onset, which are the likeliest to be taken for
// short words: calls, as of animals, or knocks and ticks.
func shortSounds(x []float32, rate int, rng *rand.Rand) {
	for range 1 + rng.IntN(2) {
		at := calls(float64(rate), rng)
		if rng.IntN(3) == 0 {
			at = knocks(float64(rate), rng)
		}
		for i := range x {
			x[i] += float32(at(i))
		}
	}
	for i, v := range x { // clipped, as many recordings of such sounds are
		x[i] = max(-1, min(v, 1))
	}
}

// geometric draws a number between low and high, whose logarithm is uniformly distributed.
func geometric(low, high float64, rng *rand.Rand) float64 {
	return low * math.Pow(high/low, rng.Float64())
}

// calls returns barks, cries and sneezes as a function of the sample: pulses of a gliding pitch and noise, through two
// resonances, in short calls with pauses.
func calls(rate float64, rng *rand.Rand) func(i int) float64 {
	const level = 0.06 // hardly more than full scale
	length, pause := geometric(0.04, 0.6, rng)*rate, geometric(0.05, 1, rng)*rate
	from, to, breath := geometric(100, 1200, rng), geometric(100, 1200, rng), rng.Float64()
	onset, decay := geometric(0.02, 0.5, rng), geometric(0.5, 8, rng) // in calls, and per call
	first := resonance(2*math.Pi*geometric(250, 1200, rng)/rate, geometric(0.9, 0.99, rng))
	second := resonance(2*math.Pi*geometric(900, min(4000, rate/2), rng)/rate, geometric(0.9, 0.99, rng))
	share, phase, begin := rng.Float64(), 0.0, rng.Float64()*(length+pause)
	return func(i int) float64 {
		at, x := math.Mod(begin+float64(i), length+pause)/length, 0.0 // 0 to 1 in a call
		if at < 1 {
			phase += (from + (to-from)*at) / rate
			pulses := 1 - 2*(phase-math.Floor(phase))
			x = min(at/onset, 1) * math.Exp(-decay*at) * (pulses + breath*(2*rng.Float64()-1-pulses))
		}
		return level * (first(x) + share*second(x))
	}
}

// knocks returns knocks and ticks: a resonance that is struck now and again.
func knocks(rate float64, rng *rand.Rand) func(i int) float64 {
	period, begin := 1+int(geometric(0.05, 1.5, rng)*rate), rng.IntN(int(rate))
	ring := resonance(2*math.Pi*geometric(100, rate/2, rng)/rate, 1-geometric(0.001, 0.1, rng))
	return func(i int) float64 {
		if (begin+i)%period == 0 {
			return ring(1)
		}
		return ring(0)
	}
}
