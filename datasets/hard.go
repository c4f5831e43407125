package datasets

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// Place is a place in a recording of negatives.
type Place struct {
	Item   int // index of one of the examples that are cut from the recording
	Sample int // of the example's part of the recording, at the loader's rate
}

// MaxPlaces is how many hard places a Loader has, at most.
const MaxPlaces = 8192

const (
	hardNegatives = 0.5 // share of the negatives in training that are hard places, where there are any
	hardShift     = 0.5 // windows that a hard place lies from where it was found, at most
)

// Mine finds the hard places among the negatives (hard negative mining). It goes through all recordings that examples
// are cut from, unaugmented and not normalised, in batches of stretches as long as a window and its context, of which
// Context.Before lies before the window. score returns, for each example of a batch, how hard it is and at which of its
// frames the hard window begins. The places of those that are above 0 are returned, at most MaxPlaces, hardest first.
func (l *Loader) Mine(
	ctx context.Context, score func(b *Batch) (hard []float64, frames []int, err error),
) ([]Place, error) {
	places := l.sweep()
	if len(places) == 0 {
		return nil, nil
	}
	p := pass{lead: l.lead, places: places}
	for _, place := range places {
		p.order = append(p.order, place.Item)
	}
	type found struct {
		Place
		hard float64
	}
	var all []found
	hop := l.cfg.Extractor.Config().Hop
	for b, err := range l.iterate(ctx, p) {
		if err != nil {
			return nil, err
		}
		hard, frames, err := score(b)
		if err != nil {
			return nil, err
		}
		for i, place := range b.places {
			if hard[i] > 0 {
				place.Sample += frames[i] * hop
				all = append(all, found{place, hard[i]})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return cmp.Compare(b.hard, a.hard) })
	var list []Place
	for _, f := range all[:min(len(all), MaxPlaces)] {
		list = append(list, f.Place)
	}
	return list, nil
}

// SetHard has half of the negatives of each Epoch from now on cut around these places, drawn from all alike. Places
// that are none give an error wrapping ErrOptions. It must not be called during an Epoch.
func (l *Loader) SetHard(places []Place) error {
	for _, p := range places {
		if p.Item < 0 || p.Item >= len(l.items) || !l.items[p.Item].Negative || p.Sample < 0 {
			return fmt.Errorf("%w: no place in a recording of negatives: %+v", ErrOptions, p)
		}
	}
	l.hard = places
	return nil
}

// sweep returns where the stretches begin that the recordings of negatives are divided into, each of which begins a
// window's length before the end of the one before it.
func (l *Loader) sweep() (places []Place) {
	seen := map[source]bool{}
	step := max(l.longest-l.window, 1)
	for _, i := range l.negatives {
		if seen[l.sources[i]] {
			continue
		}
		seen[l.sources[i]] = true
		samples, err := l.read(i)
		if err != nil {
			continue // Skipped names it
		}
		for at := 0; at == 0 || at+l.window <= len(samples); at += step {
			places = append(places, Place{i, at})
		}
	}
	return places
}

// fillHard fills the whole stretch with a hard place, which lies somewhere in or near the window, and its surroundings.
func (w *worker) fillHard() bool {
	l := w.l
	if !w.p.train || len(l.hard) == 0 || w.rng.Float64() >= hardNegatives {
		return false
	}
	place := l.hard[w.rng.IntN(len(l.hard))]
	samples, err := l.read(place.Item)
	if err != nil {
		return false
	}
	shift := between([2]float64{-hardShift, hardShift}, w.rng) * float64(l.window)
	window(w.stretch, samples, place.Sample-max(w.lead, 0)+int(shift))
	return true
}
