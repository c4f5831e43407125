package tuning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io/fs"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/models"
)

// track returns decisions every 0.1 s about windows of a second, in which labels are likely for some stretches.
func track(seconds float64, words []Word, likely map[string][][2]float64) *Track {
	t := &Track{Words: words, Seconds: seconds, labels: []string{"yes", "no", "_unknown_"}}
	for end := 0.1; end <= seconds; end += 0.1 {
		p := make([]float64, len(t.labels))
		for i, label := range t.labels {
			for _, span := range likely[label] {
				if span[0] <= end && end <= span[1] {
					p[i] = 0.9
				}
			}
		}
		t.decisions = append(t.decisions, polyphon.Decision{Start: max(0, end-1), End: end, Used: end + 0.2, P: p})
	}
	return t
}

var point = detect.Config{Threshold: 0.5, Release: 0.5, Refractory: 1}

func TestMeasure(t *testing.T) {
	words := []Word{{"yes", 2, 2.5}, {"no", 5, 5.5}, {"yes", 8, 8.4}}
	tr := track(20, words, map[string][][2]float64{
		"yes":       {{2.25, 3}, {5.3, 5.6}, {15, 15.6}}, // a word, one in the place of another, one false alarm
		"no":        {{5.85, 6.4}},
		"_unknown_": {{11, 12}},
	})
	s, err := Measure([]*Track{tr}, point)
	if err != nil {
		t.Fatal(err)
	}
	if s.Words != 3 || s.Missed != 1 || s.FalseAlarms != 2 || math.Abs(s.Hours-20.0/3600) > 1e-12 {
		t.Errorf("%d of %d words missed, %d false alarms in %g hours", s.Missed, s.Words, s.FalseAlarms, s.Hours)
	}
	if got := s.FalseAlarmsPerHour(); math.Abs(got-360) > 1e-9 {
		t.Errorf("%g false alarms an hour", got)
	}
	// "yes" reaches the threshold in the window that ends at 2.3, which needed 2.5 s: as the word ended.
	if len(s.Delays) != 2 || math.Abs(s.Delay(0)) > 1e-9 || math.Abs(s.Delay(1)-0.6) > 1e-9 {
		t.Errorf("delays %v, want 0 and 0.6", s.Delays)
	}
	for seconds, want := range map[float64]float64{-0.1: 0, 0.1: 0.5, 0.5: 0.5, 0.61: 1} {
		if got := s.Within(seconds); got != want {
			t.Errorf("%g of the words within %g s, want %g", got, seconds, want)
		}
	}
	other := track(40, nil, map[string][][2]float64{"no": {{30, 30.5}}})
	other.Kind = OtherWord
	s, _ = Measure([]*Track{tr, other}, point)
	if s.Parts[Spoken].FalseAlarms != 2 || s.Parts[OtherWord] != (Part{1, 40.0 / 3600}) {
		t.Errorf("parts %+v", s.Parts)
	}
	if _, err := Measure([]*Track{tr}, detect.Config{}); err == nil {
		t.Error("an operating point that makes no sense was measured")
	}
}

// A second event for the same word is a false alarm, but the next word of the same label is a word.
func TestEachWordCountsOnce(t *testing.T) {
	tr := track(10, []Word{{"yes", 2, 2.5}, {"yes", 3.6, 4.1}}, map[string][][2]float64{
		"yes": {{2.3, 2.6}, {3.4, 3.5}, {4.6, 4.9}},
	})
	s, err := Measure([]*Track{tr}, point)
	if err != nil {
		t.Fatal(err)
	}
	if s.Missed != 0 || s.FalseAlarms != 1 {
		t.Errorf("%d missed, %d false alarms; want the second event alone to be one", s.Missed, s.FalseAlarms)
	}
}

func TestSweepChoosesTheFewestMisses(t *testing.T) {
	scores := []Score{
		{Config: detect.Config{Threshold: 0.1}, Words: 100, Missed: 1, FalseAlarms: 9, Hours: 2, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.2}, Words: 100, Missed: 4, FalseAlarms: 1, Hours: 2, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.3}, Words: 100, Missed: 4, FalseAlarms: 1, Hours: 2, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.4}, Words: 100, Missed: 9, FalseAlarms: 0, Hours: 2, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.5}, Words: 100, Missed: 12, FalseAlarms: 0, Hours: 2, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.6}, Words: 100, Missed: 0, FalseAlarms: 0, Hours: 2, Delays: []float64{3}},
	}
	for limit, want := range map[float64]float64{100: 0.1, 0.5: 0.3, 0.1: 0.4} {
		if got := Choose(scores, Limits{limit, 2}); got.Config.Threshold != want {
			t.Errorf("at most %g false alarms an hour: threshold %g, want %g", limit, got.Config.Threshold, want)
		}
	}
	if got := Choose(scores, Limits{0.5, 4}); got.Config.Threshold != 0.6 {
		t.Errorf("where words may be reported late, %+v is chosen", got)
	}
	if got := Choose(scores[:1], Limits{0.5, 2}); got.Missed != 1 {
		t.Errorf("no point keeps to the limit: %+v", got)
	}
	var missed []int
	for _, s := range Frontier(scores[:5]) {
		missed = append(missed, s.Missed)
	}
	if !slices.Equal(missed, []int{9, 4, 1}) {
		t.Errorf("misses along the frontier: %v", missed)
	}
}

