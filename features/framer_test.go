package features

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/features/internal/simd"
	"github.com/polyphon/polyphon/internal/need"
	"pgregory.net/rapid"
)

// take appends the rows that f has.
func take(f *Framer, rows []float32) []float32 {
	row := make([]float32, f.e.config.Mels)
	for f.Next(row) {
		rows = append(rows, row...)
	}
	return rows
}

func TestFramerGivesTheRowsOfTheWhole(t *testing.T) { eachSet(t, framerGivesTheRowsOfTheWhole) }

func framerGivesTheRowsOfTheWhole(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			e := testExtractor(t, c)
			f, s := e.Framer(), e.Scratch()
			rapid.Check(t, func(t *rapid.T) {
				x := noise(rapid.IntRange(0, 5*c.Window).Draw(t, "samples"), rand.New(rand.NewPCG(1, 5)))
				want := e.Rows(nil, x, s)
				f.Reset()
				var got []float32
				for rest := x; len(rest) > 0; {
					n := min(rapid.IntRange(0, 2*c.Window).Draw(t, "piece"), len(rest))
					f.Push(rest[:n])
					rest = rest[n:]
					if rapid.Bool().Draw(t, "take") {
						got = take(f, got)
					} else if n == 0 {
						f.Push(rest[:1])
						rest = rest[1:]
					}
				}
				f.Flush()
				f.Flush()
				if got = take(f, got); !slices.Equal(got, want) {
					t.Fatalf("%d samples: %d values in pieces differ from %d at once", len(x), len(got), len(want))
				}
			})
		})
	}
}

func TestFramerRefusesSamplesAfterTheEnd(t *testing.T) {
	f := testExtractor(t, Default()).Framer()
	f.Flush()
	defer func() {
		if recover() == nil {
			t.Error("Push after Flush did not panic")
		}
	}()
	f.Push([]float32{1})
}

func TestFramerAllocatesNothing(t *testing.T) { eachSet(t, framerAllocatesNothing) }

func framerAllocatesNothing(t *testing.T) {
	need.Unraced(t, "pools drop what they are given")
	c := Default()
	f, x, row := testExtractor(t, c).Framer(), noise(c.Hop, rand.New(rand.NewPCG(1, 8))), make([]float32, c.Mels)
	next := func() {
		for range 100 {
			f.Push(x)
			f.Next(row)
		}
	}
	next()
	if n := testing.AllocsPerRun(20, next); n != 0 {
		t.Errorf("%v allocations in 100 rows", n)
	}
}

// BenchmarkFramer makes the rows of a second that arrives hop by hop, as a microphone's samples do.
func BenchmarkFramer(b *testing.B) {
	for _, k := range simd.Sets() {
		b.Run(k.Name, func(b *testing.B) {
			c := Default()
			e, err := newExtractor(c, k)
			if err != nil {
				b.Fatal(err)
			}
			f, x, row := e.Framer(), noise(c.Hop, rand.New(rand.NewPCG(1, 1))), make([]float32, c.Mels)
			for b.Loop() {
				for range 100 {
					f.Push(x)
					f.Next(row)
				}
			}
			reportRate(b, 100*rowFLOPs(e), "GFLOP/s")
		})
	}
}
