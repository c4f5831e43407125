package live

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/internal/need"
)

const rate = 16000

// problems returns what Checks report about sound.
func problems(t *testing.T, data []byte, f audio.Format) []string {
	t.Helper()
	var reported []string
	c := NewChecks(f, func(problem string) { reported = append(reported, problem) })
	for piece := range slices.Chunk(data, 1000) {
		c.Write(piece)
	}
	d, err := audio.Raw(bytes.NewReader(data), f.Encoding, f.Rate, f.Channels)
	if err != nil {
		t.Fatal(err)
	}
	clip, err := audio.ReadAll(d, 0)
	if err != nil {
		t.Fatal(err)
	}
	for samples := range slices.Chunk(clip.Samples, 1000) {
		c.Levels(samples)
	}
	return reported
}

// spoken returns an example clip's samples, repeated to so many seconds.
func spoken(t *testing.T, name string, seconds int) []float32 {
	t.Helper()
	c, err := audio.ReadFile(filepath.Join("..", "..", "examples", name), rate)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Repeat(c.Samples, 1+seconds*rate/len(c.Samples))[:seconds*rate]
}

// raw returns samples as bytes.
func raw(e audio.Encoding, samples []float32) []byte { return audiotest.PCM(e, samples) }

// noise returns n samples of white noise at full scale.
func noise(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	samples := make([]float32, n)
	for i := range samples {
		samples[i] = 2*rng.Float32() - 1
	}
	return samples
}

var declared16 = audio.Format{Container: "raw", Encoding: audio.S16LE, Rate: rate, Channels: 1}

func TestChecks(t *testing.T) {
	speech := spoken(t, "left.wav", 12)
	clipped := slices.Clone(speech)
	for i := range clipped {
		clipped[i] = min(max(30*clipped[i], -1), 1)
	}
	var twice []float32
	for _, v := range speech {
		twice = append(twice, v, v)
	}
	big := raw(audio.S16LE, speech)
	for i := 0; i < len(big); i += 2 {
		big[i], big[i+1] = big[i+1], big[i]
	}
	header, declared8 := declared16, declared16
	header.Container, declared8.Encoding = "wav", audio.U8
	for _, c := range []struct {
		name   string
		data   []byte
		format audio.Format
		want   string
	}{
		{"as declared", raw(audio.S16LE, speech), declared16, ""},
		{"8 bits", raw(audio.U8, speech), declared16, "--encoding u8 --rate 8000"},
		{"float", raw(audio.F32LE, speech), declared16, "--encoding f32le"},
		{"big-endian", big, declared16, "big-endian"},
		{"two channels", raw(audio.S16LE, twice), declared16, "--channels 2"},
		{"muted", raw(audio.S16LE, make([]float32, 12*rate)), declared16, "digital silence for 10 s"},
		{"muted, 8 bits", raw(audio.U8, make([]float32, 12*rate)), declared8, "digital silence"},
		{"silent for a while", raw(audio.S16LE, slices.Concat(make([]float32, 9*rate), speech, make([]float32, 9*rate))),
			declared16, ""},
		{"clipped", raw(audio.S16LE, clipped), declared16, "clipped"},
		{"noise", raw(audio.S16LE, noise(12*rate)), declared16, "noise at full scale"},
		{"noise, as a header says", raw(audio.S16LE, noise(12*rate)), header, ""},
	} {
		reported := problems(t, c.data, c.format)
		if c.want == "" && len(reported) > 0 ||
			c.want != "" && (len(reported) != 1 || !strings.Contains(reported[0], c.want)) {
			t.Errorf("%s: %q, want %q", c.name, reported, c.want)
		}
	}
}

// TestChecksAcceptRecordings reads recordings one after the other, as a microphone would bring them.
func TestChecksAcceptRecordings(t *testing.T) {
	clips, err := filepath.Glob(filepath.Join(need.Data(t), "speech_commands", "*", "*.wav"))
	if len(clips) < 1000 {
		t.Fatalf("%d recordings, %v", len(clips), err)
	}
	var sound []float32
	for i := 0; i < len(clips); i += len(clips) / 400 {
		c, err := audio.ReadFile(clips[i], rate)
		if err != nil {
			t.Fatal(err)
		}
		if reported := problems(t, raw(audio.S16LE, c.Samples), declared16); len(reported) > 0 {
			t.Errorf("%s: %q", clips[i], reported)
		}
		sound = append(sound, c.Samples...)
	}
	if reported := problems(t, raw(audio.S16LE, sound), declared16); len(reported) > 0 {
		t.Errorf("in a row: %q", reported)
	}
}

// TestChecksOfTheRate has sound arrive three times as fast as declared.
func TestChecksOfTheRate(t *testing.T) {
	header := declared16
	header.Container = "wav"
	for _, c := range []struct {
		name    string
		format  audio.Format
		flooded bool
		want    int
	}{{"raw", declared16, false, 1}, {"with a header", header, false, 0}, {"flooded", declared16, true, 0}} {
		var reported []string
		checks := NewChecks(c.format, func(problem string) { reported = append(reported, problem) })
		if c.flooded {
			checks.Flooded()
		}
		for wall := 0.0; wall < 30; wall++ {
			checks.CaughtUp(at(wall, 3*wall))
		}
		if len(reported) != c.want || c.want > 0 && !strings.Contains(reported[0], "as fast as at 48000 Hz") {
			t.Errorf("%s: %q", c.name, reported)
		}
	}
}
