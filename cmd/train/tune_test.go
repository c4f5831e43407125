package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/tuning"
)

// TestTune tunes the small model on a few words, with and without a recording that has cue points.
func TestTune(t *testing.T) {
	const rate = 16000
	dir := t.TempDir()
	write := func(path string, wav []byte) {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, wav, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recording := make([]float32, 2*rate)
	var cues []audiotest.Cue
	for _, word := range []string{"left", "stop", "yes", "happy"} {
		clip, err := audio.ReadFile("../../examples/"+word+".wav", rate)
		if err != nil {
			t.Fatal(err)
		}
		write("words/"+word+"/a.wav", audiotest.WAV(audio.S16LE, rate, clip.Samples))
		cues = append(cues, audiotest.Cue{
			Label: word, Start: uint32(len(recording) + rate/4), Length: uint32(len(clip.Samples) - rate/2),
		})
		recording = slices.Concat(recording, clip.Samples, make([]float32, rate))
	}
	for _, name := range []string{"recordings/a.wav", "cued/a.wav"} {
		write(name, audiotest.WithCues(audiotest.WAV(audio.S16LE, rate, recording), cues...))
	}
	write("recordings/b.wav", audiotest.WAV(audio.S16LE, rate, recording))
	write("quiet/a.wav", audiotest.WAV(audio.S16LE, rate, slices.Repeat([]float32{0.001, 0, -0.001}, rate)))

	tuned, curve := filepath.Join(dir, "tuned.safetensors"), filepath.Join(dir, "curve.svg")
	tune := func(args ...string) []string {
		return append([]string{"tune", "--model", "small", "--data", filepath.Join(dir, "words"), "--split", "all",
			"--minutes", "0.1", "--snr", "40", "--without", filepath.Join(dir, "quiet")}, args...)
	}
	status, _, errs := train(t.Context(), tune("--out", tuned, "--det", curve)...)
	if _, err := os.Stat(tuned); status != 4 || !errors.Is(err, os.ErrNotExist) ||
		!strings.HasSuffix(errs, tuned+" is not written: at the chosen operating point, fewer than 20 words were said (3), "+
			"and there were fewer than 30 minutes of sound without words (0.1); measure with more sound, or loosen the "+
			"limits, or store it with --force\n") {
		t.Errorf("a doubtful operating point: status %d, %v, %s", status, err, errs)
	}
	status, out, errs := train(t.Context(), tune("--out", tuned, "--det", curve, "--force")...)
	if status != program.StatusOK || !strings.Contains(out, "\nwords one by one     3 ") ||
		strings.Contains(out, "cue points") || strings.Contains(out, "without pauses") ||
		!strings.Contains(out, "  the model's own\n") || !strings.Contains(out, "  chosen\n") {
		t.Errorf("status %d, %s, %s", status, out, errs)
	}
	if m, err := polynet.Load(tuned); err != nil || m.Detection == nil {
		t.Errorf("the tuned model: %v", err)
	}
	if svg, err := os.ReadFile(curve); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Errorf("the curve: %v", err)
	}
	status, out, errs = train(t.Context(), tune("--measure", "--recordings", filepath.Join(dir, "recordings"))...)
	if status != program.StatusOK || !strings.Contains(out, "\nin total                       6 ") ||
		!strings.Contains(out, "\nrecordings with cue points  ") || strings.Contains(out, "chosen") {
		t.Errorf("status %d, %s, %s", status, out, errs)
	}
	if !strings.Contains(errs, "b.wav: it has no cue points") {
		t.Errorf("a recording without cue points: %s", errs)
	}
	status, out, errs = train(t.Context(), tune("--measure", "--data", filepath.Join(dir, "cued"))...)
	if status != program.StatusOK || !strings.Contains(out, "\nwords one by one     3 ") ||
		strings.Count(errs, "\n") != 3 || !strings.Contains(errs, "fewer than 20 words were said (3)") ||
		!strings.Contains(errs, "quiet/a.wav: very quiet, the loudest 100 ms are at -62 dBFS: ") ||
		!strings.Contains(out, "\nnot in it: words one by one  ") ||
		strings.Contains(out, "words one by one  3") { // s, if each were the whole recording
		t.Errorf("words of a recording with cue points: status %d, %s, %s", status, out, errs)
	}
	for _, word := range []string{"left", "stop", "yes"} {
		write("silent/"+word+"/a.wav", audiotest.WAV(audio.S16LE, rate, make([]float32, rate)))
	}
	untuned := filepath.Join(dir, "untuned.safetensors")
	status, out, errs = train(t.Context(), tune("--data", filepath.Join(dir, "silent"), "--out", untuned)...)
	if _, err := os.Stat(untuned); status != statusDoubtful || !errors.Is(err, os.ErrNotExist) ||
		!strings.Contains(out, "\nno word was detected\n") || !strings.Contains(errs, "3 of 3 words were missed") {
		t.Errorf("words that cannot be detected: status %d, %v, %s, %s", status, err, out, errs)
	}
	write("foreign/elsewhere/a.wav", audiotest.WAV(audio.S16LE, rate, make([]float32, rate)))
	checkFailure(t, "no word of the model", tune("--data", filepath.Join(dir, "foreign")), program.StatusFailed,
		"no clip of any of the model's words in "+filepath.Join(dir, "foreign"))
	checkFailure(t, "nothing measured to write", tune("--measure", "--out", tuned), program.StatusUsage, "--measure")
	checkFailure(t, "negative delay", tune("--delay", "-1"), program.StatusUsage, "--delay")
	checkFailure(t, "a limit for another folder", tune("--limit", dir+"=3"), program.StatusUsage, "--limit "+dir+"=3")
	checkFailure(t, "a folder twice", tune("--without", filepath.Join(dir, "quiet")), program.StatusUsage, "twice")
	checkFailure(t, "no such curve", tune("--det", "curve.gif"), program.StatusFailed,
		"curve.gif: a curve is written as .png or .svg")
	checkFailure(t, "no backgrounds", tune("--without", filepath.Join(dir, "none")), program.StatusFailed, "none")
}

