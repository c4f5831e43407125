package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// figures are what depends on the kernels and the machine: probabilities, and what the summary says besides counts.
var figures = regexp.MustCompile(`\d+\.\d %|0\.\d{4,}|"model":.*"interrupted"`)

// TestNamesInEveryFormat holds the bytes of each format to what docs/output.md says of names: file names that are not
// UTF-8, that control a terminal, turn text around or are formulas, and a label that does two of these.
func TestNamesInEveryFormat(t *testing.T) {
	model := loudnessWith(t, "=lo\u202eud")
	sound, broken := wav(noise(rate, loud)), []byte("RIFF\x10\x00\x00\x00WAVEjunk")
	names := []string{
		"caf\xe9.wav", "caf\xe8.wav", "\xf0\x9f\x91.wav", "caf\ufffdE9.wav", // not UTF-8, or looks like its escape
		"a\x1b[31mb.wav", "new\nclassify: line.wav", "tab\t\u009b2J\x7f.wav", // terminals
		"\u202evaw.txt", "x\u2066y\u2069.wav", "zero\u200bwidth.wav", // turned around, invisible
		"=1+1.wav", "@SUM(A1)", "+b,\"c\".wav", // formulas
		"Gr\u00fc\u00dfe \u65e5\u672c.wav", `back\slash.wav`, // nothing to change
	}
	files := map[string][]byte{"bad\r.wav": broken}
	for _, name := range names {
		files[name] = sound
	}
	folder(t, files)
	for _, c := range []struct {
		format, before, after string
		record                []string // of each name
		bad                   string
	}{
		{"text", "", "", []string{
			`caf\xe9.wav`, `caf\xe8.wav`, `\xf0\x9f\x91.wav`, "caf\ufffdE9.wav",
			`a\x1b[31mb.wav`, `new\nclassify: line.wav`, `tab\t\u009b2J\x7f.wav`,
			`\u202evaw.txt`, `x\u2066y\u2069.wav`, `zero\u200bwidth.wav`,
			"=1+1.wav", "@SUM(A1)", `+b,"c".wav`,
			"Grüße 日本.wav", `back\slash.wav`,
		}, `bad\r.wav`},
		{"csv", "kind,file,start,end,events,message,label1,p1\n", "", []string{
			"caf\ufffdE9.wav", "caf\ufffdE8.wav", "\ufffdF0\ufffd9F\ufffd91.wav", "caf\ufffdEF\ufffdBF\ufffdBDE9.wav",
			"a\ufffd1B[31mb.wav", "new\ufffd0Aclassify: line.wav", "tab\ufffd09\ufffdC2\ufffd9B2J\ufffd7F.wav",
			"\ufffdE2\ufffd80\ufffdAEvaw.txt", "x\ufffdE2\ufffd81\ufffdA6y\ufffdE2\ufffd81\ufffdA9.wav",
			"zero\ufffdE2\ufffd80\ufffd8Bwidth.wav",
			"\ufffd3D1+1.wav", "\ufffd40SUM(A1)", "\"\ufffd2Bb,\"\"c\"\".wav\"",
			"Grüße 日本.wav", `back\slash.wav`,
		}, "bad\ufffd0D.wav"},
		{"ndjson", "", `{"spec":2,"event":"summary","files":16,"failed":1,"windows":0,"audio_seconds":15,` +
			`"window":1,"hop":0.5,N:false,"events":0}` + "\n", []string{
			"caf\ufffdE9.wav", "caf\ufffdE8.wav", "\ufffdF0\ufffd9F\ufffd91.wav", "caf\ufffdEF\ufffdBF\ufffdBDE9.wav",
			`a\u001b[31mb.wav`, `new\u000aclassify: line.wav`, `tab\u0009\u009b2J\u007f.wav`,
			`\u202evaw.txt`, `x\u2066y\u2069.wav`, `zero\u200bwidth.wav`,
			"=1+1.wav", "@SUM(A1)", `+b,\"c\".wav`,
			"Grüße 日本.wav", `back\\slash.wav`,
		}, `bad\u000d.wav`},
	} {
		const why = "damaged sound file: ends inside the chunks before its data"
		want := c.before
		for i, name := range append(c.record, c.bad) {
			failed := i == len(c.record)
			switch {
			case c.format == "text" && failed:
				want += fixed(name) + "  error: " + why + "\n"
			case c.format == "text":
				want += fixed(name) + `  =lo\u202eud N  in 1 s` + "\n"
			case c.format == "csv" && failed:
				want += "error," + name + ",,,," + why + ",,\n"
			case c.format == "csv":
				want += "result," + name + ",0,1,0,,\ufffd3Dlo\ufffdE2\ufffd80\ufffdAEud,N\n"
			case failed:
				want += `{"spec":2,"event":"error","file":"` + name + `","error":"` + why + `"}` + "\n"
			default:
				want += `{"spec":2,"event":"result","file":"` + name + `","seconds":1,"as":"clip","events":0,` +
					`"labels":[{"label":"=lo\u202eud","p":N}]}` + "\n"
			}
		}
		want += c.after
		args := []string{"--model", model, "--format", c.format}
		status, out, errs := classify(t, nil, slices.Concat(args, names, []string{"bad\r.wav"})...)
		expect(t, "status", status, statusFailed)
		expect(t, "stderr", errs, `classify: bad\r.wav: `+why+"\n")
		if got := figures.ReplaceAllString(out, "N"); got != want {
			t.Errorf("%s:\n%q\nwant\n%q", c.format, got, want)
		}
	}
}

