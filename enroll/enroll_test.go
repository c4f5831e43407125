package enroll

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/calibrate"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/inference"
	"github.com/polyphon/polyphon/internal/nettest"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

const rate = 16000

// embedder returns one for a model.
func embedder(t *testing.T, m *polynet.Model) *Embedder {
	t.Helper()
	d, err := device.CPU(2)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEmbedder(m, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// speak writes clips of a made-up word: a voice whose formant goes from one of the tones to the next, at a few pitches.
func speak(t *testing.T, dir string, clips int, seconds float64, tones ...float64) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(len(dir)), uint64(tones[0])))
	for i := range clips {
		samples := make([]float32, int(seconds*rate))
		begin, pitch := len(samples)/2-rate/4, 0.95+0.1*rng.Float64()
		for k := range samples {
			samples[k] = float32(0.002 * rng.NormFloat64())
			if at := k - begin; at >= 0 && at < rate/2 {
				formant, voice := tones[at*len(tones)/(rate/2)]*pitch, 0.0
				for hertz := 120 * pitch; hertz < 2000; hertz += 120 * pitch {
					voice += math.Exp(-math.Abs(hertz-formant)/150) * math.Sin(2*math.Pi*hertz*float64(at)/rate)
				}
				samples[k] += float32(0.2 * voice * math.Sin(math.Pi*float64(at)/(rate/2)))
			}
		}
		write(t, filepath.Join(dir, fmt.Sprintf("speaker%d.wav", i)), samples)
	}
}

func write(t *testing.T, path string, samples []float32) {
	t.Helper()
	if err := os.WriteFile(path, audiotest.WAV(audio.S16LE, rate, samples), 0o644); err != nil {
		t.Fatal(err)
	}
}

// enrolled returns a word made of the first clips of a folder.
func enrolled(t *testing.T, e *Embedder, label string, b *Background, clips ...string) (*Word, *Examples) {
	t.Helper()
	x, err := e.Examples(t.Context(), clips, 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := Fit(label, x, b, 0.01, Running)
	if err != nil {
		t.Fatal(err)
	}
	return w, x
}

// answers returns the label of each clip in a folder.
func answers(t *testing.T, m *polynet.Model, dir string) (labels []string) {
	t.Helper()
	r, err := polyphon.New(m)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for f, err := range audio.Files(dir) {
		if err != nil {
			t.Fatal(err)
		}
		scores, err := r.ClassifyFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		labels = append(labels, scores[0].Label)
	}
	return labels
}

func share(labels []string, label string) float64 {
	n := 0
	for _, l := range labels {
		if l == label {
			n++
		}
	}
	return float64(n) / float64(len(labels))
}

// TestEnroll enrolls two words with five clips, finds other clips of them, and removes one of them again.
func TestEnroll(t *testing.T) {
	for _, m := range []*polynet.Model{models.Base(), models.Small()} {
		e, dir := embedder(t, m), t.TempDir()
		b, err := e.Background()
		if err != nil || b == nil {
			t.Fatalf("no background: %v; bench/enroll/background.sh makes it", err)
		}
		speak(t, filepath.Join(dir, "rise"), 5, 1, 300, 600, 1200)
		speak(t, filepath.Join(dir, "more", "rise"), 20, 1, 300, 600, 1200)
		speak(t, filepath.Join(dir, "fall"), 5, 1, 2400, 1100, 500)
		speak(t, filepath.Join(dir, "more", "fall"), 20, 1, 2400, 1100, 500)
		rise, _ := enrolled(t, e, "rise", b, filepath.Join(dir, "rise"))
		if rise.Clips != 5 || rise.Found < 4 || rise.Other < 500 || rise.Taken > rise.Other/50 {
			t.Errorf("%+v", rise)
		}
		d, err := Add(m, rise)
		if err != nil {
			t.Fatal(err)
		}
		fall, _ := enrolled(t, e, "fall", b, filepath.Join(dir, "fall"))
		two, err := Add(d, fall)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(two.Labels, []string{"rise", "fall", "_unknown_"}) || !Detector(two) || Detector(m) {
			t.Errorf("labels %v, detectors %v, %v", two.Labels, Detector(two), Detector(m))
		}
		for _, word := range []string{"rise", "fall"} {
			if got := share(answers(t, two, filepath.Join(dir, "more", word)), word); got < 0.9 {
				t.Errorf("%s: %g found", word, got)
			}
		}
		if labels := answers(t, two, "../examples"); share(labels, "_unknown_") != 1 {
			t.Errorf("examples: %v", labels)
		}
		one, err := Remove(two, "rise")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one.Labels, []string{"fall", "_unknown_"}) {
			t.Errorf("labels %v without rise", one.Labels)
		}
		direct, err := Add(m, fall)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := one.Weights["head.weight"], direct.Weights["head.weight"]; !slices.Equal(
			a.Data().([]float32), b.Data().([]float32)) {
			t.Error("a word is another one where one was removed")
		}
	}
}

