package audio

import (
	"fmt"
	"strings"
)

// damage collects the places of a sound at which something is missing.
type damage struct {
	places int
	first  int64 // samples before the first of them
	silent int64 // samples of silence in their place, all together
}

// add adds a place after so many samples where so many are silent.
func (d *damage) add(at, silent int64) {
	if d.places == 0 {
		d.first = at
	}
	d.places++
	d.silent += silent
}

// note returns what is to be said of the damage, "" where there is none.
func (d *damage) note(rate int) string {
	if d.places == 0 {
		return ""
	}
	note := "damaged at " + place(d.first, rate)
	if d.places > 1 {
		note += fmt.Sprintf(" and at %d more places", d.places-1)
	}
	if d.silent > 0 {
		note += ", with " + place(d.silent, rate) + " of silence instead"
	}
	return note
}

// place returns a number of samples as a time for messages.
func place(samples int64, rate int) string {
	return fmt.Sprintf("%.2f s", float64(samples)/float64(rate))
}

// joinNotes joins sentences of a warning, leaving out empty ones.
func joinNotes(first string, more []string) string {
	var all []string
	for _, note := range append([]string{first}, more...) {
		if note != "" {
			all = append(all, note)
		}
	}
	return strings.Join(all, "; ")
}
