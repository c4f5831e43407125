package datasets

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// cuts calls use with cuts of noise of so many samples, varied as a says.
func cuts(a Augment, noise []int16, samples int, use func(cut []float32)) {
	const number = 2000
	var c noiseCutter
	dst, sinc, rng := make([]float32, samples), newInterpolator(), rand.New(rand.NewPCG(1, 1))
	for range number {
		c.cut(dst, noise, a, sinc, rng)
		use(dst)
	}
}

// TestShortSoundsAreCutOften: of a recording that is silent but for an instant, most examples are to have that instant.
func TestShortSoundsAreCutOften(t *testing.T) {
	noise := make([]int16, 80000)
	for i := range 800 {
		noise[30000+i] = 10000
	}
	found, total := 0, 0
	cuts(Augment{}, noise, 16000, func(cut []float32) {
		total++
		if slices.Max(cut) > 0.1 {
			found++
		}
	})
	const uniform = 0.26 // (16000 + 800)/(80000 - 16000 + 1)
	if share := float64(found) / float64(total); share < 1.5*uniform {
		t.Errorf("%.2f of the examples have it; without a choice %.2f would", share, uniform)
	}
}

// TestNoiseIsPlayedFasterSlowerAndBackwards looks at how far apart two ticks come, and which of them comes first.
func TestNoiseIsPlayedFasterSlowerAndBackwards(t *testing.T) {
	noise := make([]int16, 16000)
	noise[4000], noise[8000] = 20000, 10000
	shortest, longest, reversed, total := 1<<30, 0, 0, 0
	cuts(Augment{Speed: 0.15}, noise, 16000, func(cut []float32) {
		strong := slices.Index(cut, slices.Max(cut))
		near := cut[max(strong-100, 0):min(strong+100, len(cut))]
		tick := slices.Clone(near)
		clear(near)
		weak := slices.Index(cut, slices.Max(cut))
		if slices.Max(tick) < 0.4 || cut[weak] < 0.2 {
			return // between two samples, or repeated at the end
		}
		total++
		if weak < strong {
			reversed++
		}
		gap := max(weak-strong, strong-weak)
		shortest, longest = min(shortest, gap), max(longest, gap)
	})
	if total < 100 || shortest > 2600 || longest < 6000 {
		t.Errorf("in %d examples, what is 4000 samples apart is %d to %d apart", total, shortest, longest)
	}
	if share := float64(reversed) / float64(total); share < 0.15 || share > 0.6 {
		t.Errorf("%.2f of the examples are reversed", share)
	}
}

// TestShortNoiseIsRepeated: a recording shorter than an example fills it.
func TestShortNoiseIsRepeated(t *testing.T) {
	noise := slices.Repeat([]int16{10000}, 300)
	for _, speed := range []float64{0, 0.15, 0.5} {
		cuts(Augment{Speed: speed}, noise, 4000, func(cut []float32) {
			if slices.Min(cut) < 0.25 || slices.Max(cut) > 0.36 {
				t.Fatalf("speed %g: samples of %g to %g", speed, slices.Min(cut), slices.Max(cut))
			}
		})
	}
	cuts(Augment{Speed: 0.15}, nil, 100, func(cut []float32) {
		if slices.Max(cut) != 0 || slices.Min(cut) != 0 {
			t.Fatal("no recording, and not silent")
		}
	})
}

// TestNoiseOutsideTraining is the recording from the offset on.
func TestNoiseOutsideTraining(t *testing.T) {
	l := contextLoader(t, nil)
	l.cfg.Augment = Augment{Speed: 0.15}
	noise := make([]int16, 32000)
	for i := range noise {
		noise[i] = int16(i)
	}
	got, want := make([]float32, 1000), make([]float32, 1000)
	cut(want, noise, 0.3)
	if l.newWorker(pass{}).cutNoise(got, noise, 0.3); !slices.Equal(got, want) {
		t.Error("noise is varied outside training")
	}
	if l.newWorker(pass{train: true}).cutNoise(got, noise, 0.3); slices.Equal(got, want) {
		t.Error("noise is not varied in training")
	}
}
