package tuning

import (
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
)

// clip is the sound of one word.
type clip struct {
	label   string
	samples []float32
}

const (
	clipsInScene       = 12       // at most
	minPause, maxPause = 0.3, 1.5 // seconds between two clips
	leadIn             = 2        // seconds of background before the first clip, and after the last
)

// scenes returns the words and the others on backgrounds, and the backgrounds alone.
func (m *Material) scenes(words, others []clip, backgrounds [][]float32) []Recording {
	rng := rand.New(rand.NewPCG(uint64(m.Seed), 1))
	var list []Recording
	add := func(clips []clip, kind Kind) {
		r := m.scene(clips, backgrounds[rng.IntN(len(backgrounds))], rng)
		r.Kind = kind
		list = append(list, r)
	}
	rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	for clips := range slices.Chunk(words, clipsInScene) {
		add(clips, Spoken)
	}
	for seconds := 0.0; seconds < 60*m.Minutes && len(others) > 0; seconds += list[len(list)-1].Duration().Seconds() {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		add(others[:min(len(others), clipsInScene)], OtherWord)
	}
	noise := audio.Clip{Rate: m.Rate}
	for noise.Duration().Seconds() < 60*m.Minutes {
		noise.Samples = append(noise.Samples, slices.Concat(backgrounds...)...)
	}
	return append(list, Recording{Clip: noise, Kind: Wordless})
}

// scene returns the clips, one after the other with random pauses, on the background, which is repeated as often as
// necessary. The clips with labels of words are the recording's words.
func (m *Material) scene(clips []clip, background []float32, rng *rand.Rand) Recording {
	at, power := leadIn*m.Rate, 0.0
	begins := make([]int, len(clips))
	for i, c := range clips {
		begins[i] = at
		at += len(c.samples) + int((minPause+(maxPause-minPause)*rng.Float64())*float64(m.Rate))
		power += audio.MeanSquare(c.samples) / float64(len(clips))
	}
	samples := make([]float32, at+leadIn*m.Rate)
	gain := audio.SNRGain(power, audio.MeanSquare(background), m.SNR)
	for i := range samples {
		samples[i] = gain * background[i%len(background)]
	}
	r := Recording{Clip: audio.Clip{Rate: m.Rate, Samples: samples}}
	for i, c := range clips {
		for at, v := range c.samples {
			samples[begins[i]+at] = max(-1, min(samples[begins[i]+at]+v, 1))
		}
		if !detect.Background(c.label) {
			first, last := extent(c.samples, m.Rate)
			seconds := func(at int) float64 { return float64(begins[i]+at) / float64(m.Rate) }
			r.Words = append(r.Words, Word{c.label, seconds(first), seconds(last)})
		}
	}
	return r
}

// extent returns a word's first and last hundredth of a second, in samples, whose level is within 20 dB of the loudest.
func extent(x []float32, rate int) (first, last int) {
	step := max(rate/100, 1)
	var powers []float64
	for part := range slices.Chunk(x, step) {
		powers = append(powers, audio.MeanSquare(part))
	}
	first = len(x)
	for i, p := range powers {
		if p >= slices.Max(powers)/100 {
			first, last = min(first, i*step), min((i+1)*step, len(x))
		}
	}
	return first, last
}
