// Command train trains a model on a folder of recordings, one folder a class, with the default recipe, and saves it.
package main

import (
	"context"
	"log"
	"os"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/training"
)

func main() {
	set, err := datasets.Open(os.Args[1], datasets.Options{})
	if err != nil {
		log.Fatal(err)
	}
	model, err := training.Fit(context.Background(), set, training.Default(), training.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := model.Save(os.Args[2]); err != nil {
		log.Fatal(err)
	}
}
