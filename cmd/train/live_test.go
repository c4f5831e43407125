package main

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/tuning"
)

// TestEvalLive measures the small model on words, on words it does not know, and in two folders, one of which has a
// word in it.
func TestEvalLive(t *testing.T) {
	const rate = 16000
	dir := t.TempDir()
	write := func(name string, samples []float32) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, audiotest.WAV(audio.S16LE, rate, samples), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	word := func(word string) []float32 {
		clip, err := audio.ReadFile("../../examples/"+word+".wav", rate)
		if err != nil {
			t.Fatal(err)
		}
		return clip.Samples
	}
	hum := func(seconds int) []float32 { return slices.Repeat([]float32{0.002, 0, -0.002, 0}, seconds*rate/4) }
	for _, w := range []string{"left", "stop", "yes", "happy"} {
		write("words/"+w+"/a_nohash_0.wav", word(w))
	}
	write("words/tree/a_nohash_0.wav", word("left")) // a word of another name, which sounds like one of the model's
	write("speech/a.wav", slices.Concat(hum(2), word("yes"), hum(7)))
	write("street/a.wav", hum(20))
	t.Chdir(dir)
	args := []string{"eval", "--live", "--model", "small", "--data", "words", "--split", "all",
		"--without", "speech,street", "--under", "street", "--fluent", "--threads", "1"}

	status, out, errs := train(t.Context(), append(args, "--json")...)
	if status != program.StatusOK {
		t.Fatalf("status %d, %s", status, errs)
	}
	var r liveReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	checkKeys(t, []byte(out), map[string]string{
		"":             "delay doubts false_alarms labels near_misses operating_point snr sounds split words",
		"false_alarms": "count high hours low per_hour", "words": "high low missed percent said",
		"delay":           "median p95 percent_within within",
		"sounds":          "false_alarms false_alarms_by_label folder kind",
		"labels":          "false_alarms label words",
		"near_misses":     "events label said word",
		"operating_point": "min_duration refractory release smoothing threshold",
	})
	if r.Split != "all" || r.SNR != 10 || !reflect.DeepEqual(r.OperatingPoint, models.Small().DetectionConfig()) {
		t.Errorf("%s, %g dB, %+v", r.Split, r.SNR, r.OperatingPoint)
	}
	var names []string
	for _, s := range r.Sounds {
		names = append(names, s.Kind+s.Folder)
	}
	want := []string{"without_wordsspeech", "without_wordsstreet", "other_words", "words", "fluent_words"}
	if !slices.Equal(names, want) {
		t.Fatalf("sounds %v, want %v", names, want)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) <= 1e-6*want }
	for i, want := range []struct {
		alarms int
		hours  float64
		label  string
	}{{1, 10.0 / 3600, "yes"}, {0, 20.0 / 3600, ""}, {1, 0, "left"}} {
		got := r.Sounds[i]
		if got.FalseAlarms == nil || got.FalseAlarms.Count != want.alarms || got.Words != nil ||
			want.hours > 0 && !near(got.FalseAlarms.Hours, want.hours) ||
			want.alarms == 1 && !reflect.DeepEqual(got.ByLabel, map[string]int{want.label: 1}) {
			t.Errorf("%s: %+v, %v, want %+v", names[i], got.FalseAlarms, got.ByLabel, want)
		}
	}
	// One event in ten seconds: 360 an hour, and 360 times the interval of one event.
	if a := r.Sounds[0].FalseAlarms; !near(a.PerHour, 360) || !near(a.Low, 360*0.025317807984) ||
		!near(a.High, 360*5.571643391) {
		t.Errorf("%+v", a)
	}
	if w := r.Sounds[3].Words; w == nil || w.Said != 3 || w.Missed != 0 || w.Low != 0 || !near(w.High, 70.759821) {
		t.Errorf("words one by one: %+v", w)
	}
	if w := r.Sounds[4].Words; w == nil || w.Said != 3 || r.Words.Said != 6 {
		t.Errorf("words without pauses: %+v, in total %+v", w, r.Words)
	}
	if r.Sounds[2].OtherWords != 2 || !slices.Equal(r.NearMisses, []nearMissRow{{"tree", 1, "left", 1}}) {
		t.Errorf("%d other words, near misses %+v", r.Sounds[2].OtherWords, r.NearMisses)
	}
	hours := r.Sounds[0].FalseAlarms.Hours + r.Sounds[1].FalseAlarms.Hours + r.Sounds[2].FalseAlarms.Hours
	if r.FalseAlarms.Count != 2 || !near(r.FalseAlarms.Hours, hours) || len(r.Doubts) != 2 {
		t.Errorf("in total %+v, doubts %q", r.FalseAlarms, r.Doubts)
	}
	for _, l := range r.Labels {
		said := slices.Contains([]string{"left", "stop", "yes"}, l.Label)
		if said != (l.Words != nil) || said && l.Words.Said != 2 || !near(l.FalseAlarms.Hours, hours) ||
			(l.FalseAlarms.Count == 1) != (l.Label == "yes" || l.Label == "left") || strings.HasPrefix(l.Label, "_") {
			t.Errorf("%s: %+v, %+v", l.Label, l.Words, l.FalseAlarms)
		}
	}
	if one, all := r.Sounds[3].Delay, r.Delay; one == nil || r.Sounds[0].Delay != nil || one.Within != all.Within {
		t.Errorf("delays of words one by one %+v, of all %+v", one, all)
	}
	if d := r.Delay; d == nil || d.Median <= 0 || d.P95 < d.Median || d.P95 > 1.5 {
		t.Errorf("delays %+v", d)
	}

	status, out, errs = train(t.Context(), args...)
	lines := map[string]bool{}
	for line := range strings.Lines(out) {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, want := range []string{
		"speech 10 s 1 360 9 to 2006", "street 20 s 0 0 0 to 664", "in total 38.6 s 2 187 23 to 674",
		"other word said taken for times", "tree 1 left 1",
	} {
		if !lines[want] {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, want := range []string{"\namong 2 other words  ", "\nin total  ", "\nnot in it: words without pauses  ",
		"\nwords one by one         3       0   0  0 to 71  ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if status != program.StatusOK || !strings.Contains(errs, "warning: fewer than 20 words were said (6)") {
		t.Errorf("status %d, %s", status, errs)
	}
	// tune --measure prints the same.
	tune := append([]string{"tune", "--measure"}, args[2:len(args)-2]...)
	if status, same, errs := train(t.Context(), tune...); status != program.StatusOK || same != out {
		t.Errorf("tune --measure: status %d, %s\n%s\ninstead of\n%s", status, errs, same, out)
	}

	// A limit for a folder holds whatever it costs, and the others may have more.
	tune = append([]string{"tune", "--false-alarms", "1000"}, args[2:len(args)-2]...)
	for limit, want := range map[string]string{
		"street=1000": "speech 10 s 1 360 9 to 2006", "speech=0": "speech 10 s 0 0 0 to 1328",
	} {
		status, out, errs := train(t.Context(), append(tune, "--limit", limit)...)
		if status != program.StatusOK || !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("--limit %s: status %d, %s, no %q in\n%s", limit, status, errs, want, out)
		}
	}

	eval := func(more ...string) []string {
		return append([]string{"eval", "--model", "small", "--data", "words", "--split", "all"}, more...)
	}
	checkFailure(t, "flags of --live", eval("--fluent"), program.StatusUsage, "about --live")
	checkFailure(t, "no folder without words", eval("--live"), program.StatusUsage, "--live needs --without")
	checkFailure(t, "two measurements", eval("--live", "--without", "street", "--context"), program.StatusUsage,
		"--context")
	checkFailure(t, "another device", eval("--live", "--without", "street", "--device", "cuda"), program.StatusUsage,
		"not on cuda")
	checkFailure(t, "endless", eval("--live", "--without", "street", "--minutes", "-1"), program.StatusUsage, "--minutes")
	checkFailure(t, "nothing under words", eval("--live", "--without", "street", "--under", t.TempDir()),
		program.StatusFailed, "no recording below")
}

// checkKeys compares the names of fields of a JSON object, and of objects in it or the first ones of lists.
func checkKeys(t *testing.T, text []byte, want map[string]string) {
	t.Helper()
	var whole map[string]any
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	for field, names := range want {
		var object any = whole
		if field != "" {
			object = whole[field]
		}
		if list, ok := object.([]any); ok && len(list) > 0 {
			object = list[0]
			if field == "labels" { // the first one is not said
				object = list[slices.IndexFunc(list, func(o any) bool { return len(o.(map[string]any)) == 3 })]
			}
		}
		fields, _ := object.(map[string]any)
		if got := strings.Join(slices.Sorted(maps.Keys(fields)), " "); got != names {
			t.Errorf("fields of %q: %s, want %s", field, got, names)
		}
	}
}

// TestEveryKindHasAName: every kind of recording has a name in JSON and in tables.
func TestEveryKindHasAName(t *testing.T) {
	if len(kindNames) != int(tuning.Fluent)+1 || slices.Contains(kindNames, "") {
		t.Errorf("names %q", kindNames)
	}
}
