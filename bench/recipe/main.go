// Command recipe trains one model with a Config and measures it on clips that it was not trained on, for run.py.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"time"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// result is what one run gives. Accuracies are in percent.
type result struct {
	Accuracy   float64 `json:"accuracy"` // of the held-out clips
	Balanced   float64 `json:"balanced"` // mean recall of their labels
	Clips      int     `json:"clips"`
	Valid      float64 `json:"valid"`
	ValidClips int     `json:"valid_clips"`
	Best       int     `json:"best"` // epoch
	Epochs     int     `json:"epochs"`
	Parameters int64   `json:"parameters"`
	Seconds    float64 `json:"seconds"`
}

func main() {
	log.SetFlags(0)
	data := flag.String("data", "", "folder to train on")
	heldout := flag.String("heldout", "", "folder to measure on, CLASS/*.wav")
	overrides := flag.String("config", "{}", "fields of training.Config, as JSON")
	augment := flag.String("augment", "", "kind of augmentation")
	from := flag.String("from", "", "model to begin with")
	follow := flag.Bool("recipe", false, "begin with the recipe for the data instead of the default one")
	apart := flag.Bool("separation", false, "only print how much of the training clips -from tells apart")
	threads := flag.Int("threads", 1, "threads")
	silence := flag.Float64("silence", 0.1, "share of silence")
	flag.Parse()
	ctx, begun := context.Background(), time.Now()
	set, err := datasets.Open(*data, datasets.Options{Unknown: 0.1, Silence: *silence, TestFold: -1})
	check(err)
	cfg := training.Default()
	var o training.Options
	if *from != "" {
		o.From, err = models.Open(*from)
		check(err)
		cfg.Net, cfg.Features, cfg.Window = o.From.Net, o.From.Features, o.From.Window
	}
	if *apart {
		lengths, err := set.Lengths(ctx, nil)
		check(err)
		share, err := training.Separation(ctx, set, o.From, lengths.Window(), training.Options{Threads: *threads})
		check(err)
		log.Printf("%.1f %%", 100*share)
		return
	}
	if *follow {
		lengths, err := set.Lengths(ctx, nil)
		check(err)
		followed, _ := training.FactsOf(set, lengths.Window(), o.From).Recipe()
		if o.From != nil {
			followed.Net = cfg.Net
		}
		cfg = followed
		cfg.Window = lengths.Window()
	}
	if *augment != "" {
		cfg.Augment, cfg.Mask = training.Augmentation(training.AugmentKind(*augment))
	}
	check(json.Unmarshal([]byte(*overrides), &cfg))
	o.Threads = *threads
	m, err := training.Fit(ctx, set, cfg, o)
	check(err)
	r := result{
		Seconds: time.Since(begun).Seconds(), Valid: m.Provenance.Metrics["valid_accuracy"],
		ValidClips: int(m.Provenance.Metrics["valid_clips"]), Best: m.Provenance.BestEpoch, Epochs: m.Provenance.Epochs,
		Parameters: int64(m.Provenance.Parameters),
	}
	check(r.measure(ctx, m, *heldout, *threads))
	check(json.NewEncoder(os.Stdout).Encode(r))
}

// measure measures the model on the clips of a folder.
func (r *result) measure(ctx context.Context, m *polynet.Model, folder string, threads int) error {
	set, err := datasets.Open(folder, datasets.Options{Labels: m.Labels})
	if err != nil {
		return err
	}
	dev, err := device.CPU(threads)
	if err != nil {
		return err
	}
	plan, err := inference.Compile(m, dev)
	if err != nil {
		return err
	}
	extractor, err := features.New(m.Features)
	if err != nil {
		return err
	}
	loader, err := datasets.NewLoader(set.Items, nil,
		datasets.LoaderConfig{Extractor: extractor, Window: m.Window, Batch: 32, Threads: threads})
	if err != nil {
		return err
	}
	clips := plan.Clips(32, m.Features.Frames(m.WindowSamples()))
	defer clips.Close()
	report, err := training.Evaluate(loader.Ordered(ctx), func(b *datasets.Batch) ([]float32, error) {
		return clips.Run(b.X, b.B), nil
	}, m.Labels, 1)
	if err != nil {
		return err
	}
	r.Accuracy, r.Balanced, r.Clips = report.Accuracy, report.Balanced(), report.Clips
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
