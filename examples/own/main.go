// Command own makes sounds for docs/own-sounds.md in a folder: clips of three classes, long recordings with label
// tracks, and a sound that is new.
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/polyphon/polyphon/audio"
)

const rate = 16000

// sounds are what is heard t seconds after a sound begins.
var sounds = map[string]func(t float64, rng *rand.Rand) float64{
	"doorbell": func(t float64, _ *rand.Rand) float64 {
		tone := 660.0
		if t > 0.4 {
			tone = 520
		}
		return math.Sin(2*math.Pi*tone*t) * math.Exp(-4*math.Mod(t, 0.4))
	},
	"kettle":   func(t float64, _ *rand.Rand) float64 { return math.Sin(2*math.Pi*(2500*t+60*t*t)) * min(2*t, 1) },
	"knock":    func(t float64, rng *rand.Rand) float64 { return rng.NormFloat64() * math.Exp(-60*math.Mod(t, 0.25)) },
	"tap, hot": func(_ float64, rng *rand.Rand) float64 { return rng.NormFloat64() / 3 },
}

// sound returns a second of a class over a little noise, not always at the same pitch and level; of "", the noise.
func sound(class string, rng *rand.Rand) []float32 {
	samples := make([]float32, rate)
	speed, level := 0.9+0.2*rng.Float64(), 0.1+0.4*rng.Float64()
	for i := range samples {
		v := 0.003 * rng.NormFloat64()
		if make := sounds[class]; make != nil {
			v += level * make(speed*float64(i)/rate, rng)
		}
		samples[i] = float32(v)
	}
	return samples
}

// write writes a file and, where there is one, its label track.
func write(samples []float32, track string, path ...string) {
	name := filepath.Join(path...)
	err := os.MkdirAll(filepath.Dir(name), 0o777)
	if err == nil && track != "" {
		err = os.WriteFile(strings.TrimSuffix(name, ".wav")+".txt", []byte(track), 0o666)
	}
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
	dir, rng := os.Args[1], rand.New(rand.NewPCG(3, 4))
	for _, class := range []string{"doorbell", "kettle", "knock"} {
		for i := range 10 {
			write(sound(class, rng), "", dir, "kitchen", class, fmt.Sprintf("%s-%d.wav", class, i))
		}
	}
	for _, day := range []string{"monday", "tuesday", "wednesday", "thursday"} {
		var recording []float32
		track := ""
		for range 3 {
			for _, class := range []string{"doorbell", "kettle", "knock", "tap, hot"} {
				begin := float64(len(recording)) / rate
				track += fmt.Sprintf("%.6f\t%.6f\t%s\n", begin, begin+1, class)
				recording = slices.Concat(recording, sound(class, rng), sound("", rng))
			}
		}
		write(recording, track, dir, "week", day+".wav")
	}
	write(sound("doorbell", rng), "", dir, "new.wav")
}
