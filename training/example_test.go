package training_test

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// A model from a folder of recordings, FOLDER/LABEL/*.wav. A small network and few epochs suffice for these two labels;
// without the lines that change the Config it is the recipe for spoken words.
func ExampleFit() {
	folder, err := recordings()
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)

	set, err := datasets.Open(folder, datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cfg := training.Default()
	cfg.Net.Stem.Width = 16
	cfg.Net.Stages = []polynet.Stage{{Width: 16, Blocks: 1, Kernel: 5, Ahead: 2, Stride: 2}}
	cfg.Epochs, cfg.EMA, cfg.Context.Share = 10, 0.9, 0
	model, err := training.Fit(context.Background(), set, cfg, training.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := model.Save(filepath.Join(folder, "pitch.safetensors")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.Labels, "in", model.Window, "s, right for most:", model.Provenance.Metrics["valid_accuracy"] > 75)
	// Output: [high low] in 0.5 s, right for most: true
}

// The same of clips in memory. Each has a label, and a speaker or another source that must not be in two splits.
func ExampleFit_memory() {
	const rate = 16000
	var clips []datasets.Clip
	for i := range 24 {
		for label, hertz := range map[string]float64{"low": 300, "high": 1500} {
			samples := make([]float32, rate/2)
			for k := range samples {
				samples[k] = float32(0.3 * math.Sin(2*math.Pi*(hertz+10*float64(i))*float64(k)/rate))
			}
			clips = append(clips, datasets.Clip{
				Label: label, Speaker: fmt.Sprint("voice ", i), Sound: audio.Clip{Rate: rate, Samples: samples},
			})
		}
	}
	set, err := datasets.New(clips, datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	cfg, choices := training.FactsOf(set, 0.5, nil).Recipe()
	fmt.Println(choices[0].Setting, choices[0].Value+":", choices[0].Reason)
	cfg.Steps, cfg.Context.Share = 100, 0 // of these sounds, few suffice
	model, err := training.Fit(context.Background(), set, cfg, training.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(model.Labels, "in", model.Window, "s, right for most:", model.Provenance.Metrics["valid_accuracy"] > 75)
	// Output:
	// arch pi-relu, small: 40 training clips are fewer than 3000
	// [high low] in 0.5 s, right for most: true
}

// recordings writes 24 sounds of half a second for each of two labels, and returns their folder.
func recordings() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "example"); err != nil {
		return "", err
	}
	const rate = 16000
	for label, hertz := range map[string]float64{"low": 300, "high": 1500} {
		if err := os.Mkdir(filepath.Join(folder, label), 0o755); err != nil {
			return "", err
		}
		for i := range 24 {
			samples := make([]float32, rate/2)
			for k := range samples {
				samples[k] = float32(0.3 * math.Sin(2*math.Pi*(hertz+10*float64(i))*float64(k)/rate))
			}
			f, err := os.Create(filepath.Join(folder, label, fmt.Sprintf("%02d.wav", i)))
			if err != nil {
				return "", err
			}
			clip := audio.Clip{Rate: rate, Samples: samples}
			if err := audio.WriteWAV(f, clip, audio.Tags{}); err != nil {
				return "", err
			}
			if err := f.Close(); err != nil {
				return "", err
			}
		}
	}
	return folder, nil
}
