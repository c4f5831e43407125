// Command wake makes sounds for docs/wake.md in a folder: clips of two words by several made-up speakers, more of them
// by others, talk in which they are not said, and an evening in which one of them is.
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/polyphon/polyphon/audio"
)

const rate = 16000

// words are the sounds of each.
var words = map[string]string{"sesame": "sesaue", "iota": "io-a"}

// formants are the resonances of vowels in hertz (Peterson and Barney, "Control methods used in a study of the vowels",
// 1952).
var formants = map[rune][3]float64{
	'a': {730, 1090, 2440}, 'e': {530, 1840, 2480}, 'i': {270, 2290, 3010}, 'o': {570, 840, 2410}, 'u': {300, 870, 2240},
}

// speaker is a voice: the pitch in hertz, the size of formants and the pace in relation to the usual ones.
type speaker struct{ pitch, size, pace float64 }

func newSpeaker(rng *rand.Rand) speaker {
	return speaker{100 + 120*rng.Float64(), 0.92 + 0.2*rng.Float64(), 0.85 + 0.3*rng.Float64()}
}

// say returns the sounds of a word: vowels, s, and - for a stop.
func (s speaker) say(sounds string, rng *rand.Rand) (samples []float32) {
	var state [4][2]float64 // of the resonators
	phase, n := 0.0, int(0.11*rate/s.pace)
	for _, sound := range sounds {
		frequencies, vowel := formants[sound]
		for i := range n {
			envelope := math.Sin(math.Pi * (float64(i) + 0.5) / float64(n))
			v := 0.0
			switch {
			case vowel:
				if phase += s.pitch * (1 + 0.02*rng.NormFloat64()) / rate; phase >= 1 {
					phase--
					v = 1
				}
				for k, f := range frequencies {
					v = resonate(&state[k], v, s.size*f, 60+40*float64(k))
				}
			case sound == 's':
				v = 0.3 * resonate(&state[3], rng.NormFloat64(), 5500*s.size, 1500)
			}
			samples = append(samples, float32(envelope*v))
		}
	}
	return normal(samples, 0.3)
}

// resonate is a resonator of two poles with a gain of about 1 at its frequency.
func resonate(state *[2]float64, x, hertz, bandwidth float64) float64 {
	r := math.Exp(-math.Pi * bandwidth / rate)
	y := (1-r)*x + 2*r*math.Cos(2*math.Pi*hertz/rate)*state[0] - r*r*state[1]
	state[0], state[1] = y, state[0]
	return y
}

// normal brings samples to a peak.
func normal(samples []float32, peak float32) []float32 {
	largest := float32(1e-9)
	for _, v := range samples {
		largest = max(largest, v, -v)
	}
	for i := range samples {
		samples[i] *= peak / largest
	}
	return samples
}

// room returns the samples in the middle of so many seconds of a room, or followed by so many where they are longer.
func room(samples []float32, seconds float64, rng *rand.Rand) []float32 {
	n := max(int(seconds*rate), len(samples))
	out := make([]float32, n)
	copy(out[(n-len(samples))/2:], samples)
	for i := range out {
		out[i] += float32(0.002 * rng.NormFloat64())
	}
	return out
}

// talk returns some seconds of sounds in which none of the words is.
func talk(seconds float64, rng *rand.Rand) (samples []float32) {
	who := newSpeaker(rng)
	for float64(len(samples)) < seconds*rate {
		var word strings.Builder
		for range 2 + rng.IntN(5) {
			word.WriteByte("aeiou-"[rng.IntN(6)])
		}
		if said := word.String(); !strings.Contains(said, words["iota"]) {
			samples = append(append(samples, who.say(said, rng)...), make([]float32, rate/8)...)
		}
	}
	return samples
}

func write(samples []float32, path ...string) {
	name := filepath.Join(path...)
	err := os.MkdirAll(filepath.Dir(name), 0o777)
	if err == nil {
		var f *os.File
		if f, err = os.Create(name); err == nil {
			err = audio.WriteWAV(f, audio.Clip{Rate: rate, Samples: samples}, audio.Tags{})
			f.Close()
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	dir, rng := os.Args[1], rand.New(rand.NewPCG(1, 2))
	for _, word := range []string{"sesame", "iota"} {
		for i := range 20 {
			folder := "clips"
			if i >= 10 {
				folder = "new"
			}
			write(room(newSpeaker(rng).say(words[word], rng), 1, rng), dir, folder, word, fmt.Sprintf("speaker%d.wav", i))
		}
	}
	for i := range 8 {
		write(room(talk(30, rng), 0, rng), dir, "talk", fmt.Sprintf("%d.wav", i))
	}
	evening := room(talk(3, rng), 7, rng)
	for range 2 {
		evening = append(evening, room(newSpeaker(rng).say(words["sesame"], rng), 3, rng)...)
		evening = append(evening, room(talk(3, rng), 7, rng)...)
	}
	write(evening, dir, "evening.wav")
}
