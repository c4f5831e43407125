package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// tooQuiet is the warning of noise of the level hum.
const tooQuiet = "very quiet, the loudest 100 ms are at -53 dBFS: raise the recording level, or amplify the file " +
	"(sox in.wav out.wav gain -n -3)"

func TestText(t *testing.T) {
	model := loudness(t)
	middle := slices.Concat(noise(2*rate, hum), noise(rate, loud), make([]float32, 2*rate+rate/4))
	folder(t, map[string][]byte{
		"a.wav":         wav(noise(rate, loud)),
		"silent.wav":    wav(make([]float32, rate/2)),
		"long.wav":      wav(middle),
		"quiet.wav":     wav(make([]float32, 3*rate/2)),
		"new\nline.wav": wav(noise(rate, hum)),
	})
	status, out, errs := classify(t, nil, "--model", model, "--windows",
		"a.wav", "silent.wav", "long.wav", "quiet.wav", "new\nline.wav")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, `classify: new\nline.wav: warning: `+tooQuiet+"\n")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for i, want := range map[int][]string{
		0:  {"a.wav          loud ", " %  at 0.00-1.00 s"},
		1:  {"a.wav          loud ", " %  in 1 s, 1 window"},
		3:  {"silent.wav     _silence_ ", " %  in 0.5 s, 1 window"},
		8:  {"long.wav       loud ", " %  at 2.00-3.00 s"},
		14: {"long.wav       loud ", " %  in 5.25 s, 10 windows"},
		17: {"quiet.wav      _silence_ ", " %  in 1.5 s, 2 windows"},
		19: {`new\nline.wav  hum `, " %  in 1 s, 1 window  (warning: " + tooQuiet + ")"},
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want[0]) || !strings.HasSuffix(lines[i], want[1]) {
			t.Errorf("line %d is not %q in\n%s", i, want, out)
		}
	}
	_, out, _ = classify(t, nil, "--model", model, "--top", "2", "a.wav")
	contains(t, "two labels", out, " %, hum ")
}

// library is a folder in which much can go wrong.
func library(t *testing.T) {
	folder(t, map[string][]byte{
		"b/loud.wav":      wav(noise(rate, loud)),
		"b/a/hum.WAV":     wav(noise(rate, hum)),
		"b/a/two.wav":     wav(slices.Concat(make([]float32, rate), noise(rate, loud))),
		"b/broken.wav":    []byte("RIFF\x10\x00\x00\x00WAVEjunk"),
		"b/text.wav":      []byte("I am not a sound at all, whatever my name says"),
		"b/empty.wav":     nil,
		"b/notes.txt":     []byte("ignored"),
		"b/.hidden.wav":   []byte("ignored"),
		"b/.git/x.wav":    []byte("ignored"),
		"b/z/silence.wav": wav(make([]float32, rate/4)),
		"notes.txt":       wav(noise(rate, hum)),
	})
}

var libraryOutline = []string{
	"b/a/hum.WAV 0-1 hum", "b/a/hum.WAV 1 s hum",
	"b/a/two.wav 0-1 _silence_", "b/a/two.wav 0.5-1.5 loud", "b/a/two.wav 1-2 loud", "b/a/two.wav 2 s loud",
	"error b/broken.wav", "error b/empty.wav",
	"b/loud.wav 0-1 loud", "b/loud.wav 1 s loud",
	"error b/text.wav",
	"b/z/silence.wav 0-0.25 _silence_", "b/z/silence.wav 0.25 s _silence_",
	"notes.txt 0-1 hum", "notes.txt 1 s hum",
	"error missing.wav",
	"summary 4/9",
}

func TestNDJSON(t *testing.T) {
	model := loudness(t)
	library(t)
	for _, threads := range []string{"0", "1", "5"} {
		status, out, errs := classify(t, nil, "--model", model, "--format", "ndjson", "--top", "0", "--windows",
			"--threads", threads, "b", "notes.txt", "missing.wav")
		expect(t, "status", status, statusFailed)
		events := parse(t, out)
		expect(t, threads+" threads", strings.Join(outline(events), "\n"), strings.Join(libraryOutline, "\n"))
		for _, name := range []string{"b/broken.wav", "b/empty.wav", "b/text.wav", "missing.wav"} {
			contains(t, "stderr", errs, "classify: "+name+": ")
		}
		contains(t, "stderr", errs, "missing.wav: no such file or directory\n")
		for _, e := range events {
			sum := 0.0
			for _, l := range e.Labels {
				sum += l.P
			}
			if e.Event == "result" && (len(e.Labels) != 3 || sum < 0.9999 || sum > 1.0001) {
				t.Errorf("%s has the labels %v", e.File, e.Labels)
			}
		}
		s := events[len(events)-1]
		expect(t, "windows", s.Windows, 7)
		expect(t, "audio_seconds", s.AudioSeconds, 5.25)
		expect(t, "window and hop", []float64{s.Window, s.Hop}, []float64{1, 0.5})
		expect(t, "model", s.Model, model)
		contains(t, "device", s.Device, "cpu")
		expect(t, "interrupted", s.Interrupted, false)
	}
}

