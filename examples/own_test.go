package examples

import (
	"path/filepath"
	"testing"
)

func TestOwnSoundsStory(t *testing.T) {
	want := []map[string]int{ // files by pattern after each command
		nil,
		{"kitchen/*/*.wav": 30, "week/*.wav": 4, "week/*.txt": 4},
		{"kitchen.safetensors": 1},
		nil,
		{"crossed.safetensors": 1, "*.fold*": 0},
		{"week.html": 1},
		{"week.safetensors": 1},
	}
	commands := 0
	tell(t, "own-sounds.md", func(s *story, i int, command string) {
		if commands++; i >= len(want) {
			t.Fatalf("what %s should do is not known", command)
		}
		for pattern, n := range want[i] {
			names, err := filepath.Glob(filepath.Join(s.dir, pattern))
			if err != nil || len(names) != n {
				t.Errorf("%s: %d of %s, want %d, %v", command, len(names), pattern, n, err)
			}
		}
	})
	if commands != len(want) {
		t.Errorf("%d commands, want %d", commands, len(want))
	}
}
