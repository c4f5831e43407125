package datasets

import "slices"

// pseudoWord returns a word of no label, made of a clip: the clip backwards, or its second half followed by the first
// half of another label's clip, halves of the sound's energy.
func (w *worker) pseudoWord(it *Item, samples []int16) []int16 {
	w.pseudo = w.pseudo[:0]
	l := w.l
	other := l.clips[w.rng.IntN(len(l.clips))]
	if l.items[other].Label != it.Label && w.rng.Float64() < 2.0/3 {
		if second, err := l.cache.read(l.sources[other]); err == nil {
			w.pseudo = append(w.pseudo, samples[middle(samples):]...)
			w.pseudo = append(w.pseudo, second[:middle(second)]...)
			return w.pseudo
		}
	}
	w.pseudo = append(w.pseudo, samples...)
	slices.Reverse(w.pseudo)
	return w.pseudo
}

// middle returns the sample at which half of the energy has passed.
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
