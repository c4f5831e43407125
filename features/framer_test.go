package features

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/polyphon/polyphon/features/internal/simd"
	"github.com/polyphon/polyphon/internal/race"
	"pgregory.net/rapid"
)

// pieces is a Source that gives its samples in pieces of random length, then err.
type pieces struct {
	rate    int
	samples []float32
	rng     *rand.Rand
	err     error
	atOnce  bool // the error comes with the last samples
}

func (p *pieces) Rate() int { return p.rate }

func (p *pieces) Read(dst []float32) (int, error) {
	if len(p.samples) == 0 {
		return 0, p.err
	}
	n := copy(dst[:1+p.rng.IntN(len(dst))], p.samples)
	p.samples = p.samples[n:]
	if p.atOnce && len(p.samples) == 0 {
		return n, p.err
	}
	return n, nil
}

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

func TestFramerRefusesSamplesBehindTheEnd(t *testing.T) {
	f := testExtractor(t, Default()).Framer()
	f.Flush()
	defer func() {
		if recover() == nil {
			t.Error("Push behind Flush did not panic")
		}
	}()
	f.Push([]float32{1})
}

func TestStreamGivesTheRowsOfTheWhole(t *testing.T) { eachSet(t, streamGivesTheRowsOfTheWhole) }

func streamGivesTheRowsOfTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 6))
	for name, c := range configs() {
		e := testExtractor(t, c)
		for _, n := range []int{0, 1, c.Hop - 1, c.Hop, 3*c.Window + 1, 5000} {
			for _, atOnce := range []bool{false, true} {
				x := noise(n, rng)
				got, err := drain(e.Stream(&pieces{c.Rate, x, rng, io.EOF, atOnce}), c.Mels)
				if err != io.EOF {
					t.Fatalf("%s: %v", name, err)
				}
				if want := e.Rows(nil, x, e.Scratch()); !slices.Equal(got, want) {
					t.Errorf("%s: %d samples stream to %d values that differ from Rows' %d", name, n, len(got), len(want))
				}
			}
		}
	}
}

// drain reads s to its error.
func drain(s *Stream, mels int) (rows []float32, err error) {
	row := make([]float32, mels)
	for {
		if err := s.Next(row); err != nil {
			return rows, err
		}
		rows = append(rows, row...)
	}
}

func TestStreamPassesTheSourcesErrorOn(t *testing.T) { eachSet(t, streamPassesTheSourcesErrorOn) }

func streamPassesTheSourcesErrorOn(t *testing.T) {
	c := Default()
	e, broken := testExtractor(t, c), errors.New("cable pulled")
	rng := rand.New(rand.NewPCG(1, 7))
	for _, atOnce := range []bool{false, true} {
		x := noise(1000, rng)
		s := e.Stream(&pieces{c.Rate, x, rng, broken, atOnce})
		got, err := drain(s, c.Mels)
		complete := 1 + (len(x)-c.Window/2)/c.Hop
		if err != broken || !slices.Equal(got, e.Rows(nil, x, e.Scratch())[:complete*c.Mels]) {
			t.Errorf("%d values and error %v, want those of %d rows and %v", len(got), err, complete, broken)
		}
		if err := s.Next(make([]float32, c.Mels)); err != broken {
			t.Errorf("the error did not stay: %v", err)
		}
	}
}

func TestStreamRefusesAnotherRate(t *testing.T) {
	s := testExtractor(t, Default()).Stream(&pieces{rate: 8000, err: io.EOF})
	if err := s.Next(make([]float32, 40)); !errors.Is(err, ErrRate) {
		t.Errorf("error is %v, want ErrRate", err)
	}
}

// endless is a Source without an end.
type endless struct{ rng *rand.Rand }

func (endless) Rate() int { return 16000 }

func (s endless) Read(dst []float32) (int, error) {
	for i := range dst {
		dst[i] = s.rng.Float32()
	}
	return len(dst), nil
}

func TestEndlessStreamAllocatesNothing(t *testing.T) { eachSet(t, endlessStreamAllocatesNothing) }

func endlessStreamAllocatesNothing(t *testing.T) {
	if race.Enabled() {
		t.Skip("under the race detector, pools drop what they are given")
	}
	s, row := testExtractor(t, Default()).Stream(endless{rand.New(rand.NewPCG(1, 8))}), make([]float32, 40)
	next := func() {
		for range 100 {
			if err := s.Next(row); err != nil {
				t.Fatal(err)
			}
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
