package tuning

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
)

// clip is one word.
type clip struct {
	label   string // of another word: the name of its folder
	item    datasets.Item
	samples []float32 // nil: those of the item's file, which are read for a scene
}

// wordPart is the part of its loudest hundredth of a second's power with which a word begins and ends: 20 dB below.
const wordPart = 0.01

const (
	clipsInScene       = 12       // at most
	minPause, maxPause = 0.3, 1.5 // seconds between two clips
	leadIn             = 2        // seconds of background before the first clip, and after the last
)

// utterance is sound with the words in it, in seconds since its beginning.
type utterance struct {
	samples []float32
	words   []Word
}

// alone returns a clip as an utterance.
func (m *Material) alone(c clip) utterance {
	first, last := audio.Extent(c.samples, m.Rate, wordPart)
	return utterance{c.samples, []Word{{c.label, m.seconds(first), m.seconds(last)}}}
}

// seconds returns the time of a number of samples.
func (m *Material) seconds(samples int) float64 { return float64(samples) / float64(m.Rate) }

// scenes makes the words and the others on backgrounds, until use returns false.
func (m *Material) scenes(use func(Recording) bool) (goOn bool, err error) {
	words, others := m.clips()
	m.readParts(words)
	m.readParts(others)
	said, goOn, err := m.scenesOf(Spoken, words, use)
	if err == nil && goOn && said == 0 {
		err = errors.New("no clip of a word of the model could be read")
	}
	if err == nil && goOn && m.Fluent {
		_, goOn, err = m.scenesOf(Fluent, words, use)
	}
	if err == nil && goOn {
		_, goOn, err = m.scenesOf(OtherWord, others, use)
	}
	return goOn, err
}

// scenesOf makes the scenes of a kind, until use returns false, and returns how many clips are in them.
func (m *Material) scenesOf(kind Kind, clips []clip, use func(Recording) bool) (said int, goOn bool, err error) {
	rng := rand.New(rand.NewPCG(uint64(m.Seed), uint64(kind)))
	left := m.most() // samples, of other words
	for _, group := range groups(kind, slices.Clone(clips), rng) {
		var list []utterance
		for _, clips := range group {
			if clips = m.load(clips); kind == Fluent && len(clips) > 0 {
				list = append(list, m.join(clips, rng))
			} else if len(clips) > 0 {
				list = append(list, m.alone(clips[0]))
			}
		}
		if len(list) == 0 {
			continue
		}
		samples, words, err := m.scene(list, rng)
		if err != nil {
			return said, false, err
		}
		said += len(words)
		r := Recording{Words: words, Kind: kind}
		if kind == OtherWord {
			r.Words = nil
			samples = samples[:min(len(samples), left)]
			left -= len(samples)
			r.Others = slices.DeleteFunc(words, func(w Word) bool { return w.End > m.seconds(len(samples)) })
		}
		r.Sound = audio.Clip{Rate: m.Rate, Samples: samples}.Source()
		if !use(r) {
			return said, false, nil
		}
		if left == 0 {
			break
		}
	}
	return said, true, nil
}

// groups returns for each scene of a kind its utterances, each the clips that are said in a row.
func groups(kind Kind, clips []clip, rng *rand.Rand) [][][]clip {
	rng.Shuffle(len(clips), func(i, j int) { clips[i], clips[j] = clips[j], clips[i] })
	utterances, inScene := slices.Collect(slices.Chunk(clips, 1)), clipsInScene
	if kind == Fluent {
		utterances, inScene = sequences(clips, rng), 2
	}
	return slices.Collect(slices.Chunk(utterances, inScene))
}

// scene returns the utterances, one after the other with random pauses, on a background, which is repeated as often as
// necessary, and their words. All utterances are brought to one level, since recordings differ by far more than SNR
// says.
func (m *Material) scene(list []utterance, rng *rand.Rand) (samples []float32, words []Word, err error) {
	var backgrounds []background
	for _, folder := range m.under() {
		backgrounds = append(backgrounds, m.measured[folder]...)
	}
	b := backgrounds[rng.IntN(len(backgrounds))]
	at := leadIn * m.Rate
	begins := make([]int, len(list))
	for i, u := range list {
		begins[i] = at
		at += len(u.samples) + int((minPause+(maxPause-minPause)*rng.Float64())*float64(m.Rate))
	}
	power, gains := level(list)
	samples = make([]float32, at+leadIn*m.Rate)
	background, err := m.beginning(b, len(samples))
	if err != nil {
		return nil, nil, err
	}
	gain := audio.SNRGain(power, b.power, m.SNR)
	for i := range samples {
		samples[i] = gain * background[i%len(background)]
	}
	for i, u := range list {
		for at, v := range u.samples {
			samples[begins[i]+at] = max(-1, min(samples[begins[i]+at]+gains[i]*v, 1))
		}
		for _, w := range u.words {
			words = append(words, Word{w.Label, m.seconds(begins[i]) + w.Start, m.seconds(begins[i]) + w.End})
		}
	}
	return samples, words, nil
}

// level returns the mean square that the utterances are brought to, the geometric mean of theirs, and the factors that
// do so, as far as full scale allows.
func level(list []utterance) (power float64, gains []float32) {
	powers, logs, n := make([]float64, len(list)), 0.0, 0
	for i, u := range list {
		if powers[i] = audio.MeanSquare(u.samples); powers[i] > 0 {
			logs += math.Log(powers[i])
			n++
		}
	}
	power = math.Exp(logs / float64(max(n, 1)))
	for i, u := range list {
		gain := 1.0
		if powers[i] > 0 {
			peak := float64(max(slices.Max(u.samples), -slices.Min(u.samples)))
			gain = min(math.Sqrt(power/powers[i]), 1/peak)
		}
		gains = append(gains, float32(gain))
	}
	return power, gains
}
