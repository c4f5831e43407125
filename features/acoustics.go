package features

import (
	"math"
	"math/rand/v2"
)

// Acoustics varies mel energies as rooms and microphones do, so that training carries over to other ones. It works on
// the energies before the logarithm, where a filter is a factor for each mel. The zero value does nothing.
type Acoustics struct {
	Room        float64    `json:"room,omitempty"`         // probability of late reverberation
	RoomSeconds [2]float64 `json:"room_seconds,omitempty"` // range of the time in which it decays by 60 dB
	RoomLevel   [2]float64 `json:"room_level,omitempty"`   // range of the energy that one frame adds to the next one

	Filter float64 `json:"filter,omitempty"` // probability of a random frequency response
	Tilt   float64 `json:"tilt,omitempty"`   // dB at the ends of the mel axis, at most
	Bumps  float64 `json:"bumps,omitempty"`  // standard deviation in dB at bumpPoints points of the mel axis

	Band     float64    `json:"band,omitempty"`      // probability of a narrow band, 40 dB down outside
	BandLow  [2]float64 `json:"band_low,omitempty"`  // range of its lower end in hertz
	BandHigh [2]float64 `json:"band_high,omitempty"` // range of its upper end in hertz
}

const bumpPoints = 6

// Distort applies a to energies, rows of the Config's mels. It panics where they are not whole rows.
func (e *Extractor) Distort(energies []float32, a Acoustics, rng *rand.Rand) {
	mels := e.config.Mels
	checkRows(energies, mels)
	if rng.Float64() < a.Room {
		reverberate(energies, e.config, uniform(rng, a.RoomSeconds), uniform(rng, a.RoomLevel))
	}
	filter, band := rng.Float64() < a.Filter, rng.Float64() < a.Band
	if !filter && !band {
		return
	}
	if !filter {
		a.Tilt, a.Bumps = 0, 0
	}
	var gains [maxMels]float32 // on the stack
	e.response(gains[:mels], a, band, rng)
	for ; len(energies) > 0; energies = energies[mels:] {
		for i, g := range gains[:mels] {
			energies[i] *= g
		}
	}
}

// reverberate adds to each row a tail of the rows before it, whose energy decays by 60 dB in the given time.
func reverberate(energies []float32, c Config, seconds, level float64) {
	decay := float32(math.Pow(1e-6, 1/(seconds*c.FramesPerSecond())))
	added := float32(level) * decay
	var tails [maxMels]float32 // on the stack
	for ; len(energies) > 0; energies = energies[c.Mels:] {
		for i, tail := range tails[:c.Mels] {
			tails[i] = tail*decay + energies[i]
			energies[i] += tail * added
		}
	}
}

// response draws the effect of a filter and, where band says so, a band on the energy of each mel.
func (e *Extractor) response(gains []float32, a Acoustics, band bool, rng *rand.Rand) {
	tilt := uniform(rng, [2]float64{-a.Tilt, a.Tilt}) // dB at the upper end of the mel axis, its negative at the lower one
	var bumps [bumpPoints]float64
	for i := range bumps {
		bumps[i] = rng.NormFloat64() * a.Bumps
	}
	low, high := 0.0, math.Inf(1) // hertz
	if band {
		low, high = uniform(rng, a.BandLow), uniform(rng, a.BandHigh)
	}
	for mel := range gains {
		at := float64(mel) / float64(max(len(gains)-1, 1))
		point := at * (bumpPoints - 1)
		i := min(int(point), bumpPoints-2)
		part := point - float64(i)
		dB := tilt*(2*at-1) + bumps[i]*(1-part) + bumps[i+1]*part
		if hz := e.bank.centre(mel, e.config); hz < low || hz > high {
			dB -= 40
		}
		gains[mel] = float32(math.Exp(dB * (math.Ln10 / 10)))
	}
}

func uniform(rng *rand.Rand, r [2]float64) float64 { return r[0] + rng.Float64()*(r[1]-r[0]) }
