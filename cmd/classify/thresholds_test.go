package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
)

func TestThresholdFlag(t *testing.T) {
	own := detect.Config{Threshold: 0.6, Thresholds: map[string]float64{"a": 0.5, "b": 0.4}}
	for text, want := range map[string]string{
		"0.8":             "0.8 map[]",
		"*=0.8":           "0.8 map[]",
		"a=0.9":           "0.6 map[a:0.9 b:0.4]",
		"a=0.9,*=0.8":     "0.8 map[a:0.9]",
		"*=0.8,c=1":       "0.8 map[c:1]",
		"x,y=0.9,p=q=0.3": "0.6 map[a:0.5 b:0.4 p=q:0.3 x,y:0.9]",
		"1e-1":            "0.1 map[]",
	} {
		var f thresholdFlag
		if err := f.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		c := own
		f.apply(&c)
		expect(t, text, fmt.Sprint(c.Threshold, " ", c.Thresholds), want)
	}
	expect(t, "the model's own", own.Thresholds, map[string]float64{"a": 0.5, "b": 0.4})
}

func TestLabelSet(t *testing.T) {
	labels := []string{"a", "a,b", "b", "c d"}
	for list, want := range map[string]string{
		"a": "map[a:true]", "a,b": "map[a,b:true]", "b,a": "map[a:true b:true]", "a,b,b": "map[a,b:true b:true]",
		"c d,a": "map[a:true c d:true]",
	} {
		set, err := newLabelSet(list, labels)
		if err != nil || fmt.Sprint(set) != want {
			t.Errorf("%s: %v, %v, want %s", list, set, err, want)
		}
	}
	for _, list := range []string{"x", "a,x", ",", "a,,b", "ab"} {
		if _, err := newLabelSet(list, labels); err == nil {
			t.Errorf("%s is no error", list)
		}
	}
}

// TestOnly reports no events and windows of other labels, of files and of live sound, and a result of each file.
func TestOnly(t *testing.T) {
	sound := slices.Concat(threeSounds(), noise(3*rate, hum))
	for _, c := range []struct{ args, labels string }{
		{"", "map[hum:true loud:true]"}, {"--only hum", "map[hum:true]"}, {"--only loud", "map[loud:true]"},
		{"--only _silence_", "map[]"}, {"--only loud,hum --threshold loud=1,*=0.5", "map[hum:true]"},
	} {
		folder(t, map[string][]byte{"a.wav": wav(sound)})
		args := append(strings.Fields(c.args), "--format", "ndjson")
		_, out, _ := events(t, nil, append(args, "--save", "c", "a.wav")...)
		lines := parse(t, out)
		expect(t, c.args, eventLabels(lines), c.labels)
		n := len(lines) - 2
		expect(t, c.args+": saved", len(tree(t, "c")), n)
		expect(t, c.args+": counted", []int{lines[n].Events, lines[n+1].Events}, []int{n, n})
		_, out, _ = stream(t, bytes.NewReader(raw(audio.S16LE, sound)), args...)
		expect(t, c.args+": live", eventLabels(parse(t, out)), c.labels)
		if strings.Contains(c.args, "--threshold") {
			continue
		}
		_, out, _ = events(t, nil, append(args, "--windows", "a.wav")...)
		only := strings.TrimPrefix(c.args, "--only ")
		for _, line := range parse(t, out) {
			if line.Event == "window" && line.Labels[0].Label != only && only != "" {
				t.Errorf("%s: a window of %s", c.args, line.Labels[0].Label)
			}
		}
	}
}

// eventLabels returns the labels of events.
func eventLabels(lines []ndjson) map[string]bool {
	found := map[string]bool{}
	for _, line := range lines {
		if line.Event == "detection" {
			found[line.Label] = true
		}
	}
	return found
}

// TestPool compares what is said of a second of noise in twenty of a murmur.
func TestPool(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(slices.Concat(noise(10*rate, hum), noise(rate, loud), noise(9*rate, hum)))})
	for _, way := range [][]string{{"--as", "clip"}, {"--as", "events"}, {"--windows"}} {
		for pool, want := range map[string]string{"mean": "hum 1.0", "max": "loud 2.0", "share": "hum 1.0"} {
			args := append([]string{"--model", model, "--format", "ndjson", "--top", "0", "--pool", pool}, way...)
			_, out, _ := classify(t, nil, append(args, "a.wav")...)
			for _, line := range parse(t, out) {
				if line.Event != "result" {
					continue
				}
				sum := 0.0
				for _, l := range line.Labels {
					sum += l.P
				}
				got := fmt.Sprintf("%s %.1f", line.Labels[0].Label, sum)
				if pool == "max" && sum > 1.5 {
					got = line.Labels[0].Label + " 2.0"
				}
				expect(t, fmt.Sprint(way, pool), got, want)
			}
		}
	}
}

// TestThreadsOfOneFile has the same output, to the digit, for a file of several parts whatever the number of threads.
func TestThreadsOfOneFile(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(slices.Repeat(threeSounds(), 24)), "b.wav": wav(noise(rate, loud))})
	for _, way := range []string{"--as clip", "--as events", "--windows --hop 0.3"} {
		var want string
		for _, threads := range []string{"1", "2", "7"} {
			args := slices.Concat([]string{"--model", model, "--format", "csv", "--threads", threads}, soundFlags,
				strings.Fields(way), []string{"a.wav", "b.wav"})
			status, out, _ := classify(t, nil, args...)
			expect(t, "status", status, statusOK)
			if want == "" {
				want = out
			}
			expect(t, way+" with "+threads+" threads", out == want, true)
		}
		found := map[string]int{"--as clip": 0, "--as events": 3 * 24, "--windows --hop 0.3": 100}[way]
		if n := strings.Count(want, "\n"); n < found+3 {
			t.Errorf("%s: %d lines", way, n)
		}
	}
}
