package audiotest

import "slices"

// Cue is a cue point, in frames.
type Cue struct {
	Label         string
	Start, Length uint32
}

// WithCues returns the WAV file with cue points after its samples.
func WithCues(wav []byte, cues ...Cue) []byte {
	points, texts := words(uint32(len(cues))), []byte("adtl")
	for i, c := range cues {
		number := uint32(i + 1)
		points = slices.Concat(points, words(number, c.Start), []byte("data"), words(0, 0, c.Start))
		label := slices.Concat(words(number), []byte(c.Label), []byte{0})
		length := slices.Concat(words(number, c.Length), []byte("rgn "), make([]byte, 8))
		texts = slices.Concat(texts, chunk("labl", label), chunk("ltxt", length))
	}
	return chunk("RIFF", slices.Concat(wav[8:], chunk("cue ", points), chunk("LIST", texts)))
}
