package features

import (
	"math"
	"math/rand/v2"
)

// Channel changes mel energies as rooms and microphones do, for training that has to hold elsewhere. It works on the energies
// in front of the logarithm, where a filter is a factor for each mel. The zero value does nothing.
type Channel struct {
	Room        float64    `json:"room,omitempty"`         // probability of late reverberation
	RoomSeconds [2]float64 `json:"room_seconds,omitempty"` // range of the time in which it decays by 60 dB
	RoomLevel   [2]float64 `json:"room_level,omitempty"`   // range of the energy that one frame adds to the next one

	Filter float64 `json:"filter,omitempty"` // probability of a random frequency response
	Tilt   float64 `json:"tilt,omitempty"`   // dB at the ends of the mel axis, at most
	Bumps  float64 `json:"bumps,omitempty"`  // standard deviation in dB at channelBumps points of the mel axis, linear between

	Band     float64    `json:"band,omitempty"`      // probability of a narrow band, 40 dB down outside
	BandLow  [2]float64 `json:"band_low,omitempty"`  // range of its lower end in hertz
	BandHigh [2]float64 `json:"band_high,omitempty"` // range of its upper end in hertz
}

const (
	channelBumps = 6
	bandStop     = -40 // dB
)

// Distort applies c to energies, rows of the Config's mels.
func (e *Extractor) Distort(energies []float32, c Channel, rng *rand.Rand) {
	mels := e.config.Mels
	if rng.Float64() < c.Room {
		reverberate(energies, mels, e.config, uniform(rng, c.RoomSeconds), uniform(rng, c.RoomLevel))
	}
	filter, band := rng.Float64() < c.Filter, rng.Float64() < c.Band
	if !filter && !band {
		return
	}
	if !filter {
		c.Tilt, c.Bumps = 0, 0
	}
	gains := e.response(c, band, rng)
	for len(energies) >= mels {
		for i, g := range gains {
			energies[i] *= g
		}
		energies = energies[mels:]
	}
}

// reverberate adds to each row a tail of the rows before it, whose energy decays by 60 dB in the given time.
func reverberate(energies []float32, mels int, c Config, seconds, level float64) {
	decay := float32(math.Pow(1e-6, 1/(seconds*c.FramesPerSecond())))
	tail := make([]float32, mels)
	for len(energies) >= mels {
		for i, v := range energies[:mels] {
			energies[i] += float32(level) * decay * tail[i]
			tail[i] = tail[i]*decay + v
		}
		energies = energies[mels:]
	}
}

// response draws the energy factor of each mel.
func (e *Extractor) response(c Channel, band bool, rng *rand.Rand) []float32 {
	mels := e.config.Mels
	tilt := uniform(rng, [2]float64{-c.Tilt, c.Tilt})
	var bumps [channelBumps]float64
	for i := range bumps {
		bumps[i] = rng.NormFloat64() * c.Bumps
	}
	low, high := 0.0, math.Inf(1)
	if band {
		low, high = uniform(rng, c.BandLow), uniform(rng, c.BandHigh)
	}
	gains := make([]float32, mels)
	for m := range gains {
		at := float64(m) / float64(max(mels-1, 1))
		point := at * (channelBumps - 1)
		i := min(int(point), channelBumps-2)
		part := point - float64(i)
		dB := tilt*(2*at-1) + bumps[i]*(1-part) + bumps[i+1]*part
		if hz := e.bank.centre(m, e.config); hz < low || hz > high {
			dB += bandStop
		}
		gains[m] = float32(math.Pow(10, dB/10))
	}
	return gains
}

func uniform(rng *rand.Rand, r [2]float64) float64 { return r[0] + rng.Float64()*(r[1]-r[0]) }
