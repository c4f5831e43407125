package audiotest

import (
	"encoding/binary"
	"slices"
)

// Cue is a cue point, in frames.
type Cue struct {
	Label         string
	Start, Length uint32
}

// WithCues returns the WAV file with cue points after its samples.
func WithCues(wav []byte, cues ...Cue) []byte {
	le := binary.LittleEndian
	points, texts := le.AppendUint32(nil, uint32(len(cues))), []byte("adtl")
	for i, c := range cues {
		number := le.AppendUint32(nil, uint32(i+1))
		point := le.AppendUint32(slices.Clone(number), c.Start)
		point = append(append(point, "data"...), make([]byte, 8)...)
		points = append(points, le.AppendUint32(point, c.Start)...)
		length := le.AppendUint32(slices.Clone(number), c.Length)
		texts = append(texts, chunk("labl", append(slices.Clone(number), c.Label+"\x00"...))...)
		texts = append(texts, chunk("ltxt", append(append(length, "rgn "...), make([]byte, 8)...))...)
	}
	return chunk("RIFF", slices.Concat(wav[8:], chunk("cue ", points), chunk("LIST", texts)))
}
