package report

import (
	"math"
	"slices"

	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
	"gonum.org/v1/gonum/stat"
)

// explanation is how much each place of a clip, in time and frequency, says for one class rather than another. The
// score is the logarithm of the odds of the two, in nats, as the temperature and the scaling make them.
type explanation struct {
	For, Against int
	Score        float64
	Frames, Mels int
	Rows         []float32 // (Frames, Mels): log-mel energies
	// Product is the gradient of the score with respect to the normalised features times these, (Frames, Mels): to first
	// order what the score loses where the place has the mean of the training set instead.
	Product []float64
	// Occlusion is what the score loses where a patch of PatchFrames by PatchMels has that mean: (patches over time,
	// patches over frequency). The last ones may be smaller.
	Occlusion              []float64
	PatchFrames, PatchMels int
	// Rank is Spearman's correlation of Occlusion and the sums of Product over the patches; NaN where either is constant.
	Rank float64
}

// The largest numbers of patches of an occlusion, and of the frames that are computed together.
const patchesOverTime, patchesOverFrequency, batchFrames = 16, 8, 1600

// explain says what in rows, log-mel energies of a clip, speaks for one class rather than another.
func explain(n *training.InputGradient, m *polynet.Model, rows []float32, pro, against int) *explanation {
	mels := m.Features.Mels
	e := &explanation{For: pro, Against: against, Rows: rows, Frames: len(rows) / mels, Mels: mels}
	e.PatchFrames = (e.Frames + patchesOverTime - 1) / patchesOverTime
	e.PatchMels = (mels + patchesOverFrequency - 1) / patchesOverFrequency
	weights := make([]float32, len(m.Labels))
	weights[pro], weights[against] = oddsWeight(m, pro), -oddsWeight(m, against)
	normal := slices.Clone(rows)
	m.Norm.Apply(normal)
	for i, g := range n.Gradient(normal, weights) {
		e.Product = append(e.Product, float64(g)*float64(normal[i]))
	}
	score := func(logits []float32) float64 {
		return float64(weights[pro])*float64(logits[pro]) + float64(weights[against])*float64(logits[against])
	}
	e.Score = score(n.Logits(normal, 1)) + oddsShift(m, pro) - oddsShift(m, against)
	e.occlude(n, normal, score)
	return e
}

// oddsWeight returns what a class's logit is multiplied by before the softmax.
func oddsWeight(m *polynet.Model, class int) float32 {
	scale := 1.0
	if s := m.Calibrated().Scaling; s != nil {
		scale = s.Scale[class]
	}
	return float32(scale / m.Temperature)
}

// oddsShift returns what is added to that.
func oddsShift(m *polynet.Model, class int) float64 {
	if s := m.Calibrated().Scaling; s != nil {
		return s.Shift[class] / m.Temperature
	}
	return 0
}

// occlude sets Occlusion and Rank.
func (e *explanation) occlude(n *training.InputGradient, normal []float32, score func([]float32) float64) {
	whole := n.Logits(normal, 1)
	var sums []float64 // of Product
	var batch []float32
	full := max(batchFrames/e.Frames, 1) * len(normal)
	flush := func() {
		if size := len(batch) / len(normal); size > 0 {
			logits := n.Logits(batch, size)
			for i := range size {
				e.Occlusion = append(e.Occlusion, score(whole)-score(logits[i*len(whole):]))
			}
		}
		batch = batch[:0]
	}
	for frame := 0; frame < e.Frames; frame += e.PatchFrames {
		for mel := 0; mel < e.Mels; mel += e.PatchMels {
			batch = append(batch, normal...)
			hidden, sum := batch[len(batch)-len(normal):], 0.0
			for t := frame; t < min(frame+e.PatchFrames, e.Frames); t++ {
				for k := mel; k < min(mel+e.PatchMels, e.Mels); k++ {
					hidden[t*e.Mels+k] = 0
					sum += e.Product[t*e.Mels+k]
				}
			}
			if sums = append(sums, sum); len(batch) == full {
				flush()
			}
		}
	}
	flush()
	e.Rank = spearman(sums, e.Occlusion)
}

// lost returns Occlusion at a place.
func (e *explanation) lost(frame, mel int) float64 {
	across := (e.Mels + e.PatchMels - 1) / e.PatchMels
	return e.Occlusion[frame/e.PatchFrames*across+mel/e.PatchMels]
}

// spearman returns the correlation of the ranks of a and b.
func spearman(a, b []float64) float64 { return stat.Correlation(ranks(a), ranks(b), nil) }

// ranks returns the values' ranks from 1 on, of equal ones their mean.
func ranks(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	list := make([]float64, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		after, _ := slices.BinarySearch(sorted, math.Nextafter(v, math.Inf(1)))
		list[i] = float64(first+1+after) / 2
	}
	return list
}