// fixed returns a name at the width of the longest one.
func fixed(name string) string {
	const width = len(`new\nclassify: line.wav`)
	return name + strings.Repeat(" ", width-len([]rune(name)))
}

// TestNamesOfOneInput holds the bytes of json and audacity, whose output is one document about an input, to the same.
func TestNamesOfOneInput(t *testing.T) {
	whole := wav(noise(rate, loud))
	cut := whole[:44+rate] // half a second of one
	folder(t, map[string][]byte{"a\x1b.wav": whole, "\xe9": whole, "\u202e.wav": cut})
	const text = "data chunk says 32000 bytes, file ends after 16000, at 0.50 s"
	for _, c := range []struct{ file, json, label, labelJSON, audacity, seconds, warned, warning string }{
		{"a\x1b.wav", `a\u001b.wav`, "=a, b", "=a, b", "1.000000\t=a, b", "1", "", ""},
		{"\xe9", "\ufffdE9", "\u202el", `\u202el`, "1.000000\t\ufffdE2\ufffd80\ufffdAEl", "1", "", ""},
		{"\u202e.wav", `\u202e.wav`, "\ufffd-", "\ufffdEF\ufffdBF\ufffdBD-",
			"0.500000\t\ufffdEF\ufffdBF\ufffdBD-", "0.5", "  (warning: " + text + ")", `,"warning":["` + text + `"]`},
	} {
		model := loudnessWith(t, c.label)
		_, out, _ := classify(t, nil, "--model", model, "--format", "audacity", c.file)
		expect(t, "audacity", fmt.Sprintf("%q", out), fmt.Sprintf("%q", "0.000000\t"+c.audacity+c.warned+"\n"))
		_, out, _ = classify(t, nil, "--model", model, "--format", "json", c.file)
		want := "{\"spec\":2,\n\"results\":[\n{\"file\":\"" + c.json + "\",\"seconds\":" + c.seconds +
			`,"as":"clip","events":0,"labels":[{"label":"` + c.labelJSON + `","p":N}]` + c.warning + "}],\n" +
			"\"windows\":[],\n\"detections\":[],\n\"errors\":[],\n" +
			`"summary":{"files":1,"failed":0,"windows":0,"audio_seconds":` + c.seconds +
			`,"window":1,"hop":0.5,N:false,"events":0}}` + "\n"
		expect(t, "json", fmt.Sprintf("%q", figures.ReplaceAllString(out, "N")), fmt.Sprintf("%q", want))
	}
}
