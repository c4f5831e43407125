package features

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

func TestStatsNormaliseToZeroMeanAndUnitDeviation(t *testing.T) {
	const mels = 5
	rng := rand.New(rand.NewPCG(1, 9))
	rows := make([]float32, 3000*mels)
	for i := range rows {
		m := i % mels
		rows[i] = float32(m-10) + float32(m)*float32(rng.NormFloat64()) // mel 0 never changes
	}
	var s Stats
	s.Add(rows[:1000*mels], mels)
	s.Add(nil, mels)
	s.Add(rows[1000*mels:], mels)
	n := s.Norm()
	if s.count != 3000 || n.Validate(mels) != nil {
		t.Fatalf("%d rows, %v", s.count, n.Validate(mels))
	}
	n.Apply(rows)
	for m := range mels {
		var sum, square float64
		for i := m; i < len(rows); i += mels {
			sum += float64(rows[i])
			square += float64(rows[i]) * float64(rows[i])
		}
		want := 1.0
		if m == 0 {
			want = 0
		}
		if mean, variance := sum/3000, square/3000; math.Abs(mean) > 1e-4 || math.Abs(variance-want) > 1e-4 {
			t.Errorf("mel %d has mean %g and variance %g after Apply, want 0 and %g", m, mean, variance, want)
		}
	}
}

func TestNormValidateRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, n := range map[string]Norm{
		"empty":              {},
		"a mean too few":     {Mean: []float32{0}, Std: []float32{1, 1}},
		"a deviation more":   {Mean: []float32{0, 0}, Std: []float32{1, 1, 1}},
		"NaN mean":           {Mean: []float32{0, nan}, Std: []float32{1, 1}},
		"infinite mean":      {Mean: []float32{0, inf}, Std: []float32{1, 1}},
		"deviation 0":        {Mean: []float32{0, 0}, Std: []float32{1, 0}},
		"negative deviation": {Mean: []float32{0, 0}, Std: []float32{-1, 1}},
		"NaN deviation":      {Mean: []float32{0, 0}, Std: []float32{1, nan}},
		"infinite deviation": {Mean: []float32{0, 0}, Std: []float32{1, inf}},
	} {
		if err := n.Validate(2); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error is %v, want ErrConfig", name, err)
		}
	}
}

func TestRowsOfAnotherWidthPanic(t *testing.T) {
	for name, wrong := range map[string]func(){
		"Norm.Apply":         func() { Norm{Mean: make([]float32, 4), Std: make([]float32, 4)}.Apply(make([]float32, 6)) },
		"Norm.Apply, empty":  func() { Norm{}.Apply(make([]float32, 6)) },
		"Stats.Add":          func() { new(Stats).Add(make([]float32, 6), 4) },
		"Stats.Add, changed": func() { s := new(Stats); s.Add(make([]float32, 6), 3); s.Add(make([]float32, 6), 2) },
		"Extractor.Distort": func() {
			testExtractor(t, Default()).Distort(make([]float32, 6), Acoustics{}, rand.New(rand.NewPCG(1, 1)))
		},
		"Mask.Apply": func() { Mask{}.Apply(make([]float32, 6), 4, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s did not panic", name)
				}
			}()
			wrong()
		}()
	}
}

func TestNormHoldsRowsWithinItsLimit(t *testing.T) {
	n := Norm{Mean: []float32{1, -1}, Std: []float32{0.5, 2}, Limit: 4}
	rows := []float32{1, -1, 2, 1, 100, -100}
	n.Apply(rows)
	for i, want := range []float32{0, 0, 2, 1, 4, -4} {
		if rows[i] != want {
			t.Errorf("value %d is %g, want %g", i, rows[i], want)
		}
	}
	for _, limit := range []float32{-1, float32(math.NaN()), float32(math.Inf(1))} {
		if n.Limit = limit; !errors.Is(n.Validate(2), ErrConfig) {
			t.Errorf("a limit of %g is accepted", limit)
		}
	}
}
