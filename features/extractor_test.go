package features

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/features/internal/simd"
	"github.com/polyphon/polyphon/internal/isa"
)

// configs are shapes that differ in everything that moves a frame.
func configs() map[string]Config {
	odd := Config{Rate: 22050, FFT: 512, Window: 401, Hop: 147, Mels: 24, MinHz: 125, MaxHz: 10000, Floor: 1e-5,
		Scale: Slaney}
	sparse := Config{Rate: 8000, FFT: 128, Window: 100, Hop: 100, Mels: 8, MinHz: 0, MaxHz: 4000, Floor: 1e-3, Scale: HTK}
	dense := Config{Rate: 8000, FFT: 64, Window: 63, Hop: 1, Mels: 8, MinHz: 0, MaxHz: 4000, Floor: 1e-3, Scale: HTK}
	return map[string]Config{"default": Default(), "square32": Square32(), "odd": odd, "sparse": sparse, "dense": dense}
}

func testExtractor(t testing.TB, c Config) *Extractor {
	t.Helper()
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// eachSet runs a test with each of this machine's kernel sets.
func eachSet(t *testing.T, test func(t *testing.T)) {
	for _, k := range simd.Sets() {
		t.Run(k.Name, func(t *testing.T) {
			t.Setenv(isa.Variable, k.Name)
			if e := testExtractor(t, Default()); e.kernels.Name != k.Name {
				t.Fatalf("%s=%s gives %s", isa.Variable, k.Name, e.kernels.Name)
			}
			test(t)
		})
	}
}

func TestNewTakesTheFastestKernels(t *testing.T) {
	t.Setenv(isa.Variable, "")
	sets := simd.Sets()
	if e := testExtractor(t, Default()); e.kernels.Name != sets[len(sets)-1].Name {
		t.Errorf("kernels are %s", e.kernels.Name)
	}
	t.Setenv(isa.Variable, "abacus")
	if _, err := New(Default()); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "abacus") {
		t.Errorf("error is %v, want ErrConfig with the name", err)
	}
}

func TestReferenceIgnoresTheEnvironment(t *testing.T) {
	for _, k := range append(simd.Sets(), &simd.Kernels{Name: "abacus"}) {
		t.Setenv(isa.Variable, k.Name)
		if e, err := NewReference(Default()); err != nil || e.kernels.Name != "generic" || e.few != nil {
			t.Errorf("%s=%s: %v", isa.Variable, k.Name, err)
		}
	}
	if _, err := NewReference(Config{}); !errors.Is(err, ErrConfig) {
		t.Errorf("error is %v, want ErrConfig", err)
	}
}

// The generic kernels define what the others compute.
func TestKernelSetsAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 12))
	sets := simd.Sets()
	for name, c := range configs() {
		x := noise(c.Rate/3, rng)
		reference, err := NewReference(c)
		if err != nil {
			t.Fatal(err)
		}
		want := reference.Rows(nil, x, reference.Scratch())
		for _, k := range sets[1:] {
			e, err := newExtractor(c, k)
			if err != nil {
				t.Fatal(err)
			}
			worst := 0.0
			for i, v := range e.Rows(nil, x, e.Scratch()) {
				worst = max(worst, math.Abs(float64(v-want[i])))
			}
			if !(worst <= 1e-5) {
				t.Errorf("%s: %s differs from generic by %.2g", name, k.Name, worst)
			}
		}
	}
}

// Frames that share the kernels' vectors are independent: the samples of one frame change no other one.
func TestFramesAreIndependent(t *testing.T) { eachSet(t, framesAreIndependent) }

func framesAreIndependent(t *testing.T) {
	c := Default()
	e, x := testExtractor(t, c), noise(16000, rand.New(rand.NewPCG(1, 13)))
	s := e.Scratch()
	want := e.Rows(nil, x, s)
	const spoilt = 8000
	x[spoilt] = float32(math.NaN())
	got := e.Rows(nil, x, s)
	for frame := range c.Frames(len(x)) {
		begin := frame*c.Hop - c.before()
		hit := begin <= spoilt && spoilt < begin+c.Window
		if same := slices.Equal(got[frame*c.Mels:][:c.Mels], want[frame*c.Mels:][:c.Mels]); same == hit {
			t.Errorf("frame %d: hit is %v, the same is %v", frame, hit, same)
		}
	}
}

func TestSilenceIsTheFloor(t *testing.T) { eachSet(t, silenceIsTheFloor) }

func silenceIsTheFloor(t *testing.T) {
	for _, floor := range []float64{1e-30, 1e-10, 1e-6, 1e-5, 3e-4, 1e-3, 0.01, 1, 1e6} {
		c := Default()
		c.Floor = floor
		e := testExtractor(t, c)
		for _, v := range e.Rows(nil, make([]float32, 1000), e.Scratch()) {
			if want := float32(math.Log(floor)); v != want {
				t.Fatalf("floor %g: silence is %.9g, want %.9g", floor, v, want)
			}
		}
	}
}

func TestToneLandsInItsMel(t *testing.T) { eachSet(t, toneLandsInItsMel) }

func toneLandsInItsMel(t *testing.T) {
	for name, c := range map[string]Config{"default": Default(), "square32": Square32()} {
		e := testExtractor(t, c)
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

func TestRowsAreFiniteForAnyInput(t *testing.T) { eachSet(t, rowsAreFiniteForAnyInput) }

func rowsAreFiniteForAnyInput(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	e := testExtractor(t, Default())
	for _, amplitude := range []float64{1e-45, 1e-38, 1e-20, 1, 1e18, 1e19, 1e30, math.MaxFloat32, math.Inf(1),
		math.NaN()} {
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

func TestRowsAppendsInPlace(t *testing.T) { eachSet(t, rowsAppendsInPlace) }

func rowsAppendsInPlace(t *testing.T) {
	c := Default()
	e := testExtractor(t, c)
	s, x := e.Scratch(), noise(3000, rand.New(rand.NewPCG(1, 3)))
	want := e.Rows(nil, x, s)
	dst := make([]float32, 2, 2+len(want))
	got := e.Rows(dst, x, s)
	if &got[0] != &dst[0] || len(got) != 2+len(want) || !slices.Equal(got[2:], want) {
		t.Error("rows are not after what dst held, in its memory")
	}
	if n := testing.AllocsPerRun(10, func() { e.Rows(dst, x, s) }); n != 0 {
		t.Errorf("%v allocations where dst has room", n)
	}
	if len(want) != c.Frames(len(x))*c.Mels {
		t.Errorf("%d values, want %d rows of %d", len(want), c.Frames(len(x)), c.Mels)
	}
}

func BenchmarkRows(b *testing.B) {
	for _, k := range simd.Sets() {
		b.Run(k.Name, func(b *testing.B) {
			e, err := newExtractor(Default(), k)
			if err != nil {
				b.Fatal(err)
			}
			x, s := noise(16000, rand.New(rand.NewPCG(1, 1))), e.Scratch()
			var dst []float32
			for b.Loop() {
				dst = e.Rows(dst[:0], x, s)
			}
			reportRate(b, float64(len(dst)/e.config.Mels)*rowFLOPs(e), "GFLOP/s")
		})
	}
}
