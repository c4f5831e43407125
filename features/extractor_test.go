package features

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
)

// configs are shapes that differ in everything that moves a frame.
func configs() map[string]Config {
	odd := Config{Rate: 22050, FFT: 512, Window: 401, Hop: 147, Mels: 24, MinHz: 125, MaxHz: 10000, Floor: 1e-5, Scale: Slaney}
	sparse := Config{Rate: 8000, FFT: 128, Window: 100, Hop: 100, Mels: 8, MinHz: 0, MaxHz: 4000, Floor: 1e-3, Scale: HTK}
	dense := Config{Rate: 8000, FFT: 64, Window: 63, Hop: 1, Mels: 8, MinHz: 0, MaxHz: 4000, Floor: 1e-3, Scale: HTK}
	return map[string]Config{"default": Default(), "square32": Square32(), "odd": odd, "sparse": sparse, "dense": dense}
}

func TestSilenceIsTheFloor(t *testing.T) {
	for _, floor := range []float64{1e-30, 1e-10, 1e-6, 1e-5, 3e-4, 1e-3, 0.01, 1, 1e6} {
		c := Default()
		c.Floor = floor
		e := newExtractor(t, c)
		for _, v := range e.Rows(nil, make([]float32, 1000), e.Scratch()) {
			if want := float32(math.Log(floor)); v != want {
				t.Fatalf("floor %g: silence is %.9g, want %.9g", floor, v, want)
			}
		}
	}
}

func TestToneLandsInItsMel(t *testing.T) {
	for name, c := range map[string]Config{"default": Default(), "square32": Square32()} {
		e := newExtractor(t, c)
		rows := e.Rows(nil, tone(1000/float64(c.Rate), c.Rate), e.Scratch())
		row := rows[c.Frames(c.Rate)/2*c.Mels:][:c.Mels]
		loudest := 0
		for m, v := range row {
			if v > row[loudest] {
				loudest = m
			}
		}
		low, high := c.Scale.mel(c.MinHz), c.Scale.mel(c.MaxHz)
		nearest := int(math.Round((c.Scale.mel(1000)-low)/(high-low)*float64(c.Mels+1))) - 1
		if loudest != nearest {
			t.Errorf("%s: 1000 Hz is loudest in mel %d, want %d", name, loudest, nearest)
		}
	}
}

func TestRowsAreFiniteForAnyInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := newExtractor(t, Default())
	for _, amplitude := range []float64{1e-45, 1e-38, 1e-20, 1, 1e18, 1e19, 1e30, math.MaxFloat32, math.Inf(1), math.NaN()} {
		x := noise(2000, rng)
		for i := range x {
			x[i] *= float32(amplitude)
		}
		for i, v := range e.Rows(nil, x, e.Scratch()) {
			if v != v || v < float32(math.Log(e.Config().Floor)) || v > 89 {
				t.Fatalf("amplitude %g: value %d is %g", amplitude, i, v)
			}
		}
	}
}

func TestRowsAppendsInPlace(t *testing.T) {
	c := Default()
	e := newExtractor(t, c)
	s, x := e.Scratch(), noise(3000, rand.New(rand.NewPCG(1, 3)))
	want := e.Rows(nil, x, s)
	dst := make([]float32, 2, 2+len(want))
	got := e.Rows(dst, x, s)
	if &got[0] != &dst[0] || len(got) != 2+len(want) || !slices.Equal(got[2:], want) {
		t.Error("rows are not behind what dst held, in its memory")
	}
	if n := testing.AllocsPerRun(10, func() { e.Rows(dst, x, s) }); n != 0 {
		t.Errorf("%v allocations where dst has room", n)
	}
	if len(want) != c.Frames(len(x))*c.Mels {
		t.Errorf("%d values, want %d rows of %d", len(want), c.Frames(len(x)), c.Mels)
	}
}

func TestExtractRefusesAnotherRate(t *testing.T) {
	_, err := newExtractor(t, Default()).Extract(audio.Clip{Rate: 44100, Samples: make([]float32, 100)})
	if !errors.Is(err, ErrRate) || !strings.Contains(err.Error(), "44100") || !strings.Contains(err.Error(), "16000") {
		t.Errorf("error is %v, want ErrRate with both rates", err)
	}
}

func TestLn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	check := func(x float32) {
		if got, want := ln(float64(x)), math.Log(float64(x)); !(math.Abs(got-want) <= 1e-11) {
			t.Fatalf("ln(%g) = %.15g, want %.15g", x, got, want)
		}
	}
	for exponent := uint32(0); exponent < 255; exponent++ {
		for range 500 {
			check(math.Float32frombits(exponent<<23 | rng.Uint32N(1<<23-1) + 1))
		}
	}
	check(math.SmallestNonzeroFloat32)
	check(math.MaxFloat32)
	check(1)
	check(math.Sqrt2)
}

func BenchmarkRows(b *testing.B) {
	e := newExtractor(b, Default())
	x, s := noise(16000, rand.New(rand.NewPCG(1, 1))), e.Scratch()
	var dst []float32
	for b.Loop() {
		dst = e.Rows(dst[:0], x, s)
	}
}
