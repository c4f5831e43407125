package audio

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/internal/need"
)

// utterance is a second at 16 kHz: faint noise, a voice that grows and fades, faint noise.
func utterance(level float64, seed uint64) []float32 {
	x := voice(16000, 16000, 1, seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	for i, v := range x {
		envelope := math.Exp(-math.Pow((float64(i)-8000)/2500, 2))
		x[i] = float32(level * (float64(v)*envelope/3 + 0.002*rng.NormFloat64()))
	}
	return x
}

func scaled(x []float32, factor float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = v * factor
	}
	return y
}

// rounded returns x in so many bits, as integers.
func rounded(x []float32, bits int) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(audiotest.Quantize(v, bits))
	}
	return y
}

// wavFile is a WAV file whose header says format tag, channels and bits of the interleaved data at 16 kHz.
func wavFile(tag, channels, bits int, data []byte) []byte {
	return riff(fmtChunk(tag, channels, 16000, bits), chunk("data", data...))
}

// near reports whether got is want, to a tolerance.
func near(got, want []float32, tolerance float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d samples, want %d", len(got), len(want))
	}
	for i, v := range got {
		if !(math.Abs(float64(v-want[i])) <= tolerance) {
			return fmt.Errorf("sample %d is %g, want %g", i, v, want[i])
		}
	}
	return nil
}

func replaced(x []float32, at map[int]float32) []float32 {
	x = slices.Clone(x)
	for i, v := range at {
		x[i] = v
	}
	return x
}