// TestTuneReport: the table's columns are aligned, and no figure has more digits than the words and hours leave it.
func TestTuneReport(t *testing.T) {
	score := func(threshold float64, words, missed, alarms int, hours float64, delays ...float64) tuning.Score {
		counts := tuning.Counts{Words: words, Missed: missed, FalseAlarms: alarms, Hours: hours}
		return tuning.Score{
			Config: detect.Config{Threshold: threshold, Smoothing: 0.2, MinDuration: 0.05},
			Counts: counts, Delays: delays, Parts: []tuning.Part{{Kind: tuning.Recorded, Counts: counts, Delays: delays}},
		}
	}
	for _, c := range []struct {
		measure bool
		scores  []tuning.Score
		want    string
	}{
		{false, []tuning.Score{
			score(0.5, 107, 3, 7, 2, 0.12, 0.34), score(0.985, 107, 60, 0, 2, 0.5),
			score(0.7, 107, 10, 1, 2, 0.13, 1.25),
		}, strings.TrimPrefix(`
smoothing  min duration  threshold  false alarms/h  misses %  delay ms, median  delay ms, 95 %
     0.20          0.05      0.500             3.5         3               120             120  the model's own
     0.20          0.05      0.985             0.0        56               500             500
     0.20          0.05      0.700             0.5         9               130             130
     0.20          0.05      0.500             3.5         3               120             120
     0.20          0.05      0.700             0.5         9               130             130  chosen
threshold 0.7, smoothing 0.2 s, minimum duration 0.05 s

false alarms                time  number  an hour  95 % interval
recordings with cue points   2 h       1      0.5  0.0 to 2.8
in total                     2 h       1      0.5  0.0 to 2.8

misses                      said  missed  %  95 % interval  delay ms, median  delay ms, 95 %
recordings with cue points   107      10  9  5 to 17                     130             130
`, "\n")},
		{true, []tuning.Score{score(0.5, 4890, 123, 3, 24, 0.1, 0.2, 0.3)}, strings.TrimPrefix(`
threshold 0.5, smoothing 0.2 s, minimum duration 0.05 s

false alarms                time  number  an hour  95 % interval
recordings with cue points  24 h       3     0.12  0.03 to 0.37
in total                    24 h       3     0.12  0.03 to 0.37

misses                      said  missed    %  95 % interval  delay ms, median  delay ms, 95 %
recordings with cue points  4890     123  2.5  2.1 to 3.0                  200             200
`, "\n")},
		{true, []tuning.Score{score(0.5, 1, 1, 1, 0.05)}, strings.TrimPrefix(`
threshold 0.5, smoothing 0.2 s, minimum duration 0.05 s

false alarms                 time  number  an hour  95 % interval
recordings with cue points  3 min       1       20  1 to 111
in total                    3 min       1       20  1 to 111

misses                      said  missed    %  95 % interval  delay ms, median  delay ms, 95 %
recordings with cue points     1       1  100  2 to 100                      -               -
`, "\n")},
	} {
		var out, errs strings.Builder
		cmd := tuneCmd{Measure: c.measure}
		limits := tuning.Limits{FalseAlarms: 0.5, Delay: math.Inf(1)}
		err := cmd.report(program.Streams{Out: &out, Err: &errs}, models.Small(), c.scores, limits)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(out.String(), c.want) {
			t.Errorf("%s\nwant\n%s", out.String(), c.want)
		}
	}
}

// TestTuneRefuses: a point with doubts is stored with --force alone.
func TestTuneRefuses(t *testing.T) {
	dir := t.TempDir()
	score := func(words, missed int, hours float64) []tuning.Score {
		config := models.Small().DetectionConfig()
		return []tuning.Score{{Config: config, Counts: tuning.Counts{Words: words, Missed: missed, Hours: hours}}}
	}
	for i, c := range []struct {
		scores []tuning.Score
		force  bool
		want   string // in the error
	}{
		{score(20, 10, 0.5), false, ""},
		{score(1000, 501, 24), false, "501 of 1000 words were missed"},
		{score(1000, 501, 24), true, ""},
		{score(19, 0, 24), false, "fewer than 20 words were said (19)"},
		{score(19, 0, 24), true, ""},
		{score(1000, 1, 0.4), false, "fewer than 30 minutes of sound without words (24.0)"},
		{score(20, 20, 0), true, ""},
	} {
		cmd := tuneCmd{Out: filepath.Join(dir, fmt.Sprintf("%d.safetensors", i)), Force: c.force}
		s := program.Streams{Out: io.Discard, Err: io.Discard}
		err := cmd.report(s, models.Small(), c.scores, tuning.Limits{Delay: math.Inf(1)})
		if _, failed := os.Stat(cmd.Out); (failed == nil) != (c.want == "") || (err == nil) != (c.want == "") ||
			err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q; %v", c.scores[0].Counts, err, c.want, failed)
		}
	}
}
