package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
)

func TestScene(t *testing.T) {
	m := Material{Rate: 1000, SNR: 10}
	word := func(label string, amplitude float32) clip {
		c := clip{label: label, samples: make([]float32, m.Rate)}
		for i := m.Rate / 4; i < m.Rate/2; i++ { // a word in the second quarter
			c.samples[i] = amplitude
		}
		return c
	}
	background := slices.Repeat([]float32{0.5, -0.5}, 300)
	clips := []clip{word("yes", 0.8), word("bird", 0.8), word("no", 0.8)}
	scene := func(clips []clip, background []float32) ([]float32, []Word) {
		path := filepath.Join(t.TempDir(), "background.wav")
		if err := os.WriteFile(path, audiotest.WAV(audio.F32LE, m.Rate, background), 0o644); err != nil {
			t.Fatal(err)
		}
		m.Under = []string{path}
		if err := m.measureAll(); err != nil {
			t.Fatal(err)
		}
		var list []utterance
		for _, c := range clips {
			list = append(list, m.alone(c))
		}
		samples, words, err := m.scene(list, rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return samples, words
	}
	samples, words := scene(clips, background)
	if len(words) != 3 || words[0].Label != "yes" || words[1].Label != "bird" || words[2].Label != "no" {
		t.Fatalf("words %v", words)
	}
	if math.Abs(words[0].Start-2.25) > 0.011 || math.Abs(words[0].End-2.5) > 0.011 {
		t.Errorf("the first word lies at %+v, want 2.25 to 2.5", words[0])
	}
	if gap := words[2].Start - words[0].Start; gap < 2+2*minPause || gap > 2+2*maxPause {
		t.Errorf("%g s from a word to the one after the next", gap)
	}
	noise, signal := audio.MeanSquare(samples[:m.Rate]), audio.MeanSquare(clips[0].samples)
	if got := 10 * math.Log10(signal/noise); math.Abs(got-10) > 0.01 {
		t.Errorf("%.2f dB, want 10", got)
	}
	loud, _ := scene([]clip{word("yes", 0.8), word("no", 0.05), word("up", 0.2)}, background)
	noise = audio.MeanSquare(loud[:m.Rate])
	for i := range 3 { // each is 10 dB above the background, however loud its recording is
		at := slices.IndexFunc(loud, func(v float32) bool { return v > 5*float32(math.Sqrt(noise)) })
		if i < 2 && at < 0 {
			t.Fatalf("%d words are louder than the background", i)
		}
		word := slices.Clone(loud[max(at, 0):][:m.Rate/4])
		if got := 10 * math.Log10((audio.MeanSquare(word)-noise)/4/noise); math.Abs(got-10) > 0.2 {
			t.Errorf("word %d is %.2f dB above the background, want 10", i, got)
		}
		clear(loud[max(at, 0):][:m.Rate/4])
	}
	if quiet, _ := scene(clips[:1], make([]float32, 10)); slices.Max(quiet) != 0.8 {
		t.Error("a silent background changed the word")
	}
}

// madeRecording is a Recording with its samples.
type madeRecording struct {
	Recording
	audio.Clip
}

// made returns all recordings.
func made(m *Material) (list []madeRecording, err error) {
	for r, err := range m.Recordings() {
		if err != nil {
			return list, err
		}
		c, err := audio.ReadAll(r.Sound, 600*r.Sound.Rate())
		if err != nil {
			return list, err
		}
		list = append(list, madeRecording{r, c})
	}
	return list, nil
}

// TestRecordings makes recordings of every kind of files, and of some that are left out.
func TestRecordings(t *testing.T) {
	const rate = 8000
	dir := t.TempDir()
	write := func(name string, wav []byte) string {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, wav, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	second := audiotest.WAV(audio.S16LE, rate, slices.Repeat([]float32{0.3, -0.3}, rate/2))
	cued := audiotest.WithCues(second,
		audiotest.Cue{Label: "no ", Start: 4000, Length: 1000}, audiotest.Cue{Label: "other", Start: 2000},
		audiotest.Cue{Label: "_unknown_"}, audiotest.Cue{Label: "yes", Start: 800})
	write("backgrounds/a.wav", second)
	write("backgrounds/broken.wav", []byte("no sound"))
	write("recordings/0.wav", cued)
	write("recordings/1.wav", second)
	write("recordings/2.wav", audiotest.WithCues(second, audiotest.Cue{Label: "other"}))
	var notes []string
	m := Material{
		Labels: []string{"yes", "no", "_unknown_"}, Rate: rate, SNR: 10, Minutes: 0.1, Seed: 1,
		Without: []string{filepath.Join(dir, "backgrounds")}, Recorded: []string{filepath.Join(dir, "recordings")},
		Note: func(err error) { notes = append(notes, err.Error()) },
	}
	if _, err := made(&m); err == nil {
		t.Error("recordings without words were made")
	}
	for i := range clipsInScene + 1 {
		m.Clips = append(m.Clips, datasets.Item{Path: write(fmt.Sprintf("yes/%d.wav", i), second)})
	}
	m.Clips = append(m.Clips, datasets.Item{Path: write("up/0.wav", second), Label: 2},
		datasets.Item{Path: filepath.Join(dir, "none.wav")})
	list, err := made(&m)
	if err != nil {
		t.Fatal(err)
	}
	var words, of [5]int // by kind
	for _, r := range list {
		of[r.Kind]++
		words[r.Kind] += len(r.Words)
		if r.Rate != rate || r.Duration() < time.Second {
			t.Errorf("a recording of %v at %d Hz", r.Duration(), r.Rate)
		}
		if r.Kind == Wordless && r.Duration() != time.Second {
			t.Errorf("%v without words", r.Duration())
		}
	}
	if words != [5]int{Spoken: clipsInScene + 1, Recorded: 2} || of != [5]int{1, 1, 2, 2} {
		t.Errorf("%v words in %v recordings", words, of)
	}
	if got := list[len(list)-2].Words; !slices.Equal(got, []Word{{"yes", 0.1, 0.1}, {"no", 0.5, 0.625}}) {
		t.Errorf("words of cue points: %v", got)
	}
	for i, want := range []string{"broken.wav", "none.wav", "1.wav: it has no cue points", "2.wav: none of its 1 cue"} {
		if i >= len(notes) || !strings.Contains(notes[i], want) {
			t.Errorf("notes %q, want %q", notes, want)
			break
		}
	}
	m.Without = []string{filepath.Join(dir, "nowhere")}
	if _, err := made(&m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// TestOneSceneAtATime: clips are read when their scene is asked for, and not before.
func TestOneSceneAtATime(t *testing.T) {
	const rate, scenes = 8000, 4
	dir := t.TempDir()
	second := audiotest.WAV(audio.S16LE, rate, slices.Repeat([]float32{0.3, -0.3}, rate/2))
	m := Material{Labels: []string{"yes"}, Rate: rate, Without: []string{filepath.Join(dir, "quiet")}}
	notes := 0
	m.Note = func(error) { notes++ }
	write := func(folder string, i int) string {
		path := filepath.Join(dir, folder, fmt.Sprintf("%d.wav", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, second, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("quiet", 0)
	for i := range scenes * clipsInScene {
		m.Clips = append(m.Clips, datasets.Item{Path: write("yes", i)})
	}
	made := 0
	for r, err := range m.Recordings() {
		if r.Kind == Wordless {
			break
		}
		if err != nil || len(r.Words) != clipsInScene {
			t.Fatalf("a scene of %d words, %v", len(r.Words), err)
		}
		if made++; made == 2 {
			if err := os.RemoveAll(filepath.Join(dir, "yes")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if made != 2 || notes != (scenes-2)*clipsInScene {
		t.Errorf("%d scenes, %d clips of later ones are missing", made, notes)
	}
	for range m.Recordings() { // which may be left early
		break
	}
}

// TestClipsOfCuePoints: a part of a recording is as long as its cue states, or one window where it states nothing.
func TestClipsOfCuePoints(t *testing.T) {
	const rate = 8000
	samples := make([]float32, 3*rate)
	for i := range samples {
		samples[i] = float32(i) / (1 << 15)
	}
	path := filepath.Join(t.TempDir(), "long.wav")
	if err := os.WriteFile(path, audiotest.WAV(audio.S16LE, rate, samples), 0o644); err != nil {
		t.Fatal(err)
	}
	var notes []string
	m := Material{
		Labels: []string{"yes", "_unknown_", "_silence_"}, Rate: rate, Window: 0.5,
		Note: func(err error) { notes = append(notes, err.Error()) },
		Clips: []datasets.Item{
			{Path: path, Part: datasets.Span{From: 0.5, To: 0.75}},
			{Path: path, Part: datasets.Span{From: 1, To: 2.5}, Point: true, Label: 1, Word: "up"},
			{Path: path, Part: datasets.Span{From: 2.5, To: 2.75}, Point: true},
			{Path: path, Part: datasets.Span{From: 2.75, To: 4}},
			{Path: path, Part: datasets.Span{From: 4, To: 5}},
			{Path: path, Part: datasets.Span{From: 1, To: 2}, Label: 2, Silence: true},
			{Path: path},
		},
	}
	words, others := m.clips()
	m.readParts(words)
	m.readParts(others)
	words, others = m.load(words), m.load(others)
	var spans [][2]float32 // in seconds
	for _, c := range slices.Concat(words, others) {
		spans = append(spans, [2]float32{c.samples[0] * (1 << 15) / rate, float32(len(c.samples)) / rate})
	}
	if want := [][2]float32{{0.5, 0.25}, {2.5, 0.25}, {2.75, 0.25}, {0, 3}, {1, 0.5}}; !slices.Equal(spans, want) {
		t.Errorf("clips at %v, want %v", spans, want)
	}
	if len(others) != 1 || others[0].label != "up" || words[0].label != "yes" {
		t.Errorf("%d other words", len(others))
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "at 4 seconds") {
		t.Errorf("notes %q", notes)
	}
}