func TestScreen(t *testing.T) {
	const (
		signOnly = "the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)"
		zeroTop  = "the highest of four bytes is always 0: read as 24 bits in the low three (s24in32le)"
		floats   = "the samples look like 32-bit float, not integers as stated: read as float"
		integers = "the samples look like 32-bit integers, not float as stated: read as integers"
	)
	x, y := utterance(0.5, 1), utterance(0.5, 2)
	loudNoise := make([]float32, 16000)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range loudNoise {
		loudNoise[i] = 2*rng.Float32() - 1
	}
	withoutTop := audiotest.PCM(S24In32LE, x)
	for i := 3; i < len(withoutTop); i += 4 {
		withoutTop[i] = 0
	}
	long := slices.Repeat(x, 10)
	later := make([]float32, len(x)+100)
	copy(later[100:], x)
	for _, c := range []struct {
		name   string
		file   []byte
		want   []float32 // nil: not compared
		within float64
		warns  string
	}{
		{name: "S24_LE that a header calls 32 bits", file: wavFile(1, 1, 32, audiotest.PCM(S24In32LE, x)), want: x,
			within: 1e-6, warns: signOnly},
		{name: "S24_LE, ten seconds", file: wavFile(1, 1, 32, audiotest.PCM(S24In32LE, long)), want: long, within: 1e-6,
			warns: signOnly},
		{name: "S24_LE, soft", file: wavFile(1, 1, 32, audiotest.PCM(S24In32LE, scaled(x, 0.1))), want: scaled(x, 0.1),
			within: 1e-6, warns: signOnly},
		{name: "S24_LE of two channels", file: wavFile(1, 2, 32, encode(S24In32LE, x, x)), want: x, within: 1e-6,
			warns: signOnly},
		{name: "S24_LE with zeros above", file: wavFile(1, 1, 32, withoutTop), want: x, within: 1e-6, warns: zeroTop},
		{name: "32 bits", file: wavFile(1, 1, 32, audiotest.PCM(S32LE, x)), want: x, within: 1e-6},
		{name: "soft 32 bits from 16", file: wavFile(1, 1, 32, audiotest.PCM(S32LE,
			scaled(rounded(scaled(x, 0.003), 16), scale16))),
			warns: "very quiet, the loudest 100 ms are at -73 dBFS: raise the recording level, " +
				"or amplify the file (sox in.wav out.wav gain -n -3)"},
		{name: "32 bits after soft noise", file: wavFile(1, 1, 32, audiotest.PCM(S32LE, slices.Concat(
			scaled(loudNoise, 0.003), x)))},

		{name: "float on a scale of 16 bits", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, rounded(x, 16))), want: x,
			within: 1e-4, warns: "float samples up to 5361, taken as 16-bit scale"},
		{name: "resampled float on a scale of 16 bits", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, scaled(x, 32768))),
			want: x, within: 1e-6, warns: "float samples up to 5361, taken as 16-bit scale"},
		{name: "double on a scale of 16 bits", file: wavFile(3, 1, 64, audiotest.PCM(F64LE, scaled(long, 32768))),
			want: long, within: 1e-6, warns: "float samples up to 5361, taken as 16-bit scale"},
		{name: "float on a scale of 24 bits", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, rounded(x, 24))), want: x,
			within: 1e-6, warns: "float samples up to 1372430, taken as 24-bit scale"},
		{name: "float on a scale of 32 bits", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, rounded(x, 32))), want: x,
			within: 1e-6, warns: "float samples up to 351342080, taken as 32-bit scale"},
		{name: "float on a scale of 16 bits after silence", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, slices.Concat(
			make([]float32, 32000), rounded(x, 16)))), want: slices.Concat(make([]float32, 32000), x), within: 1e-4,
			warns: "float samples up to 5361, taken as 16-bit scale"},
		{name: "float beyond full scale", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, scaled(x, 20))),
			want: scaled(x, 20)},

		{name: "one absurd sample", file: wavFile(3, 1, 32, audiotest.PCM(F32LE,
			replaced(x, map[int]float32{8000: 1e30}))), want: replaced(x, map[int]float32{8000: 0}),
			warns: "1 sample is far beyond full scale, at 0.500 s: read as 0"},
		{name: "one sample at a million", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, replaced(long,
			map[int]float32{80000: -1e6}))), want: replaced(long, map[int]float32{80000: 0}),
			warns: "1 sample is far beyond full scale, at 5.000 s: read as 0"},
		{name: "infinite doubles", file: wavFile(3, 1, 64, audiotest.PCM(F64LE,
			replaced(x, map[int]float32{16: inf, 400: -inf}))),
			want:  replaced(x, map[int]float32{16: 0, 400: 0}),
			warns: "2 samples are NaN or infinite, the first at 0.001 s: read as 0"},
		{name: "NaN in the second of two channels", file: wavFile(3, 2, 32, slices.Concat(
			encode(F32LE, x[:12000], x[:12000]), floats32(x[12000], nan), encode(F32LE, x[12001:], x[12001:]))),
			want:  replaced(x, map[int]float32{12000: x[12000] / 2}),
			warns: "1 sample is NaN or infinite, at 0.750 s: read as 0"},
		{name: "NaN and absurd", file: wavFile(3, 1, 32, slices.Concat(floats32(x[:3200]...), floats32(nan, 1e9),
			floats32(x[3202:]...))), want: replaced(x, map[int]float32{3200: 0, 3201: 0}),
			warns: "2 samples are NaN, infinite or far beyond full scale, the first at 0.200 s: read as 0"},

		{name: "float called 32-bit PCM", file: wavFile(1, 1, 32, audiotest.PCM(F32LE, x)), want: x, within: 1e-5,
			warns: floats},
		{name: "float of two channels called 32-bit PCM", file: wavFile(1, 2, 32, encode(F32LE, x, x)), want: x,
			within: 1e-5, warns: floats},
		{name: "float from 16 bits called 32-bit PCM", file: wavFile(1, 1, 32,
			audiotest.PCM(F32LE, scaled(rounded(x, 16), scale16))), want: x, within: 1e-4, warns: floats},
		{name: "32-bit PCM called float", file: wavFile(3, 1, 32, audiotest.PCM(S32LE, x)), want: x, within: 1e-6,
			warns: integers},
		{name: "32-bit PCM of two channels called float", file: wavFile(3, 2, 32, encode(S32LE, x, x)), want: x,
			within: 1e-6, warns: integers},
		{name: "ten seconds of 32-bit PCM called float", file: wavFile(3, 1, 32, audiotest.PCM(S32LE, long)),
			want: long, within: 1e-6, warns: integers},

		{name: "an inverted channel", file: wavFile(1, 2, 16, encode(S16LE, x, scaled(x, -1))), want: x, within: 1e-4,
			warns: "the channels cancel each other, as when one is inverted: only channel 1 is used"},
		{name: "a softer inverted channel", file: wavFile(1, 2, 24, encode(S24LE, scaled(x, -0.8), x)), want: x,
			within: 1e-4, warns: "the channels cancel each other, as when one is inverted: only channel 2 is used"},
		{name: "an inverted channel of float", file: wavFile(3, 2, 32, encode(F32LE, x, scaled(x, -0.9))), want: x,
			within: 1e-4, warns: "the channels cancel each other, as when one is inverted: only channel 1 is used"},
		{name: "a channel that is inverted after five seconds", file: wavFile(1, 2, 16, slices.Concat(
			encode(S16LE, long[:80000], long[:80000]), encode(S16LE, long[80000:], scaled(long[80000:], -1)))),
			warns: "the channels cancel each other from 5.3 s on, as when one is inverted: only channel 1 is used"},
		{name: "channels of one sound", file: wavFile(1, 2, 16, encode(S16LE, x, scaled(x, 0.3))),
			want: scaled(x, 0.65), within: 1e-4},
		{name: "channels of two sounds", file: wavFile(1, 2, 16, encode(S16LE, x, y))},
		{name: "a silent channel", file: wavFile(1, 2, 16, encode(S16LE, x, make([]float32, len(x)))),
			want: scaled(x, 0.5), within: 1e-4},

		{name: "a later channel", file: wavFile(1, 2, 16, encode(S16LE, later[100:], later[:16000])), want: x,
			within: 1e-4,
			warns:  "channel 2 is the same 6.2 ms later: only channel 1 is used"},
		{name: "a channel that is 20 samples earlier", file: wavFile(1, 2, 24, encode(S24LE,
			later[80:16080], later[100:])),
			want: later[100:], within: 1e-4, warns: "channel 1 is the same 1.2 ms later: only channel 2 is used"},
		{name: "a later, softer and inverted channel", file: wavFile(3, 2, 32, encode(F32LE, later[100:],
			scaled(later[:16000], -0.7))), want: x, within: 1e-4,
			warns: "channel 2 is the same 6.2 ms later: only channel 1 is used"},

		{name: "a soft sound", file: wavFile(1, 1, 16, audiotest.PCM(S16LE, scaled(x, 0.01))),
			warns: "very quiet, the loudest 100 ms are at -62 dBFS: raise the recording level, or amplify the file " +
				"(sox in.wav out.wav gain -n -3)"},
		{name: "a soft sound in float", file: wavFile(3, 1, 32, audiotest.PCM(F32LE, scaled(x, 1e-4))),
			warns: "very quiet, the loudest 100 ms are at -102 dBFS: raise the recording level, or amplify the file " +
				"(sox in.wav out.wav gain -n -3)"},
		{name: "soft sound of two channels", file: wavFile(1, 2, 24, encode(S24LE, scaled(x, 0.005), scaled(x, 0.005))),
			warns: "very quiet, the loudest 100 ms are at -68 dBFS: raise the recording level, or amplify the file " +
				"(sox in.wav out.wav gain -n -3)"},
		{name: "a word in a long silence", file: wavFile(1, 1, 16, audiotest.PCM(S16LE, slices.Concat(
			make([]float32, 160000), x, make([]float32, 160000))))},
		{name: "silence", file: wavFile(1, 1, 16, make([]byte, 32000))},
		{name: "silence but for the last bit", file: wavFile(1, 1, 16, audiotest.PCM(S16LE, scaled(loudNoise, 4e-5)))},
		{name: "silence in float", file: wavFile(3, 1, 32, make([]byte, 64000))},
		{name: "50 ms of a soft sound", file: wavFile(1, 1, 16, audiotest.PCM(S16LE, scaled(x[:800], 0.01)))},
		{name: "noise at full scale", file: wavFile(1, 1, 16, audiotest.PCM(S16LE, loudNoise))},
	} {
		d, err := Decode(bytes.NewReader(c.file))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, err := ReadAll(d, 0)
		if err != nil || d.Warning() != c.warns {
			t.Errorf("%s: warning %q, want %q, error %v", c.name, d.Warning(), c.warns, err)
		}
		if c.want != nil {
			if err := near(got.Samples, c.want, c.within); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// TestNoNumbers reads sounds that hold no sound.
func TestNoNumbers(t *testing.T) {
	x := utterance(0.5, 1)
	nans := slices.Repeat([]byte{0xFF}, 64000)
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"all NaN", wavFile(3, 1, 32, nans), "all 16000 samples are NaN or infinite"},
		{"all NaN or infinite", wavFile(3, 1, 64, floats64(float64(nan), math.Inf(1), math.Inf(-1))),
			"all 3 samples are NaN or infinite"},
		{"all infinite, of two channels", wavFile(3, 2, 32, audiotest.PCM(F32LE, slices.Repeat([]float32{inf}, 64))),
			"all 64 samples are NaN or infinite"},
		{"a minute of NaN", wavFile(3, 1, 32, slices.Repeat(nans, 60)),
			"the first 65536 samples are all NaN or infinite"},
		{"16-bit PCM called float", wavFile(3, 1, 32, audiotest.PCM(S16LE, x)),
			"the samples look like 16-bit integers, not float as stated"},
	} {
		_, err := Decode(bytes.NewReader(c.file))
		if !errors.Is(err, ErrCorrupt) || err.Error() != ErrCorrupt.Error()+": "+c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestOutOfStep reads PCM into which bytes were inserted, or of which some were lost.
func TestOutOfStep(t *testing.T) {
	x := slices.Repeat(utterance(0.5, 1), 4)
	insert := func(data []byte, at int, more ...byte) []byte { return slices.Concat(data[:at], more, data[at:]) }
	mono, stereo := audiotest.PCM(S16LE, x), encode(S16LE, x, x)
	for _, c := range []struct {
		name     string
		tag      int
		channels int
		bits     int
		data     []byte
		from     float64 // seconds at which the bytes are out of step, negative where they never are
		shift    int
		lost     int // samples at the end
	}{
		{"in step", 1, 1, 16, mono, -1, 0, 0},
		{"a byte inserted", 1, 1, 16, insert(mono, 48000, 7), 1.5, 1, 0},
		{"a byte lost", 1, 1, 16, slices.Delete(slices.Clone(mono), 48000, 48001), 1.5, 1, 1},
		{"a byte inserted into two channels", 1, 2, 16, insert(stereo, 96000, 7), 1.5, 1, 1},
		{"three bytes lost of two channels", 1, 2, 16, slices.Delete(slices.Clone(stereo), 96000, 96003), 1.5, 3, 1},
		{"two bytes inserted into 24 bits", 1, 1, 24, insert(audiotest.PCM(S24LE, x), 72000, 7, 7), 1.5, 2, 1},
		{"from the beginning", 1, 1, 16, insert(mono, 0, 7), 0, 1, 0},
	} {
		d, err := Decode(bytes.NewReader(wavFile(c.tag, c.channels, c.bits, c.data)))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := ReadAll(d, 0)
		var shift int
		var from, again float64
		n, _ := fmt.Sscanf(d.Warning()[max(strings.Index(d.Warning(), "sample bytes"), 0):],
			"sample bytes are shifted by %d from about %f s on, as when bytes are inserted or lost: "+
				"read in step again from %f",
			&shift, &from, &again)
		if c.from < 0 {
			if d.Warning() != "" {
				t.Errorf("%s: %q", c.name, d.Warning())
			}
			continue
		}
		if n != 3 || strings.Count(d.Warning(), "sample bytes") > 1 || from < c.from-0.05 || again > c.from+0.6 {
			t.Errorf("%s: warning %q", c.name, d.Warning())
			continue
		}
		tail := got.Samples[len(got.Samples)-16000:]
		err = near(tail, x[len(x)-16000:], 1e-4)
		for k := 1; err != nil && k <= 3; k++ { // frames that were taken for the inserted bytes
			err = near(tail[k:], x[len(x)-16000:len(x)-k], 1e-4)
			if err != nil {
				err = near(tail[:16000-k], x[len(x)-16000+k:], 1e-4)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestScreenWhateverThePieces expects the same samples and warnings however the bytes arrive.
func TestScreenWhateverThePieces(t *testing.T) {
	x := slices.Repeat(utterance(0.5, 1), 3)
	for name, file := range map[string][]byte{
		"S24_LE":   wavFile(1, 1, 32, audiotest.PCM(S24In32LE, x)),
		"scale":    wavFile(3, 1, 32, audiotest.PCM(F32LE, scaled(x, 32768))),
		"inverted": wavFile(1, 2, 16, encode(S16LE, x, scaled(x, -1))),
		"delayed":  wavFile(1, 2, 16, encode(S16LE, x[100:], x)[:120000]),
		"a byte":   wavFile(1, 1, 16, slices.Concat(encode(S16LE, x[:20000]), []byte{1}, encode(S16LE, x[20000:]))),
		"3 bytes": wavFile(1, 3, 16, slices.Concat(encode(S16LE, x[:20000], x[:20000], x[:20000]), []byte{1, 2, 3},
			encode(S16LE, x[20000:], x[20000:], x[20000:]))),
		"24 bits": wavFile(1, 2, 24, slices.Concat(encode(S24LE, x[:20000], x[:20000]), []byte{1, 2, 3, 4, 5},
			encode(S24LE, x[20000:], x[20000:]))),
		"later":     wavFile(1, 2, 16, slices.Concat(encode(S16LE, x, x), encode(S16LE, x, scaled(x, -1)))),
		"ambiguous": wavFile(1, 2, 16, encode(S16LE, make([]float32, 48000), make([]float32, 48000))),
	} {
		whole, _ := Decode(bytes.NewReader(file))
		want, _ := ReadAll(whole, 0)
		rng := rand.New(rand.NewPCG(3, 4))
		d, err := Decode(oddPieces{bytes.NewReader(file), rng})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadAll(d, 0)
		if err != nil || !slices.Equal(got.Samples, want.Samples) || d.Warning() != whole.Warning() {
			t.Errorf("%s: %d samples, %v, %q; in one piece %d, %q",
				name, len(got.Samples), err, d.Warning(), len(want.Samples), whole.Warning())
		}
	}
}

// TestCasesOfSamples reads files whose samples are not what their headers say. All of them are examples/left.wav.
func TestCasesOfSamples(t *testing.T) {
	want, err := ReadFile("../examples/left.wav", 8000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ prefix, warning string }{
		{"05", "the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)"},
		{"06", "the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)"},
		{"10", "float samples up to 16076, taken as 16-bit scale"},
		{"12", "the samples look like 32-bit float, not integers as stated: read as float"},
	} {
		paths, _ := filepath.Glob("testdata/cases/" + c.prefix + "_*")
		if len(paths) != 1 {
			t.Fatalf("case %s: %v", c.prefix, paths)
		}
		got, err := ReadFile(paths[0], 0)
		if err != nil || got.Warning != c.warning {
			t.Errorf("%s: %q, %v", paths[0], got.Warning, err)
		}
		if similar(got.Samples, want.Samples) < 0.98 {
			t.Errorf("%s: not the sound of left.wav: %g", paths[0], similar(got.Samples, want.Samples))
		}
		if ratio := MeanSquare(got.Samples) / MeanSquare(want.Samples); ratio < 0.8 || ratio > 1.25 {
			t.Errorf("%s: %g times the power of left.wav", paths[0], ratio)
		}
	}
}

// similar returns the normalised correlation of two sounds, of which the first may be a few samples earlier or later.
func similar(a, b []float32) (best float64) {
	both := make([]float32, 0, 2*len(a))
	for i := range min(len(a), len(b)) {
		both = append(both, a[i], b[i])
	}
	for lag := -8; lag <= 8; lag++ {
		best = max(best, correlation(both, lag))
	}
	return best
}

// TestScreenAcceptsRecordings finds nothing but low levels in recordings, whatever they are written as.
func TestScreenAcceptsRecordings(t *testing.T) {
	root := need.Data(t)
	clips, err := filepath.Glob(filepath.Join(root, "speech_commands", "*", "*.wav"))
	more, _ := filepath.Glob(filepath.Join(root, "esc10", "*", "*", "*.wav"))
	if clips = append(clips, more...); err != nil || len(clips) < 1000 {
		t.Fatalf("%d recordings in %s, %v", len(clips), root, err)
	}
	for i := 0; i < len(clips); i += 1 + len(clips)/2000 {
		c, err := ReadFile(clips[i], 0)
		if err != nil {
			t.Fatal(err)
		}
		warnings := map[string]string{"as it is": c.Warning}
		for _, e := range []Encoding{S24LE, S32LE, F32LE} {
			d, err := Decode(bytes.NewReader(wavOf(c, e)))
			if err != nil {
				t.Fatal(err)
			}
			ReadAll(d, 0)
			warnings[e.String()] = d.Warning()
		}
		for as, w := range warnings {
			if w != "" && !strings.HasPrefix(w, "very quiet, ") {
				t.Errorf("%s %s: %s", clips[i], as, w)
			}
		}
	}
}
