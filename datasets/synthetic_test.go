package datasets

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mjibson/go-dsp/fft"
	"github.com/polyphon/polyphon/audio"
)

// TestSynthesize looks for both kinds of noise: tones, which have most of their energy in few
// bins, and coloured noise, which has not.
func TestSynthesize(t *testing.T) {
	const rate = 8000
	tonal, noisy := 0, 0
	for seed := range uint64(60) {
		x := make([]float32, 4096)
		synthesize(x, rate, rand.New(rand.NewPCG(seed, 1)))
		wide := make([]float64, len(x))
		for i, v := range x {
			wide[i] = float64(v)
		}
		total, top := 0.0, 0.0
		for _, c := range fft.FFTReal(wide)[:len(x)/2] {
			p := cmplx.Abs(c) * cmplx.Abs(c)
			total += p
			top = max(top, p)
		}
		switch share := top / total; {
		case total == 0:
			t.Errorf("seed %d: silence", seed)
		case share > 0.1:
			tonal++
		case share < 0.05:
			noisy++
		}
	}
	if tonal < 15 || noisy < 15 {
		t.Errorf("%d tonal and %d noisy sounds of 60", tonal, noisy)
	}
}

// TestArtificial draws sounds of all kinds and envelopes: within full scale, hardly one of them silent, and the same
// again for the same seed.
func TestArtificial(t *testing.T) {
	const rate, draws = 16000, 300
	silent := 0
	draw := func(seed uint64) []float32 {
		x := make([]float32, rate/4)
		artificial(x, rate, rand.New(rand.NewPCG(seed, 3)))
		return x
	}
	for seed := range uint64(draws) {
		x := draw(seed)
		loudest := float32(0)
		for i, v := range x {
			if !(v >= -1 && v <= 1) {
				t.Fatalf("seed %d: sample %d is %v", seed, i, v)
			}
			loudest = max(loudest, v, -v)
		}
		if loudest < 0.01 {
			silent++
		}
		if !slices.Equal(x, draw(seed)) {
			t.Errorf("seed %d gives two sounds", seed)
		}
	}
	if silent > draws/20 {
		t.Errorf("%d of %d sounds are silent", silent, draws)
	}
}

// TestShortSounds draws sounds within full scale that come and go: nearly all have a stretch of 20 ms, as long as the
// pulses of a call, that is 20 dB above the quietest one, and few last all the time.
func TestShortSounds(t *testing.T) {
	const rate, draws, piece = 16000, 300, 320
	short, silent := 0, 0
	for seed := range uint64(draws) {
		x := make([]float32, 2*rate)
		shortSounds(x, rate, rand.New(rand.NewPCG(seed, 4)))
		quietest, loudest := math.Inf(1), 0.0
		for p := range slices.Chunk(x, piece) {
			for _, v := range p {
				if !(v >= -1 && v <= 1) {
					t.Fatalf("seed %d: a sample is %v", seed, v)
				}
			}
			power := audio.MeanSquare(p)
			quietest, loudest = min(quietest, power), max(loudest, power)
		}
		if loudest > 100*quietest {
			short++
		}
		if loudest < 1e-4 {
			silent++
		}
	}
	if short < draws*3/4 || silent > draws/20 {
		t.Errorf("of %d sounds %d come and go, and %d are silent", draws, short, silent)
	}
}

func TestAddToneKeepsItsPitch(t *testing.T) {
	x := make([]float32, 16000)
	addTone(x, 16000, rand.New(rand.NewPCG(8, 1)))
	level := 0.0
	for _, v := range x[len(x)-400:] {
		level = max(level, math.Abs(float64(v)))
	}
	start := 0.0
	for _, v := range x[:400] {
		start = max(start, math.Abs(float64(v)))
	}
	if start == 0 || level != 0 && math.Abs(level/start-1) > 0.05 {
		t.Errorf("the tone's level goes from %g to %g", start, level)
	}
}

func TestSaturate(t *testing.T) {
	w := testWorker(t, 7, Augment{})
	copy(w.stretch, []float32{-3, -1, -0.5, 0, 0.5, 1, 7})
	w.augment()
	for i, want := range []float32{-1, -1, -0.5, 0, 0.5, 1, 1} {
		if got := w.stretch[i]; got != want {
			t.Errorf("sample %d became %g, want %g", i, got, want)
		}
	}
}
