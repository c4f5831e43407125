package datasets

const longClip = 1.5 // windows, of clips of which one window is too little

// Divide replaces each clip that is at least one and a half windows long by windows of that length, one every hop
// seconds and a last one at its end, so that all of a long recording is used, and all of a long part of one that a
// label track, or a cue point with a length, states. It returns how many clips it divided.
func (s *Set) Divide(survey Survey, window, hop float64) (divided int) {
	const exact = 1e-6
	var items []Item
	for _, it := range s.Items {
		length := survey[it.Path].length(it)
		if it.Silence || it.Negative || it.Point || length < longClip*window {
			items = append(items, it)
			continue
		}
		divided++
		from, last := it.Part.From, it.Part.From+length-window
		for k := 0; from+float64(k)*hop < last-exact; k++ {
			at := from + float64(k)*hop
			it.Part = Span{at, at + window}
			items = append(items, it)
		}
		it.Part = Span{last, last + window}
		items = append(items, it)
	}
	s.Items = items
	return divided
}
