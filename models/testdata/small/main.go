// Command small names one of the embedded models, for a test of what a program carries.
package main

import (
	"fmt"

	"github.com/polyphon/polyphon/models"
)

func main() { fmt.Println(models.Small().Labels) }
