// Command field makes sounds for docs/sorting.md in a folder: clips of four classes to train on, the recordings of a
// memory card, of which one cannot be read, and an evening of live sound.
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/polyphon/polyphon/audio"
)

const rate = 16000

// sounds are what is heard at t seconds.
var sounds = map[string]func(t float64, rng *rand.Rand) float64{
	"cricket": func(t float64, _ *rand.Rand) float64 { return math.Sin(2*math.Pi*4500*t) * pulse(t*25) * pulse(t*2) },
	"frog": func(t float64, _ *rand.Rand) float64 {
		return math.Sin(2*math.Pi*(500*t+20*math.Sin(5*t))) * pulse(t*9)
	},
	"motor": func(t float64, rng *rand.Rand) float64 { return math.Mod(t*85, 1) - 0.5 + 0.1*rng.NormFloat64() },
	"rain":  func(_ float64, rng *rand.Rand) float64 { return rng.NormFloat64() / 3 },
}

// pulse is on for half of each period.
func pulse(periods float64) float64 { return max(0, math.Sin(2*math.Pi*periods)) }

// sound returns some seconds of a class over a little noise, not always at the same pitch and level; of "", the noise.
func sound(class string, seconds float64, rng *rand.Rand) []float32 {
	samples := make([]float32, int(seconds*rate))
	speed, level, begin := 0.9+0.2*rng.Float64(), 0.1+0.4*rng.Float64(), rng.Float64()
	for i := range samples {
		v := 0.003 * rng.NormFloat64()
		if make := sounds[class]; make != nil {
			v += level * make(begin+speed*float64(i)/rate, rng)
		}
		samples[i] = float32(v)
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
	var evening []float32
	for k, class := range []string{"cricket", "frog", "motor", "rain"} {
		for i := range 12 {
			write(sound(class, 1, rng), dir, "clips", class, fmt.Sprintf("%s-%d.wav", class, i))
		}
		for i := range 3 {
			night := fmt.Sprintf("night%d", i+1)
			write(sound(class, 6, rng), dir, "card", night, fmt.Sprintf("REC%03d.wav", k+1))
		}
		evening = append(append(evening, sound("", 3, rng)...), sound(class, 2, rng)...)
	}
	write(append(evening, sound("", 3, rng)...), dir, "evening.wav")
	if err := os.WriteFile(filepath.Join(dir, "card", "night3", "REC005.wav"), []byte("no sound"), 0o666); err != nil {
		log.Fatal(err)
	}
}
