package datasets

import (
	"errors"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/features"
)

// amplitude returns that of x's component at a frequency in hertz.
func amplitude(x []float32, hz, rate float64) float64 {
	var sum complex128
	for i, v := range x {
		sum += complex(float64(v), 0) * cmplx.Rect(1, -2*math.Pi*hz*float64(i)/rate)
	}
	return 2 * cmplx.Abs(sum) / float64(len(x))
}

// toInt16 is what the cache keeps.
func toInt16(x []float32) []int16 {
	y := make([]int16, len(x))
	for i, v := range x {
		y[i] = int16(math.RoundToEven(float64(v) * (1 << 15)))
	}
	return y
}

// testWorker returns a worker whose window has n samples.
func testWorker(t testing.TB, n int, a Augment, noise ...[]int16) *worker {
	l := &Loader{
		cfg:  LoaderConfig{Extractor: testFeatures(t), Augment: a, Window: float64(n) / testRate},
		sinc: newInterpolator(), window: n, longest: n, cache: &cache{rate: testRate},
		noise: func() [][]int16 { return noise },
	}
	w := l.newWorker(pass{train: true})
	seed(w.pcg, 1, 0, 0)
	return w
}

func TestWindow(t *testing.T) {
	x := []int16{1 << 14, -1 << 15, 1 << 13}
	for _, c := range []struct {
		begin int
		want  [5]float32
	}{
		{0, [5]float32{0.5, -1, 0.25, 0, 0}},
		{-1, [5]float32{0, 0.5, -1, 0.25, 0}},
		{2, [5]float32{0.25, 0, 0, 0, 0}},
		{-4, [5]float32{0, 0, 0, 0, 0.5}},
		{3, [5]float32{}}, {100, [5]float32{}}, {-5, [5]float32{}}, {-100, [5]float32{}},
	} {
		got := [5]float32{9, 9, 9, 9, 9}
		if window(got[:], x, c.begin); got != c.want {
			t.Errorf("from %d: %v, want %v", c.begin, got, c.want)
		}
	}
}

func TestShiftMoves(t *testing.T) {
	const n, limit = 1000, 0.05 // seconds: 200 samples
	click := make([]int16, n)
	click[n/2] = 1 << 14
	w := testWorker(t, n, Augment{Shift: limit})
	var earliest, latest int
	for range 300 {
		w.crop(click)
		at := -1
		for i, v := range w.wave {
			switch {
			case v == 0.5 && at < 0:
				at = i
			case v != 0:
				t.Fatalf("sample %d is %g", i, v)
			}
		}
		if at < 0 {
			t.Fatal("the click is gone")
		}
		earliest, latest = min(earliest, at-n/2), max(latest, at-n/2)
	}
	if earliest < -200 || earliest > -180 || latest > 200 || latest < 180 {
		t.Errorf("shifts from %d to %d samples, want ±200", earliest, latest)
	}
}

func TestSpeedMovesPitch(t *testing.T) {
	const n, hz = 2000, 400
	x := toInt16(tone(hz, 0.5, 2*n))
	sinc := newInterpolator()
	source, got := make([]float32, 2*n), make([]float32, n)
	for _, factor := range []float64{0.85, 0.95, 1, 1.1, 1.15} {
		window(source, x, 0)
		sinc.read(got, source, 100.25, factor)
		middle := got[n/4 : 3*n/4]
		if a := amplitude(middle, hz*factor, testRate); math.Abs(a-0.5) > 0.01 {
			t.Errorf("factor %g: amplitude %.3f at %g Hz, want 0.5", factor, a, hz*factor)
		}
		if factor != 1 {
			if a := amplitude(middle, hz, testRate); a > 0.1 {
				t.Errorf("factor %g: amplitude %.3f is left at %d Hz", factor, a, hz)
			}
		}
	}
}

func TestSpeedRange(t *testing.T) {
	const n = 1000
	w := testWorker(t, n, Augment{Speed: 0.15})
	slowest, fastest := 1.0, 1.0
	for range 300 {
		from, step := w.l.cfg.Augment.vary(0, n, testRate, w.rng)
		slowest, fastest = min(slowest, step), max(fastest, step)
		if middle := from + n/2*step; math.Abs(middle-n/2) > 1e-9 {
			t.Fatalf("the middle is at %g", middle)
		}
	}
	if slowest < 0.85 || slowest > 0.86 || fastest > 1.15 || fastest < 1.14 {
		t.Errorf("speeds from %g to %g, want 0.85 to 1.15", slowest, fastest)
	}
}

// TestInterpolation compares with the tone that should be there, at all phases.
func TestInterpolation(t *testing.T) {
	const n = 400
	x := tone(500, 1, n+100) // an eighth of the rate
	got := make([]float32, n)
	for i := range 50 {
		from := 20 + float64(i)/50
		newInterpolator().read(got, x, from, 1)
		for k, v := range got {
			want := math.Sin(2 * math.Pi * 500 * (from + float64(k)) / testRate)
			if math.Abs(float64(v)-want) > 7e-3 {
				t.Fatalf("at %g: %g, want %g", from+float64(k), v, want)
			}
		}
	}
}

