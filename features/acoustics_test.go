package features

import (
	"math"
	"math/rand/v2"
	"testing"
)

// energies are 40 rows of one energy, with an impulse of 1 in row 5 where impulse is set.
func energies(impulse bool) []float32 {
	mels := Default().Mels
	rows := make([]float32, 40*mels)
	for i := range rows {
		if !impulse || i/mels == 5 {
			rows[i] = 1
		}
	}
	return rows
}

func distorted(t *testing.T, a Acoustics, rows []float32, seed uint64) []float32 {
	t.Helper()
	e, err := New(Default())
	if err != nil {
		t.Fatal(err)
	}
	e.Distort(rows, a, rand.New(rand.NewPCG(seed, 0)))
	return rows
}

func TestNoAcoustics(t *testing.T) {
	for i, v := range distorted(t, Acoustics{}, energies(true), 1) {
		if want := energies(true)[i]; v != want {
			t.Fatalf("value %d became %g", i, v)
		}
	}
}

func TestRoomDecays(t *testing.T) {
	c := Acoustics{Room: 1, RoomSeconds: [2]float64{0.3, 0.3}, RoomLevel: [2]float64{0.1, 0.1}}
	rows := distorted(t, c, energies(true), 1)
	mels := Default().Mels
	for frame := range 40 {
		want := 0.0
		switch {
		case frame == 5:
			want = 1
		case frame > 5: // 60 dB in 30 frames
			want = 0.1 * math.Pow(10, -6*float64(frame-5)/30)
		}
		if got := float64(rows[frame*mels+7]); math.Abs(got-want) > 1e-6 {
			t.Errorf("frame %d: energy %g, want %g", frame, got, want)
		}
	}
}

func TestFilterTiltsAndBumps(t *testing.T) {
	mels := Default().Mels
	for seed := range uint64(20) {
		rows := distorted(t, Acoustics{Filter: 1, Tilt: 6}, energies(false), seed)
		low, middle, high := dB(rows[0]), (dB(rows[mels/2-1])+dB(rows[mels/2]))/2, dB(rows[mels-1])
		if math.Abs(low) > 6.001 || math.Abs(low+high) > 1e-3 || math.Abs(middle) > 1e-3 {
			t.Errorf("a tilt of %g, %g, %g dB", low, middle, high)
		}
		if dB(rows[mels]) != low {
			t.Error("the response changes with time")
		}
	}
	sum := 0.0
	const draws = 400
	for seed := range uint64(draws) {
		v := dB(distorted(t, Acoustics{Filter: 1, Bumps: 3}, energies(false), seed)[0])
		sum += v * v
	}
	if deviation := math.Sqrt(sum / draws); math.Abs(deviation-3) > 0.4 {
		t.Errorf("bumps deviate by %g dB, want 3", deviation)
	}
}

func TestBandIsNarrow(t *testing.T) {
	c := Acoustics{Band: 1, BandLow: [2]float64{300, 300}, BandHigh: [2]float64{3400, 3400}}
	rows := distorted(t, c, energies(false), 1)
	e, err := New(Default())
	if err != nil {
		t.Fatal(err)
	}
	for m := range Default().Mels {
		want := 0.0
		if hz := e.bank.centre(m, Default()); hz < 300 || hz > 3400 {
			want = -40
		}
		if got := dB(rows[m]); math.Abs(got-want) > 1e-3 {
			t.Errorf("mel %d: %g dB, want %g", m, got, want)
		}
	}
	if dB(rows[0]) > -39 || dB(rows[15]) < -1 || dB(rows[39]) > -39 {
		t.Error("the band's ends are not where they should be")
	}
}

func TestDistortAllocatesNothing(t *testing.T) {
	e, rows, rng := testExtractor(t, Default()), energies(true), rand.New(rand.NewPCG(1, 14))
	c := Acoustics{
		Room: 1, RoomSeconds: [2]float64{0.1, 0.3}, RoomLevel: [2]float64{0.1, 0.2},
		Filter: 1, Tilt: 6, Bumps: 3, Band: 1, BandLow: [2]float64{100, 300}, BandHigh: [2]float64{3000, 4000},
	}
	if n := testing.AllocsPerRun(10, func() { e.Distort(rows, c, rng) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func dB(energy float32) float64 { return 10 * math.Log10(float64(energy)) }
