package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/internal/need"
)

// voice returns something like a voiced sound: a few harmonics whose loudness and pitch change, over a little noise.
func voice(rate, n int, level float64, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	samples := make([]float32, n)
	phase := rng.Float64()
	for i := range samples {
		t := float64(i) / float64(rate)
		phase += (120 + 30*math.Sin(3*t+float64(seed))) / float64(rate)
		v := 0.0
		for h := 1.0; h <= 12; h++ {
			v += math.Sin(2*math.Pi*h*phase) / h
		}
		samples[i] = float32(level * (v*(0.6+0.4*math.Sin(7*t)) + 0.02*rng.NormFloat64()))
	}
	return samples
}

// encode returns the bytes of the channels' samples, interleaved.
func encode(e Encoding, channels ...[]float32) []byte {
	var samples []float32
	for i := range channels[0] {
		for _, c := range channels {
			samples = append(samples, c[i])
		}
	}
	return audiotest.PCM(e, samples)
}

func swapped(b []byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	return b
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.New(rand.NewPCG(uint64(i), 9)).Uint32())
	}
	return b
}

func TestPlausibility(t *testing.T) {
	const n = 4096
	speech, other := voice(16000, n, 0.1, 1), voice(16000, n, 0.1, 2)
	loud := voice(16000, n, 0.4, 3)
	none := make([]float32, n)
	for _, c := range []struct {
		name     string
		data     []byte
		e        Encoding
		channels int
		want     Plausibility
	}{
		{"as said", encode(S16LE, speech), S16LE, 1, Plausible},
		{"loud", encode(S16LE, loud), S16LE, 1, Plausible},
		{"two channels", encode(S16LE, speech, other), S16LE, 2, Plausible},
		{"8 bits", encode(U8, speech), U8, 1, Plausible},
		{"24 bits", encode(S24LE, speech), S24LE, 1, Plausible},
		{"32 bits", encode(S32LE, speech), S32LE, 1, Plausible},
		{"float", encode(F32LE, speech), F32LE, 1, Plausible},
		{"A-law", encode(ALaw, speech), ALaw, 1, Plausible},
		{"µ-law", encode(MuLaw, speech), MuLaw, 1, Plausible},
		{"silence", encode(S16LE, none), S16LE, 1, TooQuiet},
		{"silence in 8 bits", encode(U8, none), U8, 1, TooQuiet},
		{"nothing", nil, S16LE, 1, TooQuiet},

		{"8 bits read as 16", encode(U8, speech), S16LE, 1, Unsigned8},
		{"silent 8 bits read as 16", encode(U8, none), S16LE, 1, Unsigned8},
		{"8 bits read as float", encode(U8, speech), F32LE, 1, Unsigned8},
		{"float read as 16 bits", encode(F32LE, speech), S16LE, 1, Floats},
		{"float read as 32 bits", encode(F32LE, speech, other), S32LE, 2, Floats},
		{"silent float", encode(F32LE, none), S16LE, 1, TooQuiet},
		{"big-endian", swapped(encode(S16LE, speech)), S16LE, 1, BigEndian},
		{"loud big-endian", swapped(encode(S16LE, loud)), S16LE, 1, BigEndian},
		{"a byte lost", encode(S16LE, loud)[1:], S16LE, 1, BigEndian},
		{"compressed", randomBytes(2 * n), S16LE, 1, Noise},
		{"compressed, two channels", randomBytes(4 * n), S16LE, 2, Noise},
		{"24 bits read as 16", encode(S24LE, speech), S16LE, 1, Noise},
		{"the same twice", encode(S16LE, speech, speech), S16LE, 1, Interleaved},
		{"one channel silent", encode(S16LE, speech, none), S16LE, 1, Interleaved},
		{"the other channel silent", encode(S16LE, none, speech), S16LE, 1, Interleaved},
		{"two channels read as one", encode(S16LE, speech, other), S16LE, 1, Interleaved},
	} {
		if got := CheckPlausibility(c.data, c.e, c.channels); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestPlausibilityOfSound plays tones and noises, which are easily taken for something else.
func TestPlausibilityOfSound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, hertz := range []float64{50, 440, 1000, 3000, 3999, 4000, 4001, 5000, 7900} {
		for _, phase := range []float64{0, math.Pi / 4, 1} {
			x := make([]float32, 4096)
			for i := range x {
				x[i] = float32(0.5 * math.Sin(2*math.Pi*hertz*float64(i)/16000+phase))
			}
			if got := CheckPlausibility(encode(S16LE, x), S16LE, 1); got != Plausible {
				t.Errorf("a tone of %g Hz, phase %g: %d", hertz, phase, got)
			}
		}
	}
	for _, level := range []float64{0.01, 0.1, 0.25} {
		x := make([]float32, 4096)
		for i := range x {
			x[i] = float32(level * rng.NormFloat64())
		}
		if got := CheckPlausibility(encode(S16LE, x), S16LE, 1); got != Plausible {
			t.Errorf("noise of level %g: %d", level, got)
		}
	}
}

// TestPlausibilityOfRecordings and notices when they are read as something else. Recordings are in the folder that
// POLYPHON_DATA names.
func TestPlausibilityOfRecordings(t *testing.T) {
	root := need.Data(t)
	clips, err := filepath.Glob(filepath.Join(root, "speech_commands", "*", "*.wav"))
	if err != nil || len(clips) < 1000 {
		t.Fatalf("%d recordings in %s, %v", len(clips), root, err)
	}
	noticed, pieces := map[string]int{}, 0
	for i := 0; i < len(clips); i += len(clips) / 1000 {
		c, err := ReadFile(clips[i], 0)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at+4096 <= len(c.Samples); at += 4096 {
			x := c.Samples[at : at+4096]
			if got := CheckPlausibility(encode(S16LE, x), S16LE, 1); got != Plausible && got != TooQuiet {
				t.Errorf("%s from sample %d: %d", clips[i], at, got)
			}
			if math.Sqrt(MeanSquare(x)) < 0.02 {
				continue
			}
			pieces++
			for name, got := range map[string]bool{
				"8 bits":  CheckPlausibility(encode(U8, x), S16LE, 1) == Unsigned8,
				"float":   CheckPlausibility(encode(F32LE, x), S16LE, 1) == Floats,
				"swapped": CheckPlausibility(swapped(encode(S16LE, x)), S16LE, 1) == BigEndian,
				"stereo":  CheckPlausibility(encode(S16LE, x, x), S16LE, 1) == Interleaved,
			} {
				if got {
					noticed[name]++
				}
			}
		}
	}
	for name, n := range noticed {
		if share := float64(n) / float64(pieces); share < 0.8 {
			t.Errorf("%s: noticed in %.0f %% of %d pieces", name, 100*share, pieces)
		}
		t.Logf("%s: noticed in %d of %d pieces", name, n, pieces)
	}
}

func FuzzPlausibility(f *testing.F) {
	f.Add(encode(S16LE, voice(16000, 500, 0.1, 1)), int(S16LE), 1)
	f.Add(binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN()))), int(F32LE), 2)
	f.Fuzz(func(t *testing.T, data []byte, e, channels int) {
		if got := CheckPlausibility(data, Encoding(e), channels); got < Plausible || got > Interleaved {
			t.Fatalf("plausibility %d", got)
		}
	})
}
