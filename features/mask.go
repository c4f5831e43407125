package features

import (
	"math/rand/v2"
	"slices"
)

// Mask blanks ranges of normalised rows in training (Park et al., "SpecAugment", 2019). The zero value does nothing.
type Mask struct {
	TimeMasks int `json:"time_masks,omitempty"` // ranges of rows
	MaxTime   int `json:"max_time,omitempty"`   // rows in each, at most
	FreqMasks int `json:"freq_masks,omitempty"` // ranges of mels
	MaxFreq   int `json:"max_freq,omitempty"`   // mels in each, at most
}

// Apply sets random ranges to 0, the mean of normalised rows. Counts and limits below 0 count as 0.
func (m Mask) Apply(rows []float32, mels int, rng *rand.Rand) {
	checkRows(rows, mels)
	for range m.TimeMasks {
		begin, end := drawRange(len(rows)/mels, m.MaxTime, rng)
		clear(rows[begin*mels : end*mels])
	}
	for range m.FreqMasks {
		begin, end := drawRange(mels, m.MaxFreq, rng)
		for row := range slices.Chunk(rows, mels) {
			clear(row[begin:end])
		}
	}
}

// drawRange draws a range of up to limit of n values.
func drawRange(n, limit int, rng *rand.Rand) (begin, end int) {
	length := rng.IntN(max(min(limit, n), 0) + 1)
	begin = rng.IntN(n - length + 1)
	return begin, begin + length
}
