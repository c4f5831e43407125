package datasets

import "slices"

// makeUp returns a word that nobody knows, made of a clip: the clip backwards, or its second half with the first half of
// another label's clip behind it, halves of the sound's energy.
func (w *worker) makeUp(it *Item, samples []int16) []int16 {
	w.made = w.made[:0]
	l := w.l
	other := l.speech[w.rng.IntN(len(l.speech))]
	if l.items[other].Label != it.Label && w.rng.Float64() < 2.0/3 {
		if behind, err := l.clips.read(l.file[other]); err == nil {
			w.made = append(w.made, samples[middle(samples):]...)
			w.made = append(w.made, behind[:middle(behind)]...)
			return w.made
		}
	}
	w.made = append(w.made, samples...)
	slices.Reverse(w.made)
	return w.made
}

// middle returns where half of the energy has passed.
func middle(samples []int16) int {
	total := 0.0
	for _, v := range samples {
		total += float64(v) * float64(v)
	}
	passed := 0.0
	for i, v := range samples {
		if passed += float64(v) * float64(v); passed >= total/2 {
			return i
		}
	}
	return len(samples)
}
