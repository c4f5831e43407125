package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// events runs classify over recordings with settings that suit the loudness model.
func events(t *testing.T, stdin []byte, args ...string) (status int, out, errs string) {
	t.Helper()
	return classify(t, stdin, slices.Concat([]string{"--model", loudness(t)}, soundFlags, args)...)
}

// recordings are a short sound, one just as long as a window, one a sample longer, one with three events and one with
// none.
func recordings(t *testing.T) {
	folder(t, map[string][]byte{
		"d/a.wav": wav(noise(rate/2, loud)), "d/b.wav": wav(noise(rate, loud)), "d/c.wav": wav(noise(rate+1, loud)),
		"d/three.wav": wav(threeSounds()), "d/zero.wav": wav(make([]float32, 5*rate)),
	})
}

func TestEventsOfRecordings(t *testing.T) {
	recordings(t)
	for _, threads := range []string{"1", "3"} {
		status, out, errs := events(t, nil, "--format", "ndjson", "--threads", threads, "d")
		expect(t, "status", status, statusOK)
		expect(t, "stderr", errs, "")
		all := parse(t, out)
		got := outline(all)
		want := []string{
			"d/a.wav 0.5 s loud", "d/b.wav 1 s loud", "d/c.wav 1.000063 s loud", "d/three.wav 2.", "d/three.wav 5.",
			"d/three.wav 8.9-", "d/three.wav 13 s loud, 3 events", "d/zero.wav 5 s _silence_", "summary 0/5",
		}
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
				t.Fatalf("events %q, want %q", got, want)
			}
		}
		s := all[len(all)-1]
		expect(t, "summary", fmt.Sprint(s.Windows, s.Events, " ", s.AudioSeconds), "0 3 20.500062")
	}
	_, out, _ := events(t, nil, "--format", "ndjson", "d/three.wav")
	for i, e := range checkEvents(t, "spans", out, threeEvents) {
		want := threeEvents[i]
		near := math.Abs(e.Start-want[0]) <= 0.3 && math.Abs(e.End-want[1]) <= 0.3
		if !near || e.File != "d/three.wav" || e.Clock != "" {
			t.Errorf("event %+v, want %v", e, want)
		}
	}
}

func TestEventsAsText(t *testing.T) {
	recordings(t)
	_, out, _ := events(t, nil, "d")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	expect(t, "lines", len(lines), 8)
	for i, want := range []string{
		"d/a.wav      loud ", "d/b.wav      loud ", "d/c.wav      loud ",
		"d/three.wav  loud ", "d/three.wav  loud ", "d/three.wav  loud ", "d/three.wav  loud ",
		"d/zero.wav   _silence_ ",
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %q, want %q", lines[i], want)
		}
	}
	contains(t, "an event", lines[3], " %  at 2.")
	for i, want := range map[int]string{2: " %  in 1 s", 6: " %  in 13 s, 3 events", 7: " %  in 5 s, no events"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %q, want %q", lines[i], want)
		}
	}
}

func TestEventsAsTables(t *testing.T) {
	recordings(t)
	_, out, _ := events(t, nil, "--format", "csv", "--top", "2", "d")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "rows", len(rows), 9)
	expect(t, "an event", fmt.Sprint(rows[4][:2], rows[4][4:7], rows[4][8:]), "[detection d/three.wav] [  loud] [ ]")
	expect(t, "a result", fmt.Sprint(rows[7][:7]), "[result d/three.wav 0 13 3  loud]")

	var document struct {
		Results, Detections []ndjson
		Summary             ndjson
	}
	_, out, _ = events(t, nil, "--format", "json", "d")
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	expect(t, "json", []int{len(document.Results), len(document.Detections), document.Summary.Events}, []int{5, 3, 3})

	_, out, _ = events(t, nil, "--format", "audacity", "d/three.wav")
	expect(t, "labels", strings.Count(out, "\tloud\n"), 4)
	contains(t, "the whole", out, "\n0.000000\t13.000000\tloud\n")
	_, out, _ = events(t, nil, "--format", "audacity", "d/b.wav")
	expect(t, "label of a short sound", out, "0.000000\t1.000000\tloud\n")
	_, out, _ = events(t, nil, "--format", "audacity", "--windows", "d/zero.wav")
	expect(t, "labels of windows", strings.Count(out, "\t_silence_\n"), 10)
}

func TestEventsOfStdin(t *testing.T) {
	_, out, _ := events(t, endless(wav(threeSounds()), 0xFFFFFFFF), "--format", "ndjson", "-")
	checkEvents(t, "stdin", out, threeEvents)
}

func TestEventsOfDamagedRecording(t *testing.T) {
	folder(t, map[string][]byte{"cut.wav": wav(threeSounds())[:8*2*rate]})
	status, out, errs := events(t, nil, "--format", "ndjson", "cut.wav")
	expect(t, "status", status, statusOK)
	contains(t, "stderr", errs, "cut.wav: warning: ")
	checkEvents(t, "what there is", out, threeEvents[:2])
}

func TestLabelTracksGoOn(t *testing.T) {
	recordings(t)
	for i, want := range []string{"5 of 5 files classified", "all 5 inputs have results"} {
		status, _, errs := events(t, nil, "--format", "audacity", "--out", "o", "d")
		expect(t, "status", status, statusOK)
		contains(t, fmt.Sprintf("run %d", i), errs, want)
	}
	expect(t, "a recording without events", read(t, "o/zero.wav.labels.txt"), "0.000000\t5.000000\t_silence_\n")
	expect(t, "one with events", strings.Count(read(t, "o/three.wav.labels.txt"), "\n"), 4)
}

// TestShortAndLongRecordingsShareWorkers mixes sounds that wait for a batch with such that fill the queue of events.
func TestShortAndLongRecordingsShareWorkers(t *testing.T) {
	files := map[string][]byte{}
	var busy []float32
	for range 40 {
		busy = append(busy, threeSounds()...)
	}
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("d/%02d.wav", i)
		if i%7 == 3 {
			files[name] = wav(busy)
			want = append(want, slices.Repeat([]string{name}, 121)...)
			continue
		}
		files[name] = wav(noise(1600, loud))
		want = append(want, name)
	}
	folder(t, files)
	_, out, _ := events(t, nil, "--format", "ndjson", "--threads", "2", "d")
	var got []string
	for _, e := range parse(t, out) {
		if e.Event != "summary" {
			got = append(got, e.File)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events, want %d in the order of the files", len(got), len(want))
	}
}
