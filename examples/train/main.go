// Command train trains a model on a folder of recordings, one folder a class, with the recipe for such data, and saves
// it.
package main

import (
	"context"
	"log"
	"os"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/training"
)

func main() {
	ctx := context.Background()
	set, err := datasets.Open(os.Args[1], datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	lengths, err := set.Lengths(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	config, _ := training.FactsOf(set, lengths.Window(), nil).Recipe()
	model, err := training.Fit(ctx, set, config, training.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := model.Save(os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
