package examples

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

// story runs the commands of a page of docs, word by word, as somebody with a home of her own would.
type story struct {
	t    *testing.T
	dir  string // that the next command runs in
	home string
	env  []string
}

// tell runs the commands of the page. check is called after each with its number, from 0.
func tell(t *testing.T, page string, check func(s *story, i int, command string)) {
	t.Helper()
	need.Long(t, "builds programs and trains")
	if runtime.GOOS == "windows" {
		need.Platform(t, "the commands are a shell's")
	}
	text, err := os.ReadFile(filepath.Join("..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin, "../cmd/classify", "../cmd/train").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	caches, err := exec.Command("go", "env", "GOCACHE", "GOPATH").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, path, _ := strings.Cut(strings.TrimSpace(string(caches)), "\n")
	s := &story{t: t, dir: "..", home: t.TempDir()}
	s.env = append(os.Environ(), "HOME="+s.home, "GOCACHE="+cache, "GOPATH="+path,
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	i := 0
	for block := range strings.SplitSeq(string(text), "```") {
		commands, ok := strings.CutPrefix(block, "sh\n")
		if !ok {
			continue
		}
		for command := range strings.Lines(commands) {
			command = strings.TrimSpace(command)
			if folder, ok := strings.CutPrefix(command, "cd ~/"); ok {
				s.dir = filepath.Join(s.home, folder)
				continue
			}
			if strings.HasPrefix(command, "train review ") {
				s.review(command)
			} else if out, err := s.command(command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
			check(s, i, command)
			i++
		}
	}
}

func (s *story) command(command string) *exec.Cmd {
	c := exec.CommandContext(s.t.Context(), "bash", "-c", "exec "+command)
	if strings.Contains(command, "||") {
		c.Args[2] = command
	}
	c.Dir, c.Env = s.dir, s.env
	return c
}

// review starts a review, says of every clip that it is what it was taken for, and ends it.
func (s *story) review(command string) {
	s.t.Helper()
	c := s.command(command)
	var said strings.Builder
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatalf("%s: %v", command, err)
	}
	address, token, _ := strings.Cut(strings.TrimSpace(line), "/#")
	ask := func(method, path, body string, answer any) {
		q, err := http.NewRequest(method, address+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			s.t.Fatal(err)
		}
		defer r.Body.Close()
		if err := json.NewDecoder(r.Body).Decode(answer); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, path, r.Status, err)
		}
	}
	var list struct{ Clips []struct{ Folder string } }
	ask("GET", "/v1/clips", "", &list)
	for i, clip := range list.Clips {
		ask("POST", fmt.Sprintf("/v1/clips/%d", i), fmt.Sprintf(`{"folder":%q}`, clip.Folder), new(struct{ Filed string }))
	}
	c.Process.Signal(os.Interrupt)
	if err := c.Wait(); err != nil || len(list.Clips) == 0 {
		s.t.Fatalf("%s: %v, %d clips: %s", command, err, len(list.Clips), said.String())
	}
}

func TestSortingStory(t *testing.T) {
	want := []map[string]int{ // files by pattern after each command; -1 is any number but 0
		{"field/clips/*/*": 48},
		{"field.safetensors": 1},
		{"sorted/cricket/*": 3, "sorted/frog/*": 3, "sorted/motor/*": 3, "sorted/rain/*": 3, "card/*/*": 13},
		{"sorted/*/*": 12},
		{"sorted/*": 0, "card/*/*": 13},
		{"sorted/cricket/*": 3, "sorted/frog/*": 3, "sorted/motor": 0, "sorted/rain": 0},
		{"found/*/*.wav": -1, "found/saved.ndjson": 1},
		{"clips/reviewed.ndjson": 1},
		{"better.safetensors": 1},
	}
	clips := 0
	tell(t, "sorting.md", func(s *story, i int, command string) {
		if i >= len(want) {
			t.Fatalf("what %s should do is not known", command)
		}
		for pattern, n := range want[i] {
			if i == 0 { // it is not in the folder yet
				pattern = filepath.Join(s.home, pattern)
			} else {
				pattern = filepath.Join(s.dir, pattern)
			}
			names, err := filepath.Glob(pattern)
			if got := len(names); err != nil || got != n && (n >= 0 || got == 0) {
				t.Errorf("%s: %d of %s, want %d, %v", command, got, pattern, n, err)
			}
		}
		names, _ := filepath.Glob(filepath.Join(s.dir, "clips", "*", "*.wav"))
		if before := clips; strings.HasPrefix(command, "train review ") && len(names) <= before {
			t.Errorf("%d clips to train on after the review, there were %d", len(names), before)
		}
		clips = len(names)
	})
}
