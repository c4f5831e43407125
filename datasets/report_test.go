package datasets

import (
	"fmt"
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
			TooFew: "fewer than 10 training clips: few (7)", Uneven: "many has 94 training clips and few 7",
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
