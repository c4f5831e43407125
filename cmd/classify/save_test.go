package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gowav "github.com/go-audio/wav"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/datasets"
)

// saved is a file that --save has written.
type saved struct {
	path, title, comment, software, date string
	samples                              []float32
}

// readSaved reads a file with another program's decoder.
func readSaved(t *testing.T, path string) saved {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := gowav.NewDecoder(f)
	d.ReadMetadata()
	if d.Err() != nil || d.Metadata == nil {
		t.Fatalf("%s: no metadata: %v", path, d.Err())
	}
	m := d.Metadata
	s := saved{path: path, title: m.Title, comment: m.Comments, software: m.Software, date: m.CreationDate}
	if err := d.Rewind(); err != nil {
		t.Fatal(err)
	}
	pcm, err := d.FullPCMBuffer()
	if err != nil || d.SampleRate != rate || d.BitDepth != 16 || d.NumChans != 1 || d.WavAudioFormat != 1 {
		t.Fatalf("%s: %d Hz, %d bits, %d channels: %v", path, d.SampleRate, d.BitDepth, d.NumChans, err)
	}
	for _, v := range pcm.Data {
		s.samples = append(s.samples, float32(v)/(1<<15))
	}
	return s
}

// power returns the mean square of the samples between two times.
func power(samples []float32, from, to float64) float64 {
	return audio.MeanSquare(samples[int(from*rate):int(to*rate)])
}

// beginsAt finds where a saved sound begins in the recording.
var beginsAt = regexp.MustCompile(`begins at ([0-9.]+) s`)

