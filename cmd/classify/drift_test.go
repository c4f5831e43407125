package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/confidence"
)

// referencedModel writes a model of loudness with a reference of sounds that it is sure of.
func referencedModel(t *testing.T) string {
	m := loudnessModel("loud")
	limits := slices.Repeat([][]float64{{0.1, 1e6, 1e6}}, len(m.Labels))
	m.Calibration = &confidence.Calibration{Reference: &confidence.Reference{Tolerance: 0.2, Limits: limits}}
	return savedModel(t, m)
}

const driftNews = "classify: drift: the sounds are no longer like those that the model was calibrated on " +
	"(found with input "

// TestWatchDriftOfFiles: the first 100 sounds are like those of the reference, of the following ones all are doubtful.
func TestWatchDriftOfFiles(t *testing.T) {
	model := referencedModel(t)
	files := map[string][]byte{}
	for i := range 130 {
		sound := wav(noise(rate, loud))
		if i >= 100 {
			sound = wav(noise(rate, faint))
		}
		files[fmt.Sprintf("d/%03d.wav", i)] = sound
	}
	folder(t, files)
	for _, args := range [][]string{{}, {"--windows"}, {"--as", "events"}, {"--out", "o"}} {
		args = slices.Concat([]string{"--model", model, "--format", "ndjson", "--threads", "1", "--watch-drift"}, args)
		status, out, errs := classify(t, nil, append(args, "d")...)
		expect(t, "status", status, statusOK)
		if strings.Count(errs, driftNews) != 1 || !strings.Contains(errs, driftNews+"112): probabilities may be wrong; ") {
			t.Errorf("%v: stderr\n%s", args, errs)
		}
		all := parse(t, out)
		got, err := json.Marshal(all[len(all)-1].Drift)
		expect(t, "drift", fmt.Sprint(string(got), err), `{"inputs":130,"drifts":1,"since":112,"drifted":true}<nil>`)
	}
	for name := range files {
		if name > "d/100" {
			files[name] = files["d/000.wav"]
		}
	}
	folder(t, files)
	_, out, errs := classify(t, nil, "--model", model, "--format", "ndjson", "--watch-drift", "d")
	expect(t, "stderr without a drift", errs, "")
	contains(t, "summary", out, `"drift":{"inputs":130,"drifts":0,"drifted":false}}`)
	_, out, _ = classify(t, nil, "--model", model, "--format", "ndjson", "d")
	if strings.Contains(out, "drift") {
		t.Errorf("drift is reported without being asked for: %s", out)
	}
}

// TestWatchDriftOfStream: some minutes of silence with loud sounds, then faint noise.
func TestWatchDriftOfStream(t *testing.T) {
	model := referencedModel(t)
	good := slices.Repeat(threeSounds(), 20)
	for _, c := range []struct {
		sound []float32
		news  int
		want  string
	}{
		{good, 0, `"drift":{"inputs":26,"drifts":0,"drifted":false}}`},
		{slices.Concat(good, noise(200*rate, faint)), 1, `"drift":{"inputs":46,"drifts":1,"since":`},
	} {
		in := bytes.NewReader(raw(audio.S16LE, c.sound))
		status, out, errs := stream(t, in, "--format", "ndjson", "--model", model, "--watch-drift")
		expect(t, "status", status, statusOK)
		expect(t, "messages", strings.Count(errs, driftNews), c.news)
		contains(t, "summary", out, c.want)
	}
}
