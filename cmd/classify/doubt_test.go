package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/confidence"
	"github.com/polyphon/polyphon/polynet"
)

// faint is a level at which the doubtful models of loudness waver between loud and hum.
const faint = 0.02

// doubtfulModel returns the model of loudness with softer probabilities, and with sets of the labels of at least 70 %
// for a coverage up to 92.5 %, of at least 35 % for more.
func doubtfulModel() *polynet.Model {
	m := loudnessModel("loud")
	m.Temperature = 4
	sets := &confidence.Sets{Score: confidence.Plain}
	for range m.Labels {
		quantiles := make([]float64, len(confidence.Levels))
		for i, level := range confidence.Levels {
			quantiles[i] = 0.65
			if level < 0.95 {
				quantiles[i] = 0.3
			}
		}
		sets.Quantiles = append(sets.Quantiles, quantiles)
	}
	m.Calibration = &confidence.Calibration{Sets: sets}
	return m
}

// rounded returns output with three digits of each probability in JSON and CSV, as far as all kernels agree, and
// without what differs between machines.
func rounded(out string) string {
	out = regexp.MustCompile(`(0\.\d{3})\d*([,}\n])`).ReplaceAllString(out, "$1$2")
	return regexp.MustCompile(`"window":1,.*"interrupted"`).ReplaceAllString(out, `"interrupted"`)
}

