package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

// names returns the names of a listing's inputs, with "! " before those that cannot be classified.
func (l listing) names() (names []string) {
	for in := range l.all {
		if l.share.holds(in) {
			mark := ""
			if in.err != nil {
				mark = "! "
			}
			names = append(names, mark+filepath.ToSlash(in.name))
		}
	}
	return names
}

func TestListing(t *testing.T) {
	folder(t, map[string][]byte{
		"b/2.wav": nil, "b/1.flac": nil, "b/deep/er/x.WAV": nil, "b/notes.txt": nil, "a.bin": nil, "empty/x.txt": nil,
	})
	need.Host(t, "symbolic links", os.Symlink("b", "link"))
	for _, c := range []struct {
		paths string
		want  []string
	}{
		{"b", []string{"b/1.flac", "b/2.wav", "b/deep/er/x.WAV"}},
		{"b/", []string{"b/1.flac", "b/2.wav", "b/deep/er/x.WAV"}},
		{"link", []string{"link/1.flac", "link/2.wav", "link/deep/er/x.WAV"}},
		{"a.bin b/deep a.bin", []string{"a.bin", "b/deep/er/x.WAV", "a.bin"}},
		{"empty none - b/notes.txt", []string{"! empty", "! none", "-", "b/notes.txt"}},
	} {
		l := listing{paths: strings.Fields(c.paths)}
		expect(t, c.paths, l.names(), c.want)
		s, err := l.survey(t.Context(), nil)
		width := 0
		for _, name := range c.want {
			width = max(width, len(strings.TrimPrefix(name, "! ")))
		}
		expect(t, c.paths+": survey", fmt.Sprint(s, err), fmt.Sprint(survey{len(c.want), width}, nil))
	}
}

// TestListingEndsEarly stops after each number of inputs.
func TestListingEndsEarly(t *testing.T) {
	folder(t, map[string][]byte{"b/1.wav": nil, "b/2.wav": nil, "c/x.txt": nil, "d": nil})
	for stop := 1; stop <= 4; stop++ {
		n := 0
		for range (listing{paths: []string{"b", "c", "d"}}).all {
			if n++; n == stop {
				break
			}
		}
		expect(t, "inputs", n, stop)
	}
}

func TestInputsThatWouldShareAResultFile(t *testing.T) {
	folder(t, map[string][]byte{
		"a/x.wav": nil, "a/n/y.wav": nil, "b/n/y.wav": nil, "b/n/z.wav": nil, "x.wav": nil, "failures": nil,
	})
	for _, c := range []struct{ paths, want string }{
		{"a b/n", ""},
		{"a a/n", ""},
		{"a b", "a/n/y.wav and b/n/y.wav would both have their results in r/n/y.wav.csv"},
		{"b a", "b/n/y.wav and a/n/y.wav would both have their results in r/n/y.wav.csv"},
		{"a x.wav", "a/x.wav and x.wav would both have their results in r/x.wav.csv"},
		{"x.wav ./x.wav", "x.wav and ./x.wav would both have their results in r/x.wav.csv"},
		{"b a x.wav b", "b/n/y.wav and a/n/y.wav would both"},
		{"failures", "failures would have its results in r/failures.csv, where the failures are listed"},
		{"none none", ""}, // neither has results
	} {
		for _, share := range []shard{{}, {1, 5}} { // every shard finds it
			out := &results{dir: "r", extension: "csv", list: "failures.csv"}
			_, err := listing{strings.Fields(c.paths), share, nil}.survey(t.Context(), out)
			want := filepath.FromSlash(c.want)
			if want == "" && err != nil || want != "" && !strings.HasPrefix(fmt.Sprint(err), want) {
				t.Errorf("%s: error %v, want %q", c.paths, err, c.want)
			}
		}
	}
}

// TestListingHoldsNoNames bounds the memory for each of many inputs, which matters where there are a million.
func TestListingHoldsNoNames(t *testing.T) {
	const folders, each = 40, 500
	t.Chdir(t.TempDir())
	for i := range folders {
		dir := fmt.Sprintf("rec/%03d", i)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for k := range each {
			if err := os.WriteFile(fmt.Sprintf("%s/recording-%06d.wav", dir, k), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	l := listing{[]string{"rec", "rec/007", "none"}, shard{1, 3}, nil}
	before := heap()
	q := newQueue(l.shared(t.Context()), 1)
	defer q.close()
	n := 0
	for it := q.next(); it != nil; it = q.next() {
		<-q.begun
		if n++; n == each {
			const perInput = 16 // bytes
			if grown := heap() - before - 8*cap(q.begun); grown > perInput*folders*each {
				t.Errorf("%d bytes for %d inputs", grown, folders*each)
			}
		}
	}
	s, err := l.survey(t.Context(), nil)
	expect(t, "inputs", fmt.Sprint(n, err), fmt.Sprint(s.inputs, nil))
	if min := folders * each / 4; n < min {
		t.Errorf("%d inputs in a third, fewer than %d", n, min)
	}
}

// TestUnreadableFolderAmongOthers: the rest is classified, and the status says that something is missing. The superuser
// may read every folder, but none with too long a path.
func TestUnreadableFolderAmongOthers(t *testing.T) {
	model := loudness(t)
	for _, at := range []string{"rec/a", "rec/m", "rec/z", "rec"} {
		sounds := []string{"rec/a/1.wav", "rec/m/2.wav", "rec/z/3.wav", "other.wav"}
		files := map[string][]byte{}
		for _, name := range sounds {
			files[name] = wav(noise(1600, loud))
		}
		folder(t, files)
		deepFolder(t, at)
		for _, out := range []string{"", "r"} {
			args := []string{"--model", model, "--format", "csv", "rec", "other.wav"}
			if out != "" {
				args = append(args, "--out", out)
			}
			status, stdout, errs := classify(t, nil, args...)
			expect(t, at+": status", status, statusFailed)
			contains(t, at+": stderr", errs, "classify: "+at+"/ddd")
			contains(t, at+": stderr", errs, ": file name too long\n")
			if out != "" {
				expect(t, at+": result files", len(tree(t, out)), len(sounds)+1)
				continue
			}
			for _, name := range sounds {
				contains(t, at+": stdout", stdout, name+",")
			}
		}
	}
}

// deepFolder makes folders in a folder until their path is too long for the system.
func deepFolder(t *testing.T, path string) {
	t.Helper()
	dir, err := os.OpenRoot(path)
	for i := 0; i < 25 && err == nil; i++ {
		parent, deeper := dir, strings.Repeat("d", 200)
		if err = parent.Mkdir(deeper, 0o700); err == nil {
			dir, err = parent.OpenRoot(deeper)
		}
		parent.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	dir.Close()
}
