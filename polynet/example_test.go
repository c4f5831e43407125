package polynet_test

import (
	"fmt"
	"log"
	"os"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

// A recording of any length, window by window.
func ExampleWorker_Classify() {
	model, err := models.Default()
	if err != nil {
		log.Fatal(err)
	}
	cpu, err := device.CPU(0) // all cores
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := polynet.NewClassifier(model, cpu) // shared by all goroutines
	if err != nil {
		log.Fatal(err)
	}
	worker, err := classifier.Worker(polynet.Options{Top: 3}) // one for each goroutine
	if err != nil {
		log.Fatal(err)
	}

	file, err := os.Open("left.wav")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	sound, err := audio.Decode(file)
	if err != nil {
		log.Fatal(err)
	}
	for window, err := range worker.Classify(sound) {
		if err != nil {
			log.Fatal(err)
		}
		best := window.Scores[0]
		fmt.Printf("%.1f-%.1f s: %s (%.0f %%)\n", window.Start, window.End, best.Label, 100*best.P)
	}
}

// Samples that are in memory already.
func ExampleWorker_Classify_clip() {
	model, err := models.Default()
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := polynet.NewClassifier(model, device.Ref())
	if err != nil {
		log.Fatal(err)
	}
	worker, err := classifier.Worker(polynet.Options{})
	if err != nil {
		log.Fatal(err)
	}
	silence := audio.Clip{Rate: 44100, Samples: make([]float32, 3*44100)}
	for window, err := range worker.Classify(silence.Source()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.1f-%.1f s: %d labels\n", window.Start, window.End, len(window.Scores))
	}
	// Output:
	// 0.0-1.0 s: 19 labels
	// 0.5-1.5 s: 19 labels
	// 1.0-2.0 s: 19 labels
	// 1.5-2.5 s: 19 labels
	// 2.0-3.0 s: 19 labels
}

// Sound as it arrives, a tenth of a second at a time.
func ExampleClassifier_Stream() {
	model, err := models.Default()
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := polynet.NewClassifier(model, device.Ref())
	if err != nil {
		log.Fatal(err)
	}
	stream, err := classifier.Stream(polynet.StreamOptions{Hop: 0.4, Gate: -60})
	if err != nil {
		log.Fatal(err)
	}
	for range 20 {
		stream.Push(make([]float32, 1600))
		for {
			decision, ok, err := stream.Next()
			if err != nil {
				log.Fatal(err)
			}
			if !ok {
				break
			}
			fmt.Printf("%.1f-%.1f s: nothing to hear: %v\n", decision.Start, decision.End, decision.Gated)
		}
	}
	// Output:
	// 0.0-0.4 s: nothing to hear: true
	// 0.0-0.8 s: nothing to hear: true
	// 0.2-1.2 s: nothing to hear: true
}
