package tuning

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
)

// clip is one word.
type clip struct {
	label   string
	item    datasets.Item
	samples []float32 // nil: those of the item's file, which are read for a scene
}

const (
	clipsInScene       = 12       // at most
	minPause, maxPause = 0.3, 1.5 // seconds between two clips
	leadIn             = 2        // seconds of background before the first clip, and after the last
)

// scenes makes the words and the others on backgrounds, and the backgrounds alone, until use returns false.
func (m *Material) scenes(backgrounds []background, use func(Recording) bool) (goOn bool, err error) {
	words, others := m.clips()
	m.readParts(words)
	m.readParts(others)
	rng := rand.New(rand.NewPCG(uint64(m.Seed), 1))
	said := 0
	add := func(clips []clip, kind Kind) (seconds float64, err error) {
		b := backgrounds[rng.IntN(len(backgrounds))]
		if clips = m.load(clips); len(clips) == 0 {
			return 0, nil
		}
		samples, words, err := m.scene(clips, b, rng)
		if err != nil {
			return 0, err
		}
		said += len(words)
		c := audio.Clip{Rate: m.Rate, Samples: samples}
		goOn = use(Recording{c.Source(), words, kind})
		return c.Duration().Seconds(), nil
	}
	goOn = true
	rng.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
	for clips := range slices.Chunk(words, clipsInScene) {
		if _, err := add(clips, Spoken); err != nil || !goOn {
			return false, err
		}
	}
	if said == 0 {
		return false, errors.New("no clip of a word of the model could be read")
	}
	for seconds := 0.0; seconds < 60*m.Minutes && len(others) > 0; {
		rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		made, err := add(others[:min(len(others), clipsInScene)], OtherWord)
		if err != nil || !goOn {
			return false, err
		}
		seconds += made
		others = slices.DeleteFunc(others, func(c clip) bool {
			return m.unread[c.item.Path] || c.item.Part != (datasets.Span{}) && len(c.samples) == 0
		})
	}
	if m.Minutes == 0 {
		return true, nil
	}
	noise := &chain{m: m, files: backgrounds, least: int(math.Ceil(60 * m.Minutes * float64(m.Rate)))}
	return use(Recording{Sound: noise, Kind: Wordless}), nil
}

// scene returns the clips, one after the other with random pauses, on the background, which is repeated as often as
// necessary, and the words: those clips whose labels are words.
func (m *Material) scene(clips []clip, b background, rng *rand.Rand) (samples []float32, words []Word, err error) {
	at, power := leadIn*m.Rate, 0.0
	begins := make([]int, len(clips))
	for i, c := range clips {
		begins[i] = at
		at += len(c.samples) + int((minPause+(maxPause-minPause)*rng.Float64())*float64(m.Rate))
		power += audio.MeanSquare(c.samples) / float64(len(clips))
	}
	samples = make([]float32, at+leadIn*m.Rate)
	background, err := m.beginning(b, len(samples))
	if err != nil {
		return nil, nil, err
	}
	gain := audio.SNRGain(power, b.power, m.SNR)
	for i := range samples {
		samples[i] = gain * background[i%len(background)]
	}
	for i, c := range clips {
		for at, v := range c.samples {
			samples[begins[i]+at] = max(-1, min(samples[begins[i]+at]+v, 1))
		}
		if !detect.Background(c.label) {
			first, last := extent(c.samples, m.Rate)
			seconds := func(at int) float64 { return float64(begins[i]+at) / float64(m.Rate) }
			words = append(words, Word{c.label, seconds(first), seconds(last)})
		}
	}
	return samples, words, nil
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
