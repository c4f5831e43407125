package tuning

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
)

// Words that are said without pauses, as digits of a telephone number.
const (
	minRow, maxRow   = 5, 8       // words, but for what is left
	minFade, maxFade = 0.02, 0.06 // seconds in which a word fades into the next one
)

// sequences divides clips into those that are said in a row: of one speaker each, and what is left of several speakers.
func sequences(clips []clip, rng *rand.Rand) (list [][]clip) {
	take := func(from []clip) []clip {
		n := min(minRow+rng.IntN(maxRow-minRow+1), len(from))
		list = append(list, from[:n:n])
		return from[n:]
	}
	bySpeaker := map[string][]clip{}
	var speakers []string // in the order of their first clips
	var left []clip
	for _, c := range clips {
		who, named := datasets.Speaker(filepath.ToSlash(c.item.Path))
		if !named {
			left = append(left, c)
			continue
		}
		if bySpeaker[who] == nil {
			speakers = append(speakers, who)
		}
		bySpeaker[who] = append(bySpeaker[who], c)
	}
	for _, who := range speakers {
		own := bySpeaker[who]
		for len(own) >= minRow {
			own = take(own)
		}
		left = append(left, own...)
	}
	for len(left) > 0 {
		left = take(left)
	}
	return list
}

// join returns the clips without the silence before and after each, one fading into the next with constant power.
func (m *Material) join(clips []clip, rng *rand.Rand) (u utterance) {
	previous := 0 // samples of the clip before
	for _, c := range clips {
		x := trimmed(c.samples, m.Rate)
		fade := int((minFade + (maxFade-minFade)*rng.Float64()) * float64(m.Rate))
		fade = min(fade, len(x)/2, previous/2)
		begin := len(u.samples) - fade
		for i, v := range x[:fade] {
			out, in := math.Sincos(math.Pi / 2 * (1 - (float64(i)+0.5)/float64(fade)))
			u.samples[begin+i] = float32(out)*u.samples[begin+i] + float32(in)*v
		}
		u.samples = append(u.samples, x[fade:]...)
		first, last := audio.Extent(x, m.Rate, wordPart)
		u.words = append(u.words, Word{c.label, m.seconds(begin + first), m.seconds(begin + last)})
		previous = len(x)
	}
	return u
}

// trimmed returns the part of a clip from its first to its last hundredth of a second whose level is within 30 dB of
// the loudest, or 6 dB above the tenth quietest of a hundred where that is more, but never more than 20 dB below.
func trimmed(x []float32, rate int) []float32 {
	_, powers := audio.Levels(x, rate)
	slices.Sort(powers)
	loudest := powers[len(powers)-1]
	if loudest == 0 {
		return x
	}
	first, last := audio.Extent(x, rate, min(max(4*powers[len(powers)/10]/loudest, 0.001), wordPart))
	return x[first:last]
}
