package features

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// mask returns which of frames rows and which of mels are all 0 after m was applied to ones.
func mask(m Mask, frames, mels int, rng *rand.Rand) (rows, columns []int) {
	x := slices.Repeat([]float32{1}, frames*mels)
	m.Apply(x, mels, rng)
	for t := range frames {
		if !slices.ContainsFunc(x[t*mels:][:mels], func(v float32) bool { return v != 0 }) {
			rows = append(rows, t)
		}
	}
	for c := range mels {
		whole := true
		for t := range frames {
			whole = whole && x[t*mels+c] == 0
		}
		if whole {
			columns = append(columns, c)
		}
	}
	return rows, columns
}

func TestMaskBlanksStretches(t *testing.T) {
	const frames, mels = 20, 9
	rng := rand.New(rand.NewPCG(1, 10))
	var lengths, widths [5]int
	var first, last bool
	for range 2000 {
		rows, none := mask(Mask{TimeMasks: 1, MaxTime: 4}, frames, mels, rng)
		none2, columns := mask(Mask{FreqMasks: 1, MaxFreq: 3}, frames, mels, rng)
		if len(none)+len(none2) > 0 || !neighbours(rows) || !neighbours(columns) || len(rows) > 4 || len(columns) > 3 {
			t.Fatalf("rows %v, columns %v", rows, columns)
		}
		lengths[len(rows)]++
		widths[len(columns)]++
		first, last = first || slices.Contains(rows, 0), last || slices.Contains(rows, frames-1)
	}
	for n, count := range lengths {
		if count < 300 || count > 500 { // 400 expected, standard deviation 18
			t.Errorf("%d of 2000 masks have %d rows, want about 400", count, n)
		}
	}
	for n, count := range widths[:4] {
		if count < 400 || count > 600 { // 500 expected
			t.Errorf("%d of 2000 masks have %d mels, want about 500", count, n)
		}
	}
	if !first || !last {
		t.Error("the first or the last row was never blanked")
	}
}

func neighbours(list []int) bool {
	return len(list) == 0 || list[len(list)-1]-list[0] == len(list)-1
}

func TestMaskLimits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 11))
	for _, m := range []Mask{{}, {TimeMasks: -1, MaxTime: 5}, {TimeMasks: 3, MaxTime: -5, FreqMasks: 2, MaxFreq: -1}} {
		if rows, columns := mask(m, 6, 4, rng); len(rows)+len(columns) > 0 {
			t.Errorf("%+v blanked rows %v, columns %v", m, rows, columns)
		}
	}
	mask(Mask{TimeMasks: 2, MaxTime: 100, FreqMasks: 2, MaxFreq: 100}, 3, 4, rng) // more than there is
	(Mask{TimeMasks: 1, MaxTime: 3}).Apply(nil, 4, rng)
}

func TestMaskFollowsTheSeed(t *testing.T) {
	m := Mask{TimeMasks: 2, MaxTime: 8, FreqMasks: 2, MaxFreq: 5}
	rows1, columns1 := mask(m, 30, 20, rand.New(rand.NewPCG(5, 5)))
	rows2, columns2 := mask(m, 30, 20, rand.New(rand.NewPCG(5, 5)))
	if !slices.Equal(rows1, rows2) || !slices.Equal(columns1, columns2) {
		t.Error("the same seed gave another mask")
	}
}