// TestBackgroundsFitTheModels: where an embedded model has changed, bench/enroll/background.sh must run again.
func TestBackgroundsFitTheModels(t *testing.T) {
	for _, name := range models.Names {
		m, err := models.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := embedder(t, m).Background()
		if err != nil || b == nil || len(b.Rows.Truth) < 1000 || len(b.Sources) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := embedder(t, nettest.RandomModel(nettest.Configs(polynet.Pi)[0], nettest.Rand(1))).Background()
	if b != nil || err != nil {
		t.Errorf("a background of another network: %v", err)
	}
}

// TestEmbedderIsTheNetworks: embeddings of every kind of blocks are what the network has at that place.
func TestEmbedderIsTheNetwork(t *testing.T) {
	for _, kind := range polynet.BlockKinds() {
		for i, c := range nettest.Configs(kind) {
			m := nettest.RandomModel(c, nettest.Rand(uint64(i)))
			e := embedder(t, m)
			again := embedder(t, e.model)
			if e.network != again.network {
				t.Errorf("%s %d: the network without its last blocks loses more of them", kind, i)
			}
			last := m.Net.Stages[len(m.Net.Stages)-1]
			if last.Blocks > 1 {
				continue
			}
			plan, err := inference.Compile(m, device.Ref())
			if err != nil {
				t.Fatal(err)
			}
			samples := make([]float32, m.WindowSamples())
			rng := nettest.Rand(7)
			for k := range samples {
				samples[k] = float32(0.1 * rng.NormFloat64())
			}
			clips := plan.Clips(1, m.Features.Frames(len(samples)))
			clips.RunSamples(samples, 1)
			want := clips.Embeddings(1)
			own := e.plan.Clips(1, m.Features.Frames(len(samples)))
			for k, v := range own.RunSamples(samples, 1) {
				if math.Abs(float64(v-want[k])) > 1e-3*(1+math.Abs(float64(want[k]))) {
					t.Errorf("%s %d: channel %d is %g, want %g", kind, i, k, v, want[k])
					break
				}
			}
			own.Close()
			clips.Close()
			plan.Close()
		}
	}
}

// TestFitLeavesTheWordOut: the background's clips of the word itself are not what it is told from.
func TestFitLeavesTheWordOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	cluster := func(rows *calibrate.Embeddings, n, class int, at ...float64) {
		for range n {
			row := make([]float64, len(at))
			for k := range row {
				row[k] = at[k] + 0.1*rng.NormFloat64()
			}
			add(rows, row, []int{class})
		}
	}
	b := &Background{
		Rows: calibrate.Embeddings{Width: 3}, Classes: []Class{{"cat", false}, {"Dog", false}, {"talk", true}},
	}
	cluster(&b.Rows, 50, 0, 0, 1, 0)
	cluster(&b.Rows, 50, 1, 1, 0, 0)
	cluster(&b.Rows, 50, 2, 0, 0, 1)
	x := &Examples{rows: calibrate.Embeddings{Width: 3}}
	for clip := range 5 {
		cluster(&x.rows, 3, clip, 1, 0, 0)
	}
	dog, err := Fit("dog", x, b, 0.01, Running)
	if err != nil || dog.Found != 5 || dog.Other != 50 || dog.Taken > 1 {
		t.Errorf("%v: %+v", err, dog)
	}
	wolf, err := Fit("wolf", x, b, 0.01, Running)
	if err != nil || wolf.Other != 100 || wolf.Taken < 20 || wolf.Near[0].Word != "Dog" {
		t.Errorf("a word that sounds like another one: %v: %+v", err, wolf)
	}
	for _, label := range []string{"", "_unknown_", "_silence_"} {
		if _, err := Fit(label, x, b, 0.01, Running); !errors.Is(err, ErrWord) {
			t.Errorf("%q: %v", label, err)
		}
	}
	b = &Background{Rows: calibrate.Embeddings{Width: 3}}
	if _, err := Fit("x", x, b, 0.01, Running); !errors.Is(err, calibrate.ErrData) {
		t.Errorf("no background: %v", err)
	}
}

