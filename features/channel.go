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
	channelBumps   = 6
	channelColumns = 64  // mels at a time, whose state needs no memory but the stack
	bandStop       = -40 // dB
)

// Distort applies c to energies, rows of the Config's mels; values that are no whole rows are a bug and panic.
func (e *Extractor) Distort(energies []float32, c Channel, rng *rand.Rand) {
	mels := e.config.Mels
	checkRows(energies, mels)
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
	r := drawResponse(c, band, rng)
	var gains [channelColumns]float32
	for first := 0; first < mels; first += channelColumns {
		columns := gains[:min(channelColumns, mels-first)]
		for i := range columns {
			columns[i] = e.gain(r, first+i)
		}
		for at := first; at < len(energies); at += mels {
			row := energies[at:][:len(columns)]
			for i, g := range columns {
				row[i] *= g
			}
		}
	}
}

// reverberate adds to each row a tail of the rows before it, whose energy decays by 60 dB in the given time.
func reverberate(energies []float32, mels int, c Config, seconds, level float64) {
	decay := float32(math.Pow(1e-6, 1/(seconds*c.FramesPerSecond())))
	added := float32(level) * decay
	for first := 0; first < mels; first += channelColumns {
		var tails [channelColumns]float32
		columns := tails[:min(channelColumns, mels-first)]
		for at := first; at < len(energies); at += mels {
			row := energies[at:][:len(columns)]
			for i, tail := range columns {
				columns[i] = tail*decay + row[i]
				row[i] += tail * added
			}
		}
	}
}

// response is what a filter and a band do to the energy at each frequency.
type response struct {
	tilt      float64 // dB at the upper end of the mel axis, and its negative at the lower one
	bumps     [channelBumps]float64
	low, high float64 // hertz
}

func drawResponse(c Channel, band bool, rng *rand.Rand) response {
	r := response{tilt: uniform(rng, [2]float64{-c.Tilt, c.Tilt}), high: math.Inf(1)}
	for i := range r.bumps {
		r.bumps[i] = rng.NormFloat64() * c.Bumps
	}
	if band {
		r.low, r.high = uniform(rng, c.BandLow), uniform(rng, c.BandHigh)
	}
	return r
}

// gain returns the energy factor of a mel.
func (e *Extractor) gain(r response, mel int) float32 {
	at := float64(mel) / float64(max(e.config.Mels-1, 1))
	point := at * (channelBumps - 1)
	i := min(int(point), channelBumps-2)
	part := point - float64(i)
	dB := r.tilt*(2*at-1) + r.bumps[i]*(1-part) + r.bumps[i+1]*part
	if hz := e.bank.centre(mel, e.config); hz < r.low || hz > r.high {
		dB += bandStop
	}
	return float32(math.Exp(dB * (math.Ln10 / 10)))
}

func uniform(rng *rand.Rand, r [2]float64) float64 { return r[0] + rng.Float64()*(r[1]-r[0]) }
