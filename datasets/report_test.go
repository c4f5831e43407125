package datasets

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestReport finds what is wrong with a folder, and nothing in one that is sound.
func TestReport(t *testing.T) {
	good := newFolder(t)
	for _, label := range []string{"a", "b", "_unknown_"} {
		good.class(label, 600)
	}
	bad := newFolder(t)
	for i := range 90 {
		bad.sound(fmt.Sprintf("train/many/%d.wav", i), tone(300+float64(i), 0.5, 1000))
	}
	for i := range 6 {
		bad.sound(fmt.Sprintf("train/few/x%d_nohash_0.wav", i), tone(600+float64(i), 0.5, 1000))
		bad.sound(fmt.Sprintf("valid/few/x%d_nohash_1.wav", i), tone(700+float64(i), 0.5, 1000))
	}
	sound := tone(333.5, 0.5, 1000)
	bad.sound("test/many/t.wav", tone(999, 0.5, 1000))
	bad.sound("valid/many/same.wav", sound)
	bad.sound("train/many/padded.wav", append(make([]float32, 10), sound...))
	bad.sound("train/few/other.wav", append(make([]float32, 20), sound...))
	bad.sound("train/many/silent.wav", make([]float32, 1000))
	bad.sound("train/many/loud.wav", slices.Repeat([]float32{1, 1, -1, -1}, 250))
	bad.write("train/many/broken.wav", "RIFF")
	bad.clips("train/loose.wav")
	for _, c := range []struct {
		f    folder
		want map[FindingKind]string
	}{
		{good, map[FindingKind]string{}},
		{bad, map[FindingKind]string{
			Unreadable: "1 file(s) cannot be read", SilentSound: "1 file(s) hold nothing", ClippedSound: "1 file(s) are clipped",
			Leak: "6 speaker(s) or recording(s) have clips in several splits", Contradicts: "same sound as one of another label",
			TooFew: "fewer than 10 training clips: few (7)", Uneven: "many has 93 training clips and few 7",
			ClosedSet: "every sound is taken for one of the labels", Noted: "1 sound file(s) that are in no class folder",
		}},
	} {
		s := c.f.open(Options{Unknown: 0.1})
		survey, err := s.Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		found := map[FindingKind]string{}
		r := s.Report(survey, 0.3)
		for _, f := range r.Findings {
			found[f.Kind] += f.Text + "\n"
		}
		for kind, text := range c.want {
			if !strings.Contains(found[kind], text) {
				t.Errorf("%s: %q does not say %q", kind, found[kind], text)
			}
		}
		if len(found) != len(c.want) || len(r.Labels) != len(s.Labels) || r.Rule == "" {
			t.Errorf("%d findings, %d labels, rule %q: %q", len(found), len(r.Labels), r.Rule, found)
		}
		if c.f == bad && !strings.Contains(found[TooFew], "7 validation clips is uncertain by up to 37 points") {
			t.Errorf("%q", found[TooFew])
		}
	}
}

// TestReportOfRecordings: seconds are those of the clips, what cannot be read does not count, and of what is left out
// nothing is left out in silence.
func TestReportOfRecordings(t *testing.T) {
	f := newFolder(t)
	minute := func(hz float64) []float32 { return tone(hz, 0.3, 60*testRate) }
	for i := range 3 {
		name := fmt.Sprintf("day%d", i)
		f.sound(name+".wav", minute(300+float64(i)))
		f.write(name+".txt", "1.0\t3.0\tknock\n5\t5.5\tbell\n59.5\t61\tbell\n")
	}
	f.write("day0.txt", "1.0\t3.0\tknock\n5\t5.5\tbell\n100\t101\tbell\n")
	f.sound("hum/long.wav", tone(440, 0.3, 660*testRate))
	for i := range 4 {
		f.sound(fmt.Sprintf("hum/%d.wav", i), tone(440+float64(i), 0.3, testRate))
		f.write(fmt.Sprintf("hum/broken%d.wav", i), fmt.Sprint("RIFF", i))
	}
	f.write("hum/phone.m4a", "x")
	f.write("hum/.hidden/phone.M4A", "x")
	f.write("hum/video.MP4", "x")
	s := f.open(Options{})
	survey, err := s.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Report(survey, 2)
	for i, want := range []struct {
		label   string
		seconds float64
		clips   int
	}{{"bell", 2.5, 5}, {"hum", 664, 5}, {"knock", 6, 3}} {
		l := r.Labels[i]
		if l.Label != want.label || math.Abs(l.Seconds-want.seconds) > 0.01 || l.Train+l.Valid+l.Test != want.clips {
			t.Errorf("%+v instead of %+v", l, want)
		}
	}
	if r.Longest != 660 || !strings.HasSuffix(r.File, "long.wav") {
		t.Errorf("the longest clip has %g s, %s", r.Longest, r.File)
	}
	found := ""
	for _, f := range r.Findings {
		found += string(f.Kind) + ": " + f.Text + "\n"
	}
	for _, want := range []string{
		"unreadable: 4 file(s) cannot be read and are skipped: " +
			f.path("hum/broken0.wav") + ": damaged sound file: ends inside its",
		"unreadable: 1 file(s) end before clips that their cue points or label tracks state, which are skipped: " +
			f.path("day0.wav") + "\n",
		"note: ignored 2 file(s) of sound formats that are not read, which an installed ffmpeg decodes with " +
			"--decode-with ffmpeg: hum/phone.m4a, hum/video.MP4\n",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("%q does not say %q", found, want)
		}
	}
	if n := s.Divide(survey, 2, 1); n != 1 {
		t.Errorf("%d recordings are divided", n)
	}
	last := 0.0
	for _, it := range s.Items {
		if strings.HasSuffix(it.Path, "long.wav") {
			last = max(last, it.Part.To)
		}
	}
	if last != 660 {
		t.Errorf("the last window ends at %g s", last)
	}
}
