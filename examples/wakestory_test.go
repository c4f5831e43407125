package examples

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/polynet"
)

func TestWakeStory(t *testing.T) {
	want := []struct {
		labels string         // of mine.safetensors after each command, but for _unknown_
		says   map[string]int // of classify, run again: at least so many lines with these words
	}{
		{},
		{labels: "sesame"},
		{"sesame", map[string]int{" sesame ": 9}},
		{labels: "sesame iota"},
		{"sesame iota", map[string]int{" sesame ": 9, " iota ": 9}},
		{labels: "sesame iota"},
		{labels: "sesame"},
		{labels: "sesame"},
		{"sesame", map[string]int{" sesame ": 2}},
	}
	tell(t, "wake.md", func(s *story, i int, command string) {
		if i >= len(want) {
			t.Fatalf("what %s should do is not known", command)
		}
		if labels := want[i].labels; labels != "" {
			m, err := polynet.Load(filepath.Join(s.dir, "mine.safetensors"))
			if err != nil || strings.Join(m.Labels, " ") != labels+" _unknown_" {
				t.Fatalf("%s: %v, %v", command, m, err)
			}
		}
		if says := want[i].says; says != nil {
			out, err := s.command(command).Output()
			for word, n := range says {
				if got := strings.Count(string(out), word); err != nil || got < n || n == 2 && got > n {
					t.Errorf("%s: %d of %q, want %d, %v\n%s", command, got, word, n, err, out)
				}
			}
		}
	})
}
