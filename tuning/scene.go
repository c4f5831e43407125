package tuning

import (
	"math"
	"math/rand/v2"

	"github.com/polyphon/polyphon/audio"
)

// Clip is a recording of one word, or of one that is none of the labels.
type Clip struct {
	Label   string
	Samples []float32
}

// SceneOptions says how words are put into a background.
type SceneOptions struct {
	Rate     int        // hertz, of the clips and the background
	Pause    [2]float64 // range of seconds between two clips
	SNR      float64    // of the clips over the background, in dB of mean powers
	LeadIn   float64    // seconds of background before the first clip, and behind the last
	Unspoken func(label string) bool
}

// Scene returns a recording of the clips, one after the other at random distances, on the background, which is repeated as often
// as it takes, and the words that are said in it: those of labels that are not Unspoken.
func Scene(clips []Clip, background []float32, o SceneOptions, rng *rand.Rand) (audio.Clip, []Word) {
	at := int(o.LeadIn * float64(o.Rate))
	begins := make([]int, len(clips))
	for i, c := range clips {
		begins[i] = at
		at += len(c.Samples) + int((o.Pause[0]+(o.Pause[1]-o.Pause[0])*rng.Float64())*float64(o.Rate))
	}
	samples := make([]float32, at+int(o.LeadIn*float64(o.Rate)))
	if len(background) > 0 {
		gain := backgroundGain(clips, background, o.SNR)
		for i := range samples {
			samples[i] = gain * background[i%len(background)]
		}
	}
	var words []Word
	for i, c := range clips {
		begin := begins[i]
		for k, v := range c.Samples {
			samples[begin+k] = max(-1, min(samples[begin+k]+v, 1))
		}
		if o.Unspoken == nil || !o.Unspoken(c.Label) {
			first, last := extent(c.Samples, o.Rate)
			words = append(words, Word{c.Label, float64(begin+first) / float64(o.Rate), float64(begin+last) / float64(o.Rate)})
		}
	}
	return audio.Clip{Rate: o.Rate, Samples: samples}, words
}

// backgroundGain returns the factor that makes the background as many dB softer than the clips, 1 where either is silent.
func backgroundGain(clips []Clip, background []float32, snr float64) float32 {
	signal, power := 0.0, meanSquare(background)
	for _, c := range clips {
		signal += meanSquare(c.Samples) / float64(len(clips))
	}
	if signal == 0 || power == 0 {
		return 1
	}
	return float32(math.Sqrt(signal/power) / math.Pow(10, snr/20))
}

func meanSquare(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum / float64(max(len(x), 1))
}

// extent returns where in a clip of one word the word begins and ends: the first and the last hundredth of a second whose level
// is within 20 dB of the loudest.
func extent(x []float32, rate int) (first, last int) {
	const quiet = 100 // of power
	step := max(rate/100, 1)
	loudest := 0.0
	for at := 0; at < len(x); at += step {
		loudest = max(loudest, meanSquare(x[at:min(at+step, len(x))]))
	}
	first, last = len(x), 0
	for at := 0; at < len(x); at += step {
		end := min(at+step, len(x))
		if meanSquare(x[at:end]) >= loudest/quiet {
			first, last = min(first, at), end
		}
	}
	return min(first, last), last
}
