// Command abuse writes the recordings that bench/abuse.sh works on:
//
//	DIR/words/low/*.wav, DIR/words/high/*.wav   tones, to train on
//	DIR/many/*/*.wav                            short recordings, to classify
//	DIR/long/*.wav                              hours of silence each, in next to no room
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

func main() {
	log.SetFlags(0)
	dir := os.Args[1]
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 24 {
		write(filepath.Join(dir, "words", "low", fmt.Sprintf("%d.wav", i)), tone(0.3, 300, rng))
		write(filepath.Join(dir, "words", "high", fmt.Sprintf("%d.wav", i)), tone(0.3, 900, rng))
	}
	for i := range 300 {
		path := filepath.Join(dir, "many", fmt.Sprint(i%7), fmt.Sprintf("%03d.wav", i))
		write(path, tone(0.5+rng.Float64(), 200+1000*rng.Float64(), rng))
	}
	for i := range 4 {
		path := filepath.Join(dir, "long", fmt.Sprintf("%d.wav", i))
		write(path, make([]float32, 8))
		stretch(path, 16*3600*rate*2)
	}
}

// tone returns seconds of about a frequency, in noise.
func tone(seconds, hertz float64, rng *rand.Rand) []float32 {
	samples := make([]float32, int(seconds*rate))
	hertz *= 0.95 + 0.1*rng.Float64()
	for i := range samples {
		samples[i] = float32(0.3*math.Sin(2*math.Pi*hertz*float64(i)/rate) + 0.02*rng.NormFloat64())
	}
	return samples
}

func write(path string, samples []float32) {
	check(os.MkdirAll(filepath.Dir(path), 0o777))
	f, err := os.Create(path)
	check(err)
	check(audio.WriteWAV(f, audio.Clip{Rate: rate, Samples: samples}, audio.Tags{}))
	check(f.Close())
}

// stretch makes the sound of a WAV file so many bytes long, without writing them.
func stretch(path string, size int) {
	const header = 44
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(err)
	for at, v := range map[int64]int{4: header - 8 + size, header - 4: size} {
		_, err := f.WriteAt([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)}, at)
		check(err)
	}
	check(f.Truncate(header + int64(size)))
	check(f.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