func TestMix(t *testing.T) {
	const n = 1003
	clip, noise := tone(300, 0.1, n), make([]float32, n)
	colouredNoise(noise, rand.New(rand.NewPCG(1, 2)))
	w := testWorker(t, n, Augment{}, toInt16(noise))
	for _, snr := range []float64{-5, 0, 12.5, 30} {
		copy(w.stretch, clip)
		w.mix(snr)
		for i, v := range clip {
			w.stretch[i] -= v
		}
		if got := 10 * math.Log10(audio.MeanSquare(clip)/audio.MeanSquare(w.stretch)); math.Abs(got-snr) > 0.01 {
			t.Errorf("%.3f dB, want %g", got, snr)
		}
	}
	for _, c := range [][2][]float32{{make([]float32, n), noise}, {clip, make([]float32, n)}} {
		w := testWorker(t, n, Augment{}, toInt16(c[1]))
		copy(w.stretch, c[0])
		w.mix(10)
		for i, v := range w.stretch {
			if v != c[0][i] {
				t.Fatalf("mixing with digital silence changed sample %d to %g", i, v)
			}
		}
	}
}

func TestNoiseProbability(t *testing.T) {
	const n = 500
	clip := toInt16(tone(300, 0.2, n))
	for _, noise := range [][][]int16{nil, {toInt16(tone(900, 0.3, 10*n))}, {toInt16(tone(900, 0.3, n/3))}} {
		w := testWorker(t, n, Augment{Noise: 0.25, SNR: [2]float64{10, 20}}, noise...)
		noisy := 0
		for range 400 {
			w.crop(clip)
			before := append([]float32(nil), w.wave...)
			w.augment()
			for i, v := range before {
				w.wave[i] -= v
			}
			power := audio.MeanSquare(w.wave)
			if power == 0 {
				continue
			}
			noisy++
			if snr := 10 * math.Log10(audio.MeanSquare(before)/power); snr < 9.99 || snr > 20.01 {
				t.Fatalf("%g dB, want 10 to 20", snr)
			}
		}
		if noisy < 70 || noisy > 130 {
			t.Errorf("noise in %d of 400, want a quarter", noisy)
		}
	}
}

func TestGain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := Augment{Gain: [2]float64{-10, 6}}
	low, high := math.Inf(1), math.Inf(-1)
	for range 500 {
		x := []float32{0.25, -0.5}
		gain := drawDecibels(a.Gain, rng)
		scale(x, gain)
		if x[0] != 0.25*gain || x[1] != -0.5*gain {
			t.Fatalf("gain %g gives %v", gain, x)
		}
		db := 20 * math.Log10(float64(gain))
		low, high = min(low, db), max(high, db)
	}
	if low < -10 || low > -9.8 || high > 6 || high < 5.8 {
		t.Errorf("gains from %.2f to %.2f dB, want -10 to 6", low, high)
	}
	if g := drawDecibels(Augment{}.Gain, rng); g != 1 {
		t.Errorf("the zero value has gain %g", g)
	}
}

func TestZeroAugmentChangesNothing(t *testing.T) {
	const n = 400
	clip := toInt16(tone(300, 0.2, n-50))
	w := testWorker(t, n, Augment{})
	got := make([]float32, w.l.frames()*8)
	w.rows(got, nil, &Item{}, clip)
	padded := make([]float32, n)
	window(padded, clip, -25)
	for i, v := range testFeatures(t).Rows(nil, padded, w.scratch) {
		if got[i] != v {
			t.Fatalf("value %d is %g, want %g", i, got[i], v)
		}
	}
}

func TestColouredNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, 4000)
	low, high := math.Inf(1), 0.0
	for range 50 {
		colouredNoise(x, rng)
		var difference float64
		for i := 1; i < len(x); i++ {
			d := float64(x[i] - x[i-1])
			difference += d * d
		}
		ratio := difference / (float64(len(x)) * audio.MeanSquare(x)) // 2 for white noise, 0 for a constant
		low, high = min(low, ratio), max(high, ratio)
	}
	if low > 0.2 || high < 1.7 {
		t.Errorf("colours from %.2f to %.2f do not range from brown to white", low, high)
	}
}

func TestAugmentValidate(t *testing.T) {
	nan := math.NaN()
	for _, a := range []Augment{
		{Speed: -0.1}, {Speed: 0.9}, {Speed: nan}, {Shift: -1}, {Shift: nan}, {Noise: 1.1}, {Noise: nan},
		{SNR: [2]float64{10, 0}}, {SNR: [2]float64{0, math.Inf(1)}}, {Gain: [2]float64{3, -3}}, {Gain: [2]float64{nan, 0}},
		{Channel: features.Acoustics{Room: 2}}, {Channel: features.Acoustics{Filter: -1}},
		{Channel: features.Acoustics{Band: nan}},
	} {
		if err := a.Validate(); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: error %v", a, err)
		}
	}
	if err := testAugment.Validate(); err != nil {
		t.Error(err)
	}
}

// testAugment has all parts.
var testAugment = Augment{
	Speed: 0.12, Shift: 0.12, Noise: 0.6, SNR: [2]float64{0, 30}, Gain: [2]float64{-10, 6},
	Channel: features.Acoustics{
		Room: 0.15, RoomSeconds: [2]float64{0.1, 0.6}, RoomLevel: [2]float64{0.02, 0.25},
		Filter: 0.3, Tilt: 8, Bumps: 3, Band: 0.05, BandLow: [2]float64{100, 400}, BandHigh: [2]float64{1500, 1900},
	},
}

// BenchmarkAugment varies one second of 16 kHz sound, features left out.
func BenchmarkAugment(b *testing.B) {
	const n = 16000
	w := testWorker(b, n, testAugment, toInt16(tone(900, 0.3, 10*n)))
	clip := toInt16(tone(300, 0.2, n))
	b.ReportAllocs()
	for b.Loop() {
		w.crop(clip)
		w.augment()
	}
}