// checkSaved compares the sounds of the events of threeSounds with where they come from.
func checkSaved(t *testing.T, files []string, source string) {
	t.Helper()
	recording := threeSounds()
	if len(files) != len(threeEvents) {
		t.Fatalf("files %q", files)
	}
	for i, path := range files {
		s := readSaved(t, path)
		expect(t, "title and software", []string{s.title, s.software}, []string{"loud", "polyphon classify"})
		contains(t, "comment", s.comment, " s of "+source+"; begins at ")
		contains(t, "comment", s.comment, "p=0.")
		begin, err := strconv.ParseFloat(beginsAt.FindStringSubmatch(s.comment)[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		length := float64(len(s.samples)) / rate
		if begin > threeEvents[i][0]+0.3 || begin+length < threeEvents[i][0]+0.5 || length < 0.9 || length > 5 {
			t.Errorf("event %d: %g s from %g s on", i, length, begin)
		}
		at := int(math.Round(begin * rate))
		for j, v := range s.samples {
			if d := v - recording[at+j]; d > 1e-4 || d < -1e-4 {
				t.Fatalf("event %d: sample %d is %g, want %g", i, j, v, recording[at+j])
			}
		}
	}
}

func TestSave(t *testing.T) {
	folder(t, map[string][]byte{
		"d/x/talk.wav": wav(threeSounds()), "d/talk.wav": wav(threeSounds()[rate:]),
		"d/short.wav": wav(noise(rate, loud)), "d/none.wav": wav(make([]float32, 3*rate)),
	})
	for range 2 { // the second run replaces files by the same
		status, out, errs := events(t, nil, "--format", "ndjson", "--save", "clips/new", "d")
		expect(t, "status", status, statusOK)
		expect(t, "stderr", errs, "")
		expect(t, "events", strings.Count(out, "detection"), 7)
		files := tree(t, "clips")
		expect(t, "files", len(files), 7)
		for i, path := range files {
			begin := []string{
				"short_000000.", "talk_000001.", "talk_000002.", "talk_000004.", "talk_000005.", "talk_000007.",
				"talk_000008.",
			}
			base, ok := strings.CutPrefix(path, "clips/new/loud/")
			if !ok || !strings.HasPrefix(base, begin[i]) || !strings.Contains(base, "s_loud_") {
				t.Errorf("file %d is %s", i, path)
			}
		}
	}
	os.RemoveAll("clips")
	os.CopyFS("e/x", os.DirFS("d/x"))
	events(t, nil, "--save", "clips", "d/x", "e/x")
	expect(t, "files of copies", len(tree(t, "clips")), 6)
	os.RemoveAll("clips")
	events(t, nil, "--save", "clips", "--out", "r", "d/x")
	checkSaved(t, tree(t, "clips"), "d/x/talk.wav")
	os.MkdirAll("clips/other", 0o755)
	os.WriteFile("clips/other/a.wav", wav(noise(rate, hum)), 0o644)
	set, err := datasets.Open("clips", datasets.Options{})
	if err != nil || !slices.Equal(set.Labels, []string{"loud", "other"}) {
		t.Errorf("as a data set: %v, %v", set, err)
	}
}

func TestSaveStream(t *testing.T) {
	t.Chdir(t.TempDir())
	before := time.Now().UTC()
	status, _, errs := stream(t, bytes.NewReader(raw(audio.S16LE, threeSounds())), "--save", "clips")
	expect(t, "status", status, statusOK)
	expect(t, "lines on stderr", strings.Count(errs, "\n"), 1)
	files := tree(t, "clips")
	if len(files) != 3 {
		t.Fatalf("files %q", files)
	}
	for _, path := range files {
		clock, _, _ := strings.Cut(filepath.Base(path), "_")
		at, err := time.Parse("20060102T150405.000Z", clock)
		if err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
			t.Errorf("%s: %v, %v", path, at, err)
		}
		s := readSaved(t, path)
		contains(t, "comment", s.comment, " s of stdin; begins at ")
		contains(t, "comment", s.comment, "; reported at 2")
		expect(t, "date", s.date, at.Local().Format(time.DateOnly))
		if power(s.samples, 0, float64(len(s.samples))/rate) < 0.01 {
			t.Errorf("%s is silent", path)
		}
	}
}

// TestSaveNames uses labels and files whose names would lead elsewhere.
func TestSaveNames(t *testing.T) {
	long := strings.Repeat("ü", 100) + ".wav"
	for label, dir := range map[string]string{
		"a/b": "a%2Fb", "..": "%2E%2E", ".hidden": "%2Ehidden", "v1.5": "v1.5", "x ": "x%20", `c:\d`: "c%3A%5Cd",
		"ß über": "ß über", "100%": "100%25", "-rf": "-rf",
	} {
		model := loudnessWith(t, label)
		folder(t, map[string][]byte{long: wav(threeSounds())})
		args := slices.Concat([]string{"--model", model, "--save", "c", long}, soundFlags)
		status, _, errs := classify(t, nil, args...)
		expect(t, label+": status", status, statusOK)
		expect(t, label+": stderr", errs, "")
		files := tree(t, "c")
		expect(t, label+": files", len(files), 3)
		for _, path := range files {
			expect(t, label+": folder", filepath.ToSlash(filepath.Dir(path)), "c/"+dir)
			expect(t, label+": title", readSaved(t, path).title, label)
		}
	}
}

func TestSaveThatCannotBeWritten(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(threeSounds()), "file": nil, "b.wav": wav(noise(rate, silent))})
	for _, more := range [][]string{{"a.wav"}, {"--stream"}} {
		sound := raw(audio.S16LE, threeSounds())
		status, out, errs := events(t, sound, append(slices.Clip(more), "--save", "file")...)
		expect(t, "status", status, statusFailed)
		expect(t, "stdout", out, "")
		contains(t, "stderr", errs, "classify: --save: ")
	}
	status, _, errs := events(t, nil, "--save", "c", "--windows", "a.wav")
	expect(t, "with --windows: status", status, statusUsage)
	contains(t, "with --windows", errs, "--save is about events")

	// What fails later is named, and the rest is done.
	os.MkdirAll("c", 0o755)
	os.WriteFile("c/loud", nil, 0o644) // where a folder must be
	status, out, errs := events(t, nil, "--format", "ndjson", "--save", "c", "a.wav", "b.wav")
	expect(t, "status", status, statusFailed)
	expect(t, "events", outline(parse(t, out)), []string{"error a.wav", "b.wav 1 s _silence_", "summary 1/2"})
	contains(t, "stderr", errs, "classify: a.wav: --save: ")
	status, out, errs = stream(t, bytes.NewReader(raw(audio.S16LE, threeSounds())), "--format", "ndjson", "--save", "c")
	expect(t, "stream: status", status, statusFailed)
	expect(t, "stream: events", strings.Count(out, "detection"), 3)
	expect(t, "stream: named", strings.Count(errs, "classify: -: --save: "), 3)
	lines := parse(t, out)
	expect(t, "stream: summary", outline(lines[len(lines)-1:]), []string{"summary 1/1"})
}
