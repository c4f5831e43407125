package datasets

import (
	"math"
	"math/rand/v2"
)

// artificial adds to x what instruments, alarms and machines give: one to three sources, each of which lasts, beats,
// dies away or is cut into bursts.
func artificial(x []float32, rate int, rng *rand.Rand) {
	for range 1 + rng.IntN(3) {
		at, level := soundSource(float64(rate), rng), envelope(rate, rng)
		for i := range x {
			x[i] += float32(at(i) * level(i))
		}
	}
	for i, v := range x { // clipped, where they add up to more than full scale
		x[i] = max(-1, min(v, 1))
	}
}

// soundSource draws a sound of about full scale as a function of the sample.
func soundSource(rate float64, rng *rand.Rand) func(i int) float64 {
	const lowest = 30.0
	frequency := func() float64 { return lowest * math.Pow(rate/2/lowest, rng.Float64()) }
	low, high := frequency(), frequency()
	sine := func(hertz float64, i int) float64 { return math.Sin(2 * math.Pi * hertz * float64(i) / rate) }
	switch rng.IntN(7) {
	case 0: // a tone and its harmonics
		harmonics := 1 + rng.IntN(8)
		return func(i int) (v float64) {
			for k := 1; k <= harmonics && float64(k)*low < rate/2; k++ {
				v += sine(float64(k)*low, i) / float64(k)
			}
			return v
		}
	case 1: // a glide, once or again and again
		length := 2 * rate / math.Pow(100, rng.Float64())
		return func(i int) float64 {
			t := math.Mod(float64(i), length)
			return math.Sin(2 * math.Pi * (low + (high-low)*t/2/length) * t / rate)
		}
	case 2: // a vibrato
		depth, speed := frequency(), 1+20*rng.Float64()
		return func(i int) float64 { return math.Sin(2*math.Pi*low*float64(i)/rate + depth/speed*sine(speed, i)) }
	case 3: // a square wave
		return func(i int) float64 { return math.Copysign(1, sine(low, i)) }
	case 4: // noise in a band
		return bandNoise(2*math.Pi*low/rate, rng)
	case 5: // clicks
		period := 1 + rng.IntN(int(rate))
		return func(i int) float64 { return float64(max(0, 1-i%period)) }
	}
	length := 1 + int(rate)/(1+rng.IntN(30)) // a melody
	var notes [64]float64
	for k := range notes {
		notes[k] = frequency()
	}
	return func(i int) float64 { return sine(notes[i/length%len(notes)], i) }
}

// bandNoise returns noise through a resonance of random width at an angle, in radians a sample.
func bandNoise(angle float64, rng *rand.Rand) func(i int) float64 {
	radius := math.Pow(rng.Float64(), 0.1)
	filter, gain := resonance(angle, radius), math.Sqrt(1-radius*radius)
	return func(int) float64 { return gain * filter(2*rng.Float64()-1) }
}

// resonance returns a filter of two poles, of that radius and angle in radians a sample.
func resonance(angle, radius float64) func(x float64) float64 {
	a, b := 2*radius*math.Cos(angle), radius*radius
	var y1, y2 float64
	return func(x float64) float64 {
		y1, y2 = x+a*y1-b*y2, y1
		return y1
	}
}

// envelope draws what a source is multiplied by.
func envelope(rate int, rng *rand.Rand) func(i int) float64 {
	period, share := 1+rng.IntN(rate), rng.Float64()
	phase := func(i int) float64 { return float64(i%period) / float64(period) }
	switch rng.IntN(4) {
	case 0: // bursts
		return func(i int) float64 {
			if phase(i) < share {
				return 1
			}
			return 0
		}
	case 1: // dies away
		return func(i int) float64 { return math.Exp(-10 * share * phase(i)) }
	case 2: // beats
		return func(i int) float64 { return math.Sin(2 * math.Pi * phase(i)) }
	}
	return func(int) float64 { return 1 }
}
