package compress

import (
	"fmt"
	"slices"

	"github.com/polyphon/polyphon/polynet"
)

// report says what was done. everywhere is how many units would go without Around, or -1.
func (w *exactWork) report(chosen []choice, c comparison, everywhere int) Report {
	var sum Units
	var linear int
	var lines []string
	for g, u := range w.units {
		if !u.read {
			continue
		}
		width, left := w.channels.groups[g].width, len(chosen[g].keep)
		counts := Units{All: width, Removed: width - left, Zero: u.zero, Unread: u.free, Dependent: u.same}
		if w.rectified(g) {
			counts.Rectified = width
			for _, active := range u.active {
				if active {
					counts.Active++
				}
			}
		}
		sum.add(counts)
		if !slices.Contains(u.active, false) {
			linear++
		}
		if left < width {
			name := w.channels.groups[g].name
			lines = append(lines, fmt.Sprintf("%s: %d of %d units stay; %s", name, left, width, counts.reasons()))
		}
	}
	domain := "for all features within the limit"
	if w.Around != nil {
		domain = fmt.Sprintf("within ±%g dB of one clip's features", w.Radius)
	}
	if everywhere >= 0 {
		lines = append(lines, fmt.Sprintf("for all features within the limit, bounds alone prove it of %d units (%.1f %%)",
			everywhere, 100*float64(everywhere)/float64(sum.All)))
	}
	if w.integer != nil {
		lines = append(lines, w.integer.report())
	}
	lines = append(lines,
		fmt.Sprintf("of %d units with a ReLU, %d are stably active; %d sets of units have no ReLU, or one that passes "+
			"everything", sum.Rectified, sum.Active, linear),
		c.report(w.Points))
	return Report{
		Done: fmt.Sprintf("%d of %d units removed (%.1f %%), proved %s: %s",
			sum.Removed, sum.All, 100*float64(sum.Removed)/float64(sum.All), domain, sum.reasons()),
		Lines: lines, Units: &sum,
	}
}

// rectified reports whether a group's units have a ReLU.
func (w *exactWork) rectified(g int) bool {
	for i, s := range w.channels.p.Steps {
		if s.ReLU && w.channels.of[polynet.Output(i)] == g {
			return true
		}
	}
	return false
}

// Units counts what Exact found of a network's units.
type Units struct {
	All       int `json:"all"`
	Removed   int `json:"removed"`
	Zero      int `json:"zero"`      // are 0 everywhere
	Unread    int `json:"unread"`    // are not 0, but nothing reads them
	Dependent int `json:"dependent"` // are combinations of others
	Rectified int `json:"rectified"` // have a ReLU
	Active    int `json:"active"`    // have one that always passes them
}

func (u *Units) add(v Units) {
	u.All, u.Removed, u.Rectified, u.Active = u.All+v.All, u.Removed+v.Removed, u.Rectified+v.Rectified, u.Active+v.Active
	u.Zero, u.Unread, u.Dependent = u.Zero+v.Zero, u.Unread+v.Unread, u.Dependent+v.Dependent
}

// reasons says why units can be removed.
func (u Units) reasons() string {
	return fmt.Sprintf("%d are 0, %d are not read, %d are combinations of others", u.Zero, u.Unread, u.Dependent)
}
