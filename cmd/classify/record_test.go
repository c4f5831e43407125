package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestEveryInputHasOneRecord counts records of recordings of many lengths and kinds, with and without events, in all
// formats and ways.
func TestEveryInputHasOneRecord(t *testing.T) {
	files := map[string][]byte{
		"d/bad.wav": []byte("RIFF"), "d/cut.wav": wav(noise(2*rate, loud))[:rate], "d/three.wav": wav(threeSounds()),
	}
	for _, n := range []int{1, 8000, 16000, 16001, 17600, 32000, 48000, 48001, 80000} {
		files[fmt.Sprintf("d/silent%05d.wav", n)] = wav(make([]float32, n))
		files[fmt.Sprintf("d/loud%05d.wav", n)] = wav(noise(n, loud))
	}
	folder(t, files)
	for _, way := range [][]string{nil, {"--as", "clip"}, {"--as", "events"}, {"--windows"}, {"--save", "clips"}} {
		for format, record := range map[string]func(name string) []string{
			"text":   func(name string) []string { return []string{name + " ", "  in "} },
			"csv":    func(name string) []string { return []string{"result," + name + ","} },
			"ndjson": func(name string) []string { return []string{`"event":"result","file":"` + name + `"`} },
			"json":   func(name string) []string { return []string{`{"file":"` + name + `","seconds":`} },
		} {
			status, out, _ := events(t, nil, append([]string{"--format", format, "d"}, way...)...)
			expect(t, "status", status, statusFailed)
			for name := range files {
				parts := record(name)
				if name == "d/bad.wav" {
					parts = []string{name, "error"}
				}
				n := 0
				for line := range strings.Lines(out) {
					if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%q, %s: %s has %d records in\n%s", way, format, name, n, out)
				}
			}
		}
	}
}

// TestAs says how recordings are answered, and holds the labels of a sound to one another whatever its length and the
// way. The default must not change near the length of a window.
func TestAs(t *testing.T) {
	files := map[string][]byte{}
	want := []string{"clip", "clip", "clip", "clip", "clip", "clip", "clip", "events", "events"}
	for i, n := range []int{8000, 15999, 16000, 16002, 31999, 32001, 48000, 48001, 64000} {
		files[fmt.Sprintf("d/%d.wav", i)] = wav(noise(n, loud))
	}
	folder(t, files)
	for _, as := range []string{"auto", "clip", "events"} {
		status, out, errs := events(t, nil, "--format", "ndjson", "--as", as, "d")
		expect(t, "status", status, statusOK)
		expect(t, "stderr", errs, "")
		i, found := 0, 0
		var p []float64
		for _, e := range parse(t, out) {
			switch e.Event {
			case "detection":
				found++
			case "result":
				way := as
				if as == "auto" {
					way = want[i]
				}
				count := 1
				if way == "clip" {
					count = 0
				}
				got := fmt.Sprint(e.As, " ", e.Labels[0].Label, " ", e.Events, found)
				expect(t, as+": "+e.File, got, fmt.Sprint(way, " loud ", count, count))
				p = append(p, e.Labels[0].P)
				i, found = i+1, 0
			}
		}
		expect(t, "results", len(p), len(want))
		if d := math.Abs(p[2] - p[3]); d > 0.01 {
			t.Errorf("--as %s: %g of 16,000 samples, %g of 16,002", as, p[2], p[3])
		}
	}
}

// TestWarningsAreInTheRecord breaks off recordings of each way.
func TestWarningsAreInTheRecord(t *testing.T) {
	folder(t, map[string][]byte{
		"a.wav": wav(noise(rate, loud))[:rate], "b.wav": wav(noise(3*rate, loud))[:4*rate],
		"c.wav": wav(noise(9*rate, loud))[:10*rate],
	})
	for i, as := range []string{"clip", "clip", "events"} {
		name := string(rune('a'+i)) + ".wav"
		_, out, errs := events(t, nil, "--format", "ndjson", name)
		lines := parse(t, out)
		e := lines[len(lines)-2]
		if e.As != as || len(e.Warning) != 1 || !strings.Contains(errs, name+": warning: "+e.Warning[0]+"\n") {
			t.Errorf("%+v, stderr %q", e, errs)
		}
	}
}
