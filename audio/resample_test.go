package audio

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// ratios are pairs of rates: usual ones, narrowing and widening, and some without a common divisor.
var ratios = [][2]int{
	{44100, 16000}, {48000, 16000}, {22050, 16000}, {8000, 16000}, {11025, 16000}, {16000, 44100}, {44100, 48000},
	{16000, 8000}, {44101, 16000}, {16000, 15999}, {15999, 16000}, {96000, 16000}, {384000, 4000}, {384000, 4001},
	{4001, 384000},
}

func sine(rate, n int, hertz, phase float64) Clip {
	c := Clip{Rate: rate, Samples: make([]float32, n)}
	for i := range c.Samples {
		c.Samples[i] = float32(math.Sin(2*math.Pi*hertz*float64(i)/float64(rate) + phase))
	}
	return c
}

func resampled(t testing.TB, c Clip, rate int) Clip {
	t.Helper()
	s, err := Resample(c.Source(), rate)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ReadAll(s, 0)
	if err != nil || out.Rate != rate {
		t.Fatalf("%d Hz, error %v", out.Rate, err)
	}
	return out
}

// decibels returns the level of the middle of samples, where the filter sees nothing beyond the ends; 0 is a sine at
// full scale.
func decibels(samples []float32) float64 {
	edge := len(samples) / 8
	sum := 0.0
	for _, v := range samples[edge : len(samples)-edge] {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(2*sum/float64(len(samples)-2*edge)+1e-30)
}

// TestResampleSine compares passed tones with the same tone sampled at the other rate: gain, delay and length at once.
func TestResampleSine(t *testing.T) {
	for _, r := range ratios {
		in, out := r[0], r[1]
		nyquist := float64(min(in, out)) / 2
		for _, part := range []float64{0.01, 0.3, 0.7, passEdge} {
			n := 1007 * max(1, in/out)
			got := resampled(t, sine(in, n, part*nyquist, 1), out)
			if want := int(math.Ceil(float64(n) * float64(out) / float64(in))); len(got.Samples) != want {
				t.Fatalf("%d to %d Hz: %d samples, want %d", in, out, len(got.Samples), want)
			}
			want := sine(out, len(got.Samples), part*nyquist, 1)
			for i := range want.Samples {
				want.Samples[i] -= got.Samples[i]
			}
			if db := decibels(want.Samples); db > -80 {
				t.Errorf("%d to %d Hz: a tone at %g of Nyquist differs by %.1f dB", in, out, part, db)
			}
		}
	}
}

// TestResampleRejectsAliases measures tones above the lower rate's Nyquist frequency.
func TestResampleRejectsAliases(t *testing.T) {
	for _, r := range [][2]int{{44100, 16000}, {48000, 16000}, {44101, 16000}, {96000, 16000}, {384000, 4001}} {
		in, out := r[0], r[1]
		worst := math.Inf(-1)
		for hertz := float64(out)/2 + 1; hertz < float64(in)/2; hertz += float64(in-out) / 2 / 23 {
			worst = max(worst, decibels(resampled(t, sine(in, 600*in/out, hertz, 0.5), out).Samples))
		}
		t.Logf("%d to %d Hz: aliases at %.1f dB", in, out, worst)
		if worst > -80 {
			t.Errorf("%d to %d Hz: aliases at %.1f dB, want -80", in, out, worst)
		}
	}
}

// TestResampleRejectsImages: a tone at f comes with images at in-f, in+f when the rate rises. What is left of
// the output without the tone is them.
func TestResampleRejectsImages(t *testing.T) {
	for _, r := range [][2]int{{16000, 44100}, {8000, 16000}, {15999, 48000}} {
		in, out := r[0], r[1]
		hertz := passEdge * float64(in) / 2
		got := resampled(t, sine(in, 2000, hertz, 0), out)
		want := sine(out, len(got.Samples), hertz, 0)
		for i := range got.Samples {
			got.Samples[i] -= want.Samples[i]
		}
		if db := decibels(got.Samples); db > -80 {
			t.Errorf("%d to %d Hz: images at %.1f dB", in, out, db)
		}
	}
}

func TestResampleKeepsConstants(t *testing.T) {
	for _, r := range ratios {
		c := Clip{Rate: r[0], Samples: make([]float32, 1000*max(1, r[0]/r[1]))}
		for i := range c.Samples {
			c.Samples[i] = 0.75
		}
		got := resampled(t, c, r[1]).Samples
		for i := len(got) / 4; i < 3*len(got)/4; i++ {
			if math.Abs(float64(got[i])-0.75) > 2e-6 {
				t.Fatalf("%d to %d Hz: sample %d is %g", r[0], r[1], i, got[i])
			}
		}
	}
}

// pieces is a Source that delivers clips in random pieces, and reads of it may be of any size.
type pieces struct {
	Source
	random *rand.Rand
	err    error // given instead of io.EOF
}

func (p pieces) Read(dst []float32) (int, error) {
	n, err := p.Source.Read(dst[:min(len(dst), 1+p.random.IntN(50))])
	if err == io.EOF && p.err != nil {
		err = p.err
	}
	return n, err
}

// TestResampleAnyPieces: the cuts of the input and of the output do not change a bit.
func TestResampleAnyPieces(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, r := range ratios {
		for _, n := range []int{0, 1, 2, 600, 5001} {
			c := tone(r[0], n)
			want := resampled(t, c, r[1])
			s, err := Resample(pieces{c.Source(), random, nil}, r[1])
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadAll(pieces{s, random, nil}, 0)
			if err != nil || !slices.Equal(got.Samples, want.Samples) {
				t.Errorf("%d to %d Hz, %d samples: pieces change the result, error %v", r[0], r[1], n, err)
			}
		}
	}
}

// TestResampleSourceFails: samples that need nothing after the failure come, then the failure.
func TestResampleSourceFails(t *testing.T) {
	broken := errors.New("unplugged")
	c := tone(48000, 10000)
	s, err := Resample(pieces{c.Source(), rand.New(rand.NewPCG(7, 8)), broken}, 16000)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll(s, 0)
	whole := resampled(t, c, 16000).Samples
	if err != broken || len(got.Samples) < len(whole)-100 || !slices.Equal(got.Samples, whole[:len(got.Samples)]) {
		t.Errorf("%d of %d samples, error %v", len(got.Samples), len(whole), err)
	}
}

func TestResampleRates(t *testing.T) {
	c := tone(16000, 10)
	if s, err := Resample(c.Source(), 16000); err != nil || s.Rate() != 16000 {
		t.Errorf("the same rate: %v", err)
	} else if _, same := s.(*clipSource); !same {
		t.Errorf("the same rate gives another source, %T", s)
	}
	for _, r := range [][2]int{{16000, 3999}, {16000, 384001}, {3999, 16000}, {384001, 16000}, {16000, 0}, {16000, -1}} {
		if _, err := Resample(tone(r[0], 10).Source(), r[1]); !errors.Is(err, ErrFormat) {
			t.Errorf("%d to %d Hz: %v", r[0], r[1], err)
		}
	}
}

// TestKernelTables: awkward pairs of rates do not take more memory than usual ones.
func TestKernelTables(t *testing.T) {
	for _, r := range append(ratios, [2]int{383997, 383999}, [2]int{383999, 4001}, [2]int{4001, 383999}) {
		common := gcd(r[0], r[1])
		if f := newKernel(r[0]/common, r[1]/common); len(f.table) > maxTable+f.taps {
			t.Errorf("%d to %d Hz: %d coefficients", r[0], r[1], len(f.table))
		}
	}
}
