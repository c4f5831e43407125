package tuning

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/models"
)

// track returns decisions every 0.1 s about windows of a second, in which labels are likely for some stretches.
func track(seconds float64, words []Word, likely map[string][][2]float64) *Track {
	t := &Track{Kind: Recorded, Words: words, Seconds: seconds, labels: []string{"yes", "no", "_unknown_"}}
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
	if len(s.Delays) != 2 || math.Abs(s.Delays.Quantile(0)) > 1e-9 || math.Abs(s.Delays.Quantile(1)-0.6) > 1e-9 {
		t.Errorf("delays %v, want 0 and 0.6", s.Delays)
	}
	for seconds, want := range map[float64]float64{-0.1: 0, 0.1: 0.5, 0.5: 0.5, 0.61: 1} {
		if got := s.Delays.Within(seconds); got != want {
			t.Errorf("%g of the words within %g s, want %g", got, seconds, want)
		}
	}
	if _, err := Measure([]*Track{tr}, detect.Config{}); err == nil {
		t.Error("an operating point that makes no sense was measured")
	}
}

// TestParts: events and words are counted by kind, folder and label, and those among made sequences of words are not
// judged.
func TestParts(t *testing.T) {
	spoken := track(20, []Word{{"yes", 2, 2.5}, {"no", 5, 5.5}}, map[string][][2]float64{
		"yes": {{2.25, 3}, {5.3, 5.6}},
	})
	spoken.Kind = Spoken
	other := track(40, nil, map[string][][2]float64{"no": {{30, 30.5}}, "yes": {{10, 10.5}, {20, 20.5}}})
	other.Kind, other.Others = OtherWord, []Word{
		{"bird", 9.6, 10}, {"tree", 15, 15.5}, {"bird", 19.6, 20}, {"wow", 29.2, 29.9}, {"cat", 30.1, 31},
	}
	street, speech := track(60, nil, map[string][][2]float64{"no": {{30, 30.5}}}), track(30, nil, nil)
	street.Kind, street.Folder, speech.Kind, speech.Folder = Wordless, "street", Wordless, "speech"
	s, err := Measure([]*Track{spoken, other, street, speech, street}, point)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Part{
		{Wordless, "street", Counts{0, 0, 2, 120.0 / 3600}, 0, map[string]int{"no": 2}, nil},
		{Wordless, "speech", Counts{0, 0, 0, 30.0 / 3600}, 0, map[string]int{}, nil},
		{OtherWord, "", Counts{0, 0, 3, 40.0 / 3600}, 5, map[string]int{"no": 1, "yes": 2}, nil},
		{Spoken, "", Counts{2, 1, 1, 20.0 / 3600}, 0, map[string]int{"yes": 1}, s.Delays},
	} {
		if i >= len(s.Parts) || !reflect.DeepEqual(s.Parts[i], want) {
			t.Fatalf("parts %+v, want as %d %+v", s.Parts, i, want)
		}
	}
	if len(s.Delays) != 1 || math.Abs(s.Delays[0]) > 1e-9 { // decided with 2.5 s, as the word ended
		t.Errorf("delays %v", s.Delays)
	}
	const hours = (120.0 + 30 + 40) / 3600
	if s.Words != 2 || s.Missed != 1 || s.FalseAlarms != 5 || math.Abs(s.Hours-hours) > 1e-12 {
		t.Errorf("%+v in total", s.Counts)
	}
	yes, no := s.Labels["yes"], s.Labels["no"]
	if *yes != (Counts{1, 0, 2, s.Hours}) || *no != (Counts{1, 1, 3, s.Hours}) {
		t.Errorf("yes %+v, no %+v", yes, no)
	}
	if got := s.NearMisses(); !slices.Equal(got, []NearMiss{{"bird", 2, "yes", 2}, {"wow", 1, "no", 1}}) {
		t.Errorf("near misses %+v", got)
	}
}

// TestDoubts: a point that rests on too little, or misses too much, is doubted.
func TestDoubts(t *testing.T) {
	for _, c := range []struct {
		counts Counts
		want   []string
	}{
		{Counts{Words: 20, Missed: 10, Hours: 0.5}, nil},
		{Counts{Words: 976, Missed: 40, FalseAlarms: 300, Hours: 24}, nil},
		{Counts{Words: 19, Hours: 0.5}, []string{"fewer than 20 words were said (19)"}},
		{Counts{Words: 20, Missed: 11, Hours: 0.5}, []string{"11 of 20 words were missed"}},
		{Counts{Words: 100, Missed: 1, Hours: 0.49}, []string{
			"there were fewer than 30 minutes of sound without words (29.4)",
		}},
		{Counts{Words: 3, Missed: 3}, []string{
			"fewer than 20 words were said (3)", "there were fewer than 30 minutes of sound without words (0.0)",
			"3 of 3 words were missed",
		}},
	} {
		if got := (Score{Counts: c.counts}).Doubts(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.counts, got, c.want)
		}
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
		{Config: detect.Config{Threshold: 0.1}, Counts: Counts{100, 1, 9, 2}, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.2}, Counts: Counts{100, 4, 1, 2}, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.3}, Counts: Counts{100, 4, 1, 2}, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.4}, Counts: Counts{100, 9, 0, 2}, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.5}, Counts: Counts{100, 12, 0, 2}, Delays: []float64{0.5}},
		{Config: detect.Config{Threshold: 0.6}, Counts: Counts{100, 0, 0, 2}, Delays: []float64{3}},
	}
	for limit, want := range map[float64]float64{100: 0.1, 0.5: 0.3, 0.1: 0.4} {
		if got := Choose(scores, Limits{FalseAlarms: limit, Delay: 2}); got.Config.Threshold != want {
			t.Errorf("at most %g false alarms an hour: threshold %g, want %g", limit, got.Config.Threshold, want)
		}
	}
	if got := Choose(scores, Limits{FalseAlarms: 0.5, Delay: 4}); got.Config.Threshold != 0.6 {
		t.Errorf("where words may be reported late, %+v is chosen", got)
	}
	if got := Choose(scores[:1], Limits{FalseAlarms: 0.5, Delay: 2}); got.Missed != 1 {
		t.Errorf("no point keeps to the limit: %+v", got)
	}
	for i := range scores { // all false alarms in one folder of two, half of the hours each
		scores[i].Parts = []Part{
			{Kind: Wordless, Folder: "a", Counts: Counts{FalseAlarms: scores[i].FalseAlarms, Hours: 1}},
			{Kind: Wordless, Folder: "b", Counts: Counts{Hours: 1}},
		}
	}
	for want, folders := range map[float64]map[string]float64{
		0.1: {"b": 0}, 0.3: {"a": 1}, 0.4: {"a": 0.9, "none": 0},
	} {
		limits := Limits{FalseAlarms: 100, Delay: 2, Folders: folders}
		if got := Choose(scores, limits); got.Config.Threshold != want || !limits.Keeps(got) {
			t.Errorf("at most %v in folders: threshold %g, want %g", folders, got.Config.Threshold, want)
		}
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
	tracks, err := Tracks(t.Context(), r, recordings, 0, func(seconds float64) { heard = max(heard, seconds) })
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
	if _, err := Tracks(ctx, r, recordings, 1, nil); !errors.Is(err, context.Canceled) {
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
		if _, err := Tracks(t.Context(), r, list, 0, nil); !errors.Is(err, broken) || errors.Is(err, context.Canceled) {
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
	scores := []Score{{Counts: Counts{10, 5, 0, 1}}, {Counts: Counts{10, 2, 3, 1}}}
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