// TestExamples: a word is found in a long clip, and what says nothing of it is refused or noted.
func TestExamples(t *testing.T) {
	e, dir := embedder(t, models.Small()), t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	speak(t, path("short"), 1, 1, 300, 900)
	speak(t, path("long"), 1, 4, 300, 900)
	whole := make([]float32, 3*rate)
	for i := range whole {
		whole[i] = float32(0.1 * math.Sin(float64(i)/5))
		if i > 2*rate {
			whole[i] *= 3
		}
	}
	write(t, path("whole.wav"), whole)
	write(t, path("silent.wav"), make([]float32, rate))
	files := []string{path("long"), path("short"), path("whole.wav"), path("short/speaker0.wav")}
	x, err := e.Examples(t.Context(), files, 1)
	if err != nil || len(x.items) != 3 || len(x.rows.Truth) != 3*(1+variants) {
		t.Fatalf("%v: %+v", err, x)
	}
	if part := x.items[0].Part; math.Abs(part.From-1.5) > 0.1 || math.Abs(part.To-part.From-1) > 1e-9 {
		t.Errorf("the word's part of a long clip is %v", part)
	}
	if x.items[1].Part.To != 0 || math.Abs(x.items[2].Part.From-2) > 0.05 {
		t.Errorf("parts %+v", x.items)
	}
	notes := strings.Join(x.Notes, "\n")
	if len(x.Notes) != 2 || !strings.Contains(notes, "loudest") || !strings.Contains(notes, "left out") {
		t.Errorf("notes %q", notes)
	}
	if err := os.MkdirAll(path("empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("text.wav"), []byte("no sound"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"silent.wav", "empty", "none", "text.wav"} {
		if _, err := e.Examples(t.Context(), []string{path(name)}, 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Examples(ctx, []string{path("short")}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: %v", err)
	}
}

// TestWake tunes a wake word on sound without it, in which nothing else may be an event, and finds it in other sound.
func TestWake(t *testing.T) {
	m := models.Small()
	e, dir := embedder(t, m), t.TempDir()
	speak(t, filepath.Join(dir, "word"), 6, 1, 300, 600, 1200)
	speak(t, filepath.Join(dir, "other", "fall"), 6, 1, 1200, 600, 300)
	speak(t, filepath.Join(dir, "sound"), 3, 20, 500, 400, 900)
	b, err := e.Background()
	if err != nil {
		t.Fatal(err)
	}
	var s Sound
	for _, folder := range []string{"other", "sound"} {
		err := e.AddSounds(t.Context(), b, &s, nil, filepath.Join(dir, folder), func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if math.Abs(s.Seconds-60) > 1e-6 {
		t.Errorf("%g seconds of running sound", s.Seconds)
	}
	x, err := e.Examples(t.Context(), []string{filepath.Join(dir, "word")}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Surround(x, &s, 1); err != nil {
		t.Fatal(err)
	}
	w, err := Fit("rise", x, b, 0.01, RunningWake)
	if err != nil {
		t.Fatal(err)
	}
	wake, err := e.Tune(w, x, b, &s, 1)
	if err != nil || wake.Events != 0 || wake.Missed > 1 || wake.Clips != 6 || math.Abs(wake.Hours-1.0/60) > 1e-6 {
		t.Fatalf("%v: %+v", err, wake)
	}
	if i := wake.EventInterval(); i.Low != 0 || i.High < 200 || i.High > 230 { // 3.69 in a minute
		t.Errorf("interval of events an hour %v", i)
	}
	d, err := New(m, w)
	if err != nil {
		t.Fatal(err)
	}
	d.Detection = &wake.Point
	r, err := polyphon.New(d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pause := make([]float32, 2*rate)
	var sound []float32
	for _, name := range []string{"word/speaker1.wav", "other/fall/speaker1.wav", "word/speaker3.wav"} {
		c, err := audio.ReadFile(filepath.Join(dir, name), rate)
		if err != nil {
			t.Fatal(err)
		}
		sound = slices.Concat(sound, pause, c.Samples, pause)
	}
	var events []string
	for e, err := range r.Events(t.Context(), audio.Clip{Rate: rate, Samples: sound}.Source()) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, fmt.Sprintf("%s %.0f", e.Label, (e.Start+e.End)/2))
	}
	windows, err := e.Windows(sound)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Events(wake.Point, windows); err != nil || n != len(events) {
		t.Errorf("%d events by the word, %d by its model, %v", n, len(events), err)
	}
	if want := []string{"rise 2", "rise 12"}; len(events) != 2 || events[0][:4] != "rise" || events[1][:4] != "rise" {
		t.Errorf("events %v, want about %v", events, want)
	}
	if _, err := e.Tune(w, x, b, new(Sound), 1); !errors.Is(err, ErrWord) {
		t.Errorf("no sound: %v", err)
	}
}