func TestJSON(t *testing.T) {
	model := loudness(t)
	library(t)
	args := []string{"--model", model, "--format", "json"}
	status, out, _ := classify(t, nil, append(args, "--windows", "b", "notes.txt", "missing.wav")...)
	expect(t, "status", status, statusFailed)
	var document struct {
		Spec                     int
		Results, Windows, Errors []ndjson
		Summary                  ndjson
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	expect(t, "spec", document.Spec, 2)
	for kind, list := range map[string][]ndjson{"result": document.Results, "window": document.Windows} {
		for i := range list {
			list[i].Event = kind
			expect(t, "labels", len(list[i].Labels), 1)
		}
		want := slices.DeleteFunc(slices.Clone(libraryOutline), func(line string) bool {
			whole := strings.Contains(line, " s ")
			return strings.HasPrefix(line, "error") || strings.HasPrefix(line, "summary") || whole != (kind == "result")
		})
		expect(t, kind, strings.Join(outline(list), "\n"), strings.Join(want, "\n"))
	}
	expect(t, "errors", len(document.Errors), 4)
	last, s := document.Errors[3], document.Summary
	expect(t, "an error", last.File+": "+last.Error, "missing.wav: no such file or directory")
	expect(t, "summary", []int{s.Files, s.Failed, s.Windows}, []int{9, 4, 7})

	_, out, _ = classify(t, nil, append(args, "missing.wav")...)
	err := json.Unmarshal([]byte(out), &document)
	if err != nil || document.Results == nil || len(document.Results) != 0 {
		t.Errorf("without results: %v, %s", err, out)
	}
}

func TestCSV(t *testing.T) {
	model := loudness(t)
	library(t)
	os.WriteFile("b,\"x\".wav", wav(noise(rate, hum)), 0o644)
	status, out, errs := classify(t, nil, "--model", model, "--format", "csv", "--windows", "--top", "2",
		"b,\"x\".wav", "b")
	expect(t, "status", status, statusFailed)
	contains(t, "stderr", errs, "classify: b/broken.wav: ")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "header", strings.Join(rows[0], " "), "kind file start end events message label1 p1 label2 p2")
	expect(t, "number of rows", len(rows), 16)
	expect(t, "first row", strings.Join(rows[1][:7], " "), "window b,\"x\".wav 0 1   hum")
	expect(t, "a result", strings.Join(rows[2][:7], " "), "result b,\"x\".wav 0 1 0 "+tooQuiet+" hum")
	expect(t, "a window", strings.Join(rows[6][:7], " "), "window b/a/two.wav 0.5 1.5   loud")
	expect(t, "an error", strings.Join(rows[10][:5], " "), "error b/empty.wav   ")
	_, out, _ = classify(t, nil, "--model", model, "--format", "csv", "--top", "0", "notes.txt")
	contains(t, "all labels", out, "label3,p3\n")
}

func TestHop(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"x.wav": wav(noise(2*rate, loud))})
	status, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "--windows", "--hop", "0.25", "x.wav")
	expect(t, "status", status, statusOK)
	events := parse(t, out)
	expect(t, "windows", len(events), 7)
	expect(t, "second window", []float64{events[1].Start, events[1].End}, []float64{0.25, 1.25})
	expect(t, "hop", events[6].Hop, 0.25)
}

func TestEmbeddedModel(t *testing.T) {
	folder(t, map[string][]byte{"x.wav": wav(noise(rate, hum))})
	status, out, errs := classify(t, nil, "--format", "ndjson", "x.wav")
	expect(t, "status", status, statusOK)
	expect(t, "stderr", errs, "classify: x.wav: warning: "+tooQuiet+"\n")
	events := parse(t, out)
	expect(t, "model", events[1].Model, "base")
}
