// Command listen prints the events in live sound on the standard input (16 kHz, 16 bit, mono), each as soon as it is
// certain.
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
	l, err := r.Listen(polyphon.Format{Rate: 16000})
	if err != nil {
		log.Fatal(err)
	}
	for e, err := range l.Follow(os.Stdin) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.2f s: %s %.1f %%\n", e.Start, e.Label, 100*e.P)
	}
}
