package datasets

const longClip = 1.5 // windows, of clips of which one window is too little

// Divide replaces each clip that is at least one and a half windows long by windows of that length, one every hop
// seconds, so that all of a long recording is used. Clips of cue points and of label tracks stay as they are. It
// returns how many recordings it divided.
func (s *Set) Divide(survey Survey, window, hop float64) (divided int) {
	var items []Item
	for _, it := range s.Items {
		length := survey[it.Path].Seconds
		if it.Silence || it.Negative || it.Part != (Span{}) || length < longClip*window {
			items = append(items, it)
			continue
		}
		divided++
		for k := 0; float64(k)*hop+window <= length+1e-6; k++ {
			it.Part = Span{float64(k) * hop, float64(k)*hop + window}
			items = append(items, it)
		}
	}
	s.Items = items
	return divided
}
