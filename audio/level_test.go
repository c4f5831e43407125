package audio

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMeanSquare(t *testing.T) {
	for _, c := range []struct {
		x    []float32
		want float64
	}{{nil, 0}, {[]float32{-3}, 9}, {[]float32{1, 2, 3, 4}, 7.5}, {[]float32{1, -1, 1, -1, 1, -1, 3}, 15. / 7}} {
		if got := MeanSquare(c.x); math.Abs(got-c.want) > 1e-15 {
			t.Errorf("%v: %g, want %g", c.x, got, c.want)
		}
	}
}

func TestSNRGain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 3))
	signal, noise := make([]float32, 1000), make([]float32, 999)
	for i := range noise {
		signal[i], noise[i] = random.Float32(), 5*random.Float32()
	}
	for _, snr := range []float64{-20, 0, 7.5, 60} {
		gain := SNRGain(MeanSquare(signal), MeanSquare(noise), snr)
		scaled := slices.Clone(noise)
		for i := range scaled {
			scaled[i] *= gain
		}
		if got := 10 * math.Log10(MeanSquare(signal)/MeanSquare(scaled)); math.Abs(got-snr) > 1e-4 {
			t.Errorf("%g dB, want %g", got, snr)
		}
	}
	if SNRGain(0, 1, 10) != 0 || SNRGain(1, 0, 10) != 0 {
		t.Error("silence gets a gain")
	}
}

func TestSinc(t *testing.T) {
	for x, want := range map[float64]float64{0: 1, 1: 0, -2: 0, 0.5: 2 / math.Pi, -0.5: 2 / math.Pi, 1e-9: 1} {
		if got := Sinc(x); math.Abs(got-want) > 1e-15 {
			t.Errorf("Sinc(%g) is %g, want %g", x, got, want)
		}
	}
}

// TestReadFull reads clips that end before, with and after the end of dst, in pieces.
func TestReadFull(t *testing.T) {
	broken := errors.New("unplugged")
	c := tone(16000, 1000)
	for _, size := range []int{0, 1, 999, 1000, 1001, 5000} {
		for _, end := range []error{nil, broken} {
			dst := make([]float32, size)
			n, err := ReadFull(pieces{c.Source(), rand.New(rand.NewPCG(1, 4)), end}, dst)
			if n != min(size, 1000) || !slices.Equal(dst[:n], c.Samples[:n]) {
				t.Errorf("%d samples of %d, or others", n, size)
			}
			switch {
			case size < 1000 && err != nil:
				t.Errorf("%d of 1000 samples: %v", size, err)
			case size > 1000 && end == nil && err != io.EOF, size > 1000 && end != nil && err != broken:
				t.Errorf("%d of 1000 samples: %v", size, err)
			}
		}
	}
	if n, err := ReadFull(Clip{Rate: 8000}.Source(), make([]float32, 5)); n != 0 || err != io.EOF {
		t.Errorf("an empty clip: %d samples, %v", n, err)
	}
}
