// Command classify prints the likeliest label of a sound file.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/models"
)

func main() {
	r, err := polyphon.New(models.Base())
	if err != nil {
		log.Fatal(err)
	}
	labels, err := r.ClassifyFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %.1f %%\n", labels[0].Label, 100*labels[0].P)
}
