package enroll

import (
	"math/rand/v2"
	"slices"

	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/detect"
)

const (
	pieceSeconds = 1.5 // of running sound before and after a clip: more than a network's context
	maxPieces    = 100
	surroundings = 12  // of each clip
	maxPause     = 0.3 // seconds between a clip and what surrounds it
	lateWindow   = 0.7 // seconds after a clip's end, in which a window may end that finds it
)

// surrounded is a clip in the middle of running sound: the embeddings of its windows.
type surrounded struct {
	clip     int
	rows     calibrate.Embeddings
	ends     []float64 // of the windows, in seconds
	from, to float64   // of the clip
}

// Surround puts the clips into the middle of running sound, so that a word is made of what streams have, too, and so
// that it can be tuned. What surrounds a word changes its embedding: a network has seconds of context.
func (e *Embedder) Surround(x *Examples, s *Sound, seed int64) error {
	if len(s.pieces) == 0 {
		return nil
	}
	rate := float64(e.model.Features.Rate)
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	pause := func() []float32 { return make([]float32, int(maxPause*rng.Float64()*rate)) }
	piece := func() []float32 { return s.pieces[rng.IntN(len(s.pieces))] }
	for i, it := range x.items {
		clip, err := e.samples(it)
		if err != nil {
			return err
		}
		for range surroundings {
			before := slices.Concat(piece(), pause())
			c := surrounded{clip: i, from: float64(len(before)) / rate}
			c.to = c.from + float64(len(clip))/rate
			if c.ends, err = e.stream(&c.rows, slices.Concat(before, clip, pause(), piece()), i); err != nil {
				return err
			}
			middle := (c.from + c.to + e.model.Window) / 2 // the end of the window with the clip in its middle
			k, _ := slices.BinarySearch(c.ends, middle)
			k = min(k, len(c.ends)-1)
			add(&x.rows, c.rows.Values[k*c.rows.Width:(k+1)*c.rows.Width], []int{i})
			x.surrounded = append(x.surrounded, c)
		}
	}
	return nil
}

// peak returns the number of the highest threshold at which a clip makes an event in most surroundings, -1 where there
// is none.
func (x *Examples) peak(clip int, point detect.Config, label string, logit func(row []float64) float64) (int, error) {
	var peaks []int
	for _, c := range x.surrounded {
		if c.clip != clip {
			continue
		}
		var logits []float64
		for row := range slices.Chunk(c.rows.Values, c.rows.Width) {
			logits = append(logits, logit(row))
		}
		peak := -1
		for i, threshold := range slices.Backward(thresholds()) {
			point.Threshold = threshold
			at, err := eventsAt(point, label, logits, c.ends)
			if err != nil {
				return 0, err
			}
			if slices.ContainsFunc(at, func(end float64) bool { return c.from < end && end < c.to+lateWindow }) {
				peak = i
				break
			}
		}
		peaks = append(peaks, peak)
	}
	slices.Sort(peaks)
	return peaks[(len(peaks)-1)/2], nil
}