// TestDoubt compares what each format writes with the flags of doubt. Of the three sounds, the second one is doubtful.
func TestDoubt(t *testing.T) {
	model := savedModel(t, doubtfulModel())
	folder(t, map[string][]byte{
		"d/a.wav": wav(noise(rate, loud)), "d/b.wav": wav(noise(rate, faint)), "d/c.wav": wav(make([]float32, rate)),
	})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--min-confidence", "0.6", "d"}, `
d/a.wav  loud 87.9 %  in 1 s
d/b.wav  ? (loud 55.1 %, below 60 %)  in 1 s
d/c.wav  _silence_ 67.6 %  in 1 s
`},
		{[]string{"--coverage", "0.95", "d"}, `
d/a.wav  loud 87.9 %  in 1 s  {loud}
d/b.wav  loud 55.1 %  in 1 s  {loud, hum}
d/c.wav  _silence_ 67.6 %  in 1 s  {_silence_}
`},
		{[]string{"--coverage", "0.9", "--min-confidence", "0.551234", "--top", "2", "--windows", "d/b.wav"}, `
d/b.wav  ? (loud 55.1 %, hum 36.2 %, below 55.1234 %)  at 0.00-1.00 s  {}
d/b.wav  ? (loud 55.1 %, hum 36.2 %, below 55.1234 %)  in 1 s, 1 window  {}
`},
		{[]string{"--min-confidence", "0.6", "--coverage", "0.95", "--format", "ndjson", "--windows", "d/a.wav", "d/b.wav"}, `
{"spec":2,"event":"window","file":"d/a.wav","start":0,"end":1,"labels":[{"label":"loud","p":0.878}],"set":["loud"]}
{"spec":2,"event":"result","file":"d/a.wav","seconds":1,"as":"windows","events":0,` +
			`"labels":[{"label":"loud","p":0.878}],"set":["loud"]}
{"spec":2,"event":"window","file":"d/b.wav","start":0,"end":1,"labels":[{"label":"loud","p":0.550}],"refused":true,` +
			`"set":["loud","hum"]}
{"spec":2,"event":"result","file":"d/b.wav","seconds":1,"as":"windows","events":0,` +
			`"labels":[{"label":"loud","p":0.550}],"refused":true,"set":["loud","hum"]}
{"spec":2,"event":"summary","files":2,"failed":0,"refused":2,"windows":2,"audio_seconds":2,` +
			`"interrupted":false,"events":0}
`},
		{[]string{"--min-confidence", "0.6", "--coverage", "0.5", "--format", "json", "d/b.wav"}, `
{"spec":2,
"results":[
{"file":"d/b.wav","seconds":1,"as":"clip","events":0,"labels":[{"label":"loud","p":0.550}],"refused":true,"set":[]}],
"windows":[],
"detections":[],
"errors":[],
"summary":{"files":1,"failed":0,"refused":1,"windows":0,"audio_seconds":1,"interrupted":false,"events":0}}
`},
		{[]string{"--min-confidence", "0.6", "--coverage", "0.95", "--format", "csv", "d"}, `
kind,file,start,end,events,message,refused,set,label1,p1
result,d/a.wav,0,1,0,,,loud,loud,0.878
result,d/b.wav,0,1,0,,true,loud|hum,loud,0.550
result,d/c.wav,0,1,0,,,_silence_,_silence_,0.676
`},
		{[]string{"--min-confidence", "0.6", "--format", "csv", "d/b.wav"}, `
kind,file,start,end,events,message,refused,label1,p1
result,d/b.wav,0,1,0,,true,loud,0.550
`},
		{[]string{"--coverage", "0.5", "--format", "csv", "d/b.wav"}, `
kind,file,start,end,events,message,set,label1,p1
result,d/b.wav,0,1,0,,,loud,0.550
`},
		{[]string{"--min-confidence", "0.6", "--format", "audacity", "--windows", "d/b.wav"}, `
0.000000	1.000000	?
0.000000	1.000000	?
`},
		{[]string{"--min-confidence", "0.6", "--coverage", "0.95", "--format", "audacity", "d/b.wav"}, `
0.000000	1.000000	?  {loud, hum}
`},
	} {
		status, out, errs := classify(t, nil, append([]string{"--model", model}, c.args...)...)
		expect(t, strings.Join(c.args, " "), rounded(out), strings.TrimPrefix(c.want, "\n"))
		if status != statusOK || errs != "" {
			t.Errorf("%q: status %d, stderr %s", c.args, status, errs)
		}
	}
}

// TestDoubtOfManyFiles looks at the summary of a result file.
func TestDoubtOfManyFiles(t *testing.T) {
	folder(t, map[string][]byte{"d/b.wav": wav(noise(rate, faint))})
	model := savedModel(t, doubtfulModel())
	classify(t, nil, "--model", model, "--min-confidence", "0.6", "--format", "ndjson", "--out", "o", "d")
	contains(t, "result file", read(t, "o/b.wav.ndjson"), `"failed":0,"refused":1,`)
}

// TestRefusedEvents: an event waits for its probability to rise as far as asked, which it never does to 1.
func TestRefusedEvents(t *testing.T) {
	folder(t, map[string][]byte{"three.wav": wav(threeSounds())})
	for p, want := range map[string]string{"0": "3 0", "0.95": "3 0", "1": "0 3"} {
		_, out, _ := events(t, nil, "--min-confidence", p, "--format", "ndjson", "three.wav")
		all := parse(t, out)
		result := all[len(all)-2]
		expect(t, "recording, "+p, fmt.Sprint(result.Events, result.RefusedEvents), want)
		checkEvents(t, "recording", out, threeEvents[:result.Events])

		sound := bytes.NewReader(raw(audio.S16LE, threeSounds()))
		_, out, errs := stream(t, sound, "--min-confidence", p, "--format", "ndjson")
		found := checkEvents(t, "stream", out, threeEvents[:len(parse(t, out))-1])
		all = parse(t, out)
		summary := all[len(all)-1]
		count, _ := summary.Refused.(float64) // missing: 0
		expect(t, "stream, "+p, fmt.Sprint(summary.Events, count), want)
		expect(t, "detections", len(found), summary.Events)
		if refused := strings.Contains(errs, ": 0 events, 3 refused, "); refused != (p == "1") {
			t.Errorf("--min-confidence %s: %s", p, errs)
		}
	}
	_, out, _ := events(t, nil, "--min-confidence", "1", "three.wav")
	contains(t, "text", out, ", no events, 3 refused\n")
}

func TestDoubtErrors(t *testing.T) {
	uncalibrated := loudness(t)
	calibrated := savedModel(t, doubtfulModel())
	folder(t, map[string][]byte{"a.wav": wav(noise(rate, loud))})
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{statusUsage, "--min-confidence 60 is no probability: 0 to 1", []string{"--min-confidence", "60", "a.wav"}},
		{statusUsage, "--min-confidence -0.1 is no probability", []string{"--min-confidence=-0.1", "a.wav"}},
		{statusUsage, "--min-confidence NaN is no probability", []string{"--min-confidence", "nan", "a.wav"}},
		{statusUsage, "--coverage 95: shares from 0.5 to 0.995 are possible", []string{"--coverage", "95", "a.wav"}},
		{statusUsage, "--coverage 0: shares", []string{"--coverage", "0", "a.wav"}},
		{statusUsage, "--coverage NaN: shares", []string{"--coverage", "nan", "a.wav"}},
		{statusUsage, "--coverage is about recordings", []string{"--coverage", "0.9", "--stream"}},
		{statusModel, "the model is not calibrated for this: it does not store what its clips were like; " +
			"train calibrate adds that, of about 45 clips or more", []string{"--watch-drift", "--model", uncalibrated, "a.wav"}},
		{statusModel, "the model is not calibrated for this: it stores no sets of labels; train calibrate adds them",
			[]string{"--coverage", "0.9", "--model", uncalibrated, "a.wav"}},
	} {
		status, out, errs := classify(t, nil, slices.Concat([]string{"--model", calibrated}, c.args)...)
		expect(t, strings.Join(c.args, " "), status, c.status)
		contains(t, "stderr", errs, c.says)
		expect(t, "stdout", out, "")
	}
}

// unknowingModel returns a model of loudness that has no label _unknown_ and is calibrated to tell unknown sounds:
// those of which the likeliest label but _silence_ has less than 90 %.
func unknowingModel() *polynet.Model {
	m := loudnessModel("loud")
	m.Calibration = &confidence.Calibration{
		Unknown: &confidence.Unknown{Score: confidence.MaxProbability, Threshold: 0.1, Slope: 100},
	}
	return m
}

// TestUnknownSounds: faint noise is loud at 84 % without the calibration.
func TestUnknownSounds(t *testing.T) {
	model := savedModel(t, unknowingModel())
	folder(t, map[string][]byte{
		"d/a.wav": wav(noise(rate, loud)), "d/b.wav": wav(noise(rate, faint)), "d/c.wav": wav(make([]float32, rate)),
	})
	_, out, _ := classify(t, nil, "--model", model, "--top", "0", "d")
	expect(t, "text", out, `d/a.wav  loud 100.0 %, hum 0.0 %, _unknown_ 0.0 %, _silence_ 0.0 %  in 1 s
d/b.wav  _unknown_ 99.6 %, loud 0.3 %, _silence_ 0.1 %, hum 0.1 %  in 1 s
d/c.wav  _silence_ 97.1 %, _unknown_ 2.9 %, loud 0.0 %, hum 0.0 %  in 1 s
`)
	_, out, _ = classify(t, nil, "--model", model, "--top", "0", "--format", "csv", "d/b.wav")
	contains(t, "csv", rounded(out), "label4,p4\nresult,d/b.wav,0,1,0,,_unknown_,0.996,")
	_, out, _ = classify(t, nil, "doctor", "--model", model)
	contains(t, "doctor", out, "calibration  unknown sounds by the probability score above 0.1\n")
	if strings.Contains(out, "has no label _unknown_") {
		t.Errorf("doctor misses a label _unknown_: %s", out)
	}
	for level, want := range map[float32]int{faint: 0, loud: 1} {
		sound := slices.Concat(make([]float32, 2*rate), noise(3*rate, level), make([]float32, 2*rate))
		_, out, _ := stream(t, bytes.NewReader(raw(audio.S16LE, sound)), "--format", "ndjson", "--model", model)
		all := parse(t, out)
		expect(t, "events of live sound", all[len(all)-1].Events, want)
		_, out, _ = stream(t, bytes.NewReader(raw(audio.S16LE, sound)), "--format", "ndjson")
		all = parse(t, out)
		if all[len(all)-1].Events == 0 {
			t.Errorf("noise of %g is no event without the calibration", level)
		}
	}
}