// Every operating point of the grid is valid, and a sweep gives each one's own score.
func TestSweep(t *testing.T) {
	grid := Grid(detect.Default(1), 1)
	tracks := []*Track{track(10, []Word{{"yes", 2, 2.5}}, map[string][][2]float64{"yes": {{2.3, 3.3}}})}
	scores, err := Sweep(tracks, grid)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range scores {
		want, err := Measure(tracks, grid[i])
		if err != nil || s.Missed != want.Missed || s.Config.Threshold != grid[i].Threshold {
			t.Fatalf("point %d: %+v, want %+v, %v", i, s, want, err)
		}
		if loud := grid[i].Threshold > 0.9; loud != (s.Missed == 1) && grid[i].Smoothing == 0 {
			t.Errorf("a word of 0.9 at %+v: %d missed", grid[i], s.Missed)
		}
	}
	if _, err := Sweep(tracks, []detect.Config{{}}); err == nil {
		t.Error("an operating point that makes no sense was swept")
	}
}

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
	clips := []clip{word("yes", 0.8), word("_unknown_", 0.8), word("no", 0.8)}
	scene := func(clips []clip, background []float32) ([]float32, []Word) {
		path := filepath.Join(t.TempDir(), "background.wav")
		if err := os.WriteFile(path, audiotest.WAV(audio.F32LE, m.Rate, background), 0o644); err != nil {
			t.Fatal(err)
		}
		b, ok := m.measure(path)
		if !ok {
			t.Fatal("the background cannot be read")
		}
		samples, words, err := m.scene(clips, b, rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return samples, words
	}
	samples, words := scene(clips, background)
	if len(words) != 2 || words[0].Label != "yes" || words[1].Label != "no" {
		t.Fatalf("words %v", words)
	}
	if math.Abs(words[0].Start-2.25) > 0.011 || math.Abs(words[0].End-2.5) > 0.011 {
		t.Errorf("the first word lies at %+v, want 2.25 to 2.5", words[0])
	}
	if gap := words[1].Start - words[0].Start; gap < 2+2*minPause || gap > 2+2*maxPause {
		t.Errorf("%g s from a word to the one after the next", gap)
	}
	noise, signal := audio.MeanSquare(samples[:m.Rate]), audio.MeanSquare(clips[0].samples)
	if got := 10 * math.Log10(signal/noise); math.Abs(got-10) > 0.01 {
		t.Errorf("%.2f dB, want 10", got)
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
		Backgrounds: []string{filepath.Join(dir, "backgrounds")}, Recorded: []string{filepath.Join(dir, "recordings")},
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
	notes = nil
	list, err := made(&m)
	if err != nil {
		t.Fatal(err)
	}
	var words, of [kinds]int
	for _, r := range list {
		of[r.Kind]++
		words[r.Kind] += len(r.Words)
		if r.Rate != rate || r.Duration() < time.Second {
			t.Errorf("a recording of %v at %d Hz", r.Duration(), r.Rate)
		}
		if r.Kind == Wordless && r.Duration() != 6*time.Second {
			t.Errorf("%v without words", r.Duration())
		}
	}
	if words != [kinds]int{clipsInScene + 1, 0, 0, 2} || of[OtherWord] < 1 || of != [kinds]int{2, of[OtherWord], 1, 2} {
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
	m.Backgrounds = []string{filepath.Join(dir, "nowhere")}
	if _, err := made(&m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// TestOneSceneAtATime: clips are read when their scene is asked for, and not before.
func TestOneSceneAtATime(t *testing.T) {
	const rate, scenes = 8000, 4
	dir := t.TempDir()
	second := audiotest.WAV(audio.S16LE, rate, slices.Repeat([]float32{0.3, -0.3}, rate/2))
	m := Material{Labels: []string{"yes"}, Rate: rate, Backgrounds: []string{filepath.Join(dir, "quiet")}}
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
			{Path: path, Part: datasets.Span{From: 1, To: 2.5}, Point: true, Label: 1},
			{Path: path, Part: datasets.Span{From: 2.5, To: 2.75}, Point: true},
			{Path: path, Part: datasets.Span{From: 2.75, To: 4}},
			{Path: path, Part: datasets.Span{From: 4, To: 5}},
			{Path: path, Part: datasets.Span{From: 1, To: 2}, Label: 2, Silence: true},
			{Path: path},
		},
	}
	m.unread, m.warnings = map[string]bool{}, datasets.Warnings{}
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
	if len(others) != 1 || others[0].label != "_unknown_" || words[0].label != "yes" {
		t.Errorf("%d other words", len(others))
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "at 4 seconds") {
		t.Errorf("notes %q", notes)
	}
}

// TestTracks compares a track's events with a Listener's, and has a context end the work.
func TestTracks(t *testing.T) {
	m := models.Small()
	r, err := polyphon.New(m, polyphon.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	clip, err := audio.ReadFile("../examples/left.wav", m.Features.Rate)
	if err != nil {
		t.Fatal(err)
	}
	clip.Samples = slices.Concat(clip.Samples, make([]float32, m.Features.Rate))
	recordings := func(yield func(Recording, error) bool) {
		for range 5 {
			if !yield(Recording{Sound: clip.Source(), Words: []Word{{"left", 0.2, 0.8}}, Kind: Recorded}, nil) {
				return
			}
		}
	}
	heard := 0.0
	tracks, err := Tracks(t.Context(), r, recordings, func(seconds float64) { heard = max(heard, seconds) })
	if err != nil {
		t.Fatal(err)
	}
	if want := 5 * clip.Duration().Seconds(); len(tracks) != 5 || math.Abs(heard-want) > 1e-6 {
		t.Errorf("%d tracks, %g seconds of %g", len(tracks), heard, want)
	}
	l, err := r.Listen(polyphon.Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Push(clip.Samples); err != nil {
		t.Fatal(err)
	}
	var want []detect.Event
	for _, e := range l.Events() {
		want = append(want, e.Event)
	}
	for _, track := range tracks {
		got, err := track.events(m.DetectionConfig())
		if err != nil || len(got) == 0 || !slices.Equal(got, want) {
			t.Errorf("events %v, want %v, %v", got, want, err)
		}
		if track.Kind != Recorded || len(track.Words) != 1 || track.Seconds != clip.Duration().Seconds() {
			t.Errorf("a track of %d words in %g s", len(track.Words), track.Seconds)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Tracks(ctx, r, recordings, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
	broken := errors.New("broken")
	for name, list := range map[string]iter.Seq2[Recording, error]{
		"of a recording": func(yield func(Recording, error) bool) {
			for range 10 {
				if !yield(Recording{Sound: failing{clip.Source(), broken}}, nil) {
					return
				}
			}
		},
		"instead of a recording": func(yield func(Recording, error) bool) { yield(Recording{}, broken) },
	} {
		if _, err := Tracks(t.Context(), r, list, nil); !errors.Is(err, broken) || errors.Is(err, context.Canceled) {
			t.Errorf("an error %s: %v", name, err)
		}
	}
}

// failing is a source that fails at once.
type failing struct {
	audio.Source
	err error
}

func (f failing) Read([]float32) (int, error) { return 0, f.err }

func TestWriteDET(t *testing.T) {
	dir := t.TempDir()
	scores := []Score{{Words: 10, Missed: 5, Hours: 1}, {Words: 10, Missed: 2, FalseAlarms: 3, Hours: 1}}
	for _, name := range []string{"det.png", "det.svg"} {
		path := filepath.Join(dir, name)
		if err := WriteDET(path, scores, scores[1]); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name == "det.png" {
			if _, err := png.Decode(bytes.NewReader(file)); err != nil {
				t.Error(err)
			}
		} else if !bytes.Contains(file, []byte("<svg")) || !strings.Contains(string(file), "false alarms an hour") {
			t.Errorf("no SVG: %.80s", file)
		}
	}
	for _, path := range []string{"det.gif", "det", "png", filepath.Join("none", "det.svg")} {
		path = filepath.Join(dir, path)
		if err, later := CheckDET(path), WriteDET(path, scores, scores[1]); err == nil || later == nil {
			t.Errorf("%s: %v, and later %v", path, err, later)
		}
	}
	if err := CheckDET(filepath.Join(dir, "new.svg")); err != nil {
		t.Error(err)
	}
}
