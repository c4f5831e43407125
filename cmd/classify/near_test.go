package main

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/records"
)

// TestSaveNear saves near misses of files and of live sound, and a list of all that is saved.
func TestSaveNear(t *testing.T) {
	folder(t, map[string][]byte{"a.wav": wav(threeSounds())})
	for _, c := range []struct {
		threshold, folder string
		events            int
	}{{"1", "c/_near_/loud", 0}, {"0.7", "c/loud", 3}} {
		for _, live := range []bool{false, true} {
			t.Run(c.threshold, func(t *testing.T) {
				folder(t, map[string][]byte{"a.wav": wav(threeSounds())})
				args := []string{"--format", "ndjson", "--threshold", c.threshold, "--near", "0.3", "--save", "c", "--only", "loud"}
				args = append(args, "--pre-roll", "0.5")
				var out string
				var status int
				if live {
					args = append(args, "--exec", "touch {label}")
					status, out, _ = stream(t, bytes.NewReader(raw(audio.S16LE, threeSounds())), args...)
				} else {
					status, out, _ = events(t, nil, append(args, "a.wav")...)
				}
				expect(t, "status", status, statusOK)
				expect(t, "events", strings.Count(out, `"detection"`), c.events)
				lines := parse(t, out)
				expect(t, "counted", lines[len(lines)-1].Events, c.events)
				files := tree(t, "c")
				expect(t, "files", len(files), 3)
				list := strings.Split(strings.TrimSpace(read(t, "c/"+records.SavedName)), "\n")
				expect(t, "list", len(list), 3)
				for i, line := range list {
					var s records.Saved
					if err := json.Unmarshal([]byte(line), &s); err != nil {
						t.Fatal(err)
					}
					expect(t, "spec and near", []any{s.Spec, s.Near}, []any{records.Spec, c.events == 0})
					expect(t, "folder", path.Dir("c/"+string(s.Clip)), c.folder)
					expect(t, "file", strings.Contains(strings.Join(files, " "), string(s.Clip)), true)
					expect(t, "label", s.Label, "loud")
					expect(t, "source", string(s.File), map[bool]string{false: "a.wav", true: "stdin"}[live])
					expect(t, "clock", s.Clock != "", live)
					begins := float64(s.Begins)
					if begins > threeEvents[i][0]-0.3 || float64(s.Start) < begins {
						t.Errorf("event %d at %v begins at %v", i, s.Start, s.Begins)
					}
					comment := readSaved(t, "c/"+string(s.Clip)).comment
					expect(t, "comment", strings.HasPrefix(comment, "near miss: p="), c.events == 0)
				}
			})
		}
	}
	status, _, errs := events(t, nil, "--near", "0.3", "a.wav")
	expect(t, "without --save", status, statusUsage)
	contains(t, "without --save", errs, "--near and --pre-roll are about")
	status, _, errs = events(t, nil, "--near", "1.3", "--save", "c", "a.wav")
	expect(t, "beyond 1", status, statusUsage)
	contains(t, "beyond 1", errs, "near misses from 1.3 on, a probability from 0 to 1")
	status, _, errs = events(t, nil, "--pre-roll", "31", "--save", "c", "a.wav")
	expect(t, "a long pre-roll", status, statusUsage)
	contains(t, "a long pre-roll", errs, "a pre-roll of 31 s, at most 30 are possible")
}
