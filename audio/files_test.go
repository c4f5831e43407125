package audio

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

// plant makes files, folders (names that end with "/") and links ("link -> target") below a new folder. The "/" that a
// target begins with stands for the new folder.
func plant(t *testing.T, entries ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, entry := range entries {
		name, target, link := strings.Cut(entry, " -> ")
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			if strings.HasPrefix(target, "/") {
				target = filepath.Join(dir, target)
			}
			need.Host(t, "symbolic links", os.Symlink(filepath.FromSlash(target), path))
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o700)
		default:
			err = os.WriteFile(path, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// walked returns what Files yields below root: the files' Rel, with "! " before it where there is an error.
func walked(t *testing.T, root string) []string {
	t.Helper()
	var got []string
	for f, err := range Files(root) {
		if err != nil {
			if !strings.Contains(err.Error(), f.Path) {
				t.Errorf("error %q does not name %s", err, f.Path)
			}
			got = append(got, "! "+f.Rel)
			continue
		}
		if info, err := os.Stat(f.Path); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s cannot be opened as a file: %v", f.Path, err)
		}
		got = append(got, f.Rel)
	}
	return got
}

func TestFiles(t *testing.T) {
	for _, c := range []struct {
		name string
		root string // below the new folder
		tree []string
		want []string
	}{
		{"sorted by components", "", []string{"b.wav", "a/2.wav", "a/1.flac", "a-b.wav", "a.WAVE", "c/d/e.Wav"},
			[]string{"a/1.flac", "a/2.wav", "a-b.wav", "a.WAVE", "b.wav", "c/d/e.Wav"}},
		{"by extension", "", []string{"a.m4a", "b.txt", "wav", "c.wav.bak", "d.wav"}, []string{"d.wav"}},
		{"hidden", "", []string{".git/a.wav", "._x.wav", ".x.wav", "__MACOSX/b.wav", "c/._d.wav", "c/d.wav"},
			[]string{"c/d.wav"}},
		{"of file systems", "",
			[]string{"lost+found/a.wav", "$RECYCLE.BIN/b.wav", "System Volume Information/c.wav", "d.wav"},
			[]string{"d.wav"}},
		{"hidden root", ".cache", []string{".cache/a.wav", ".cache/.b.wav"}, []string{"a.wav"}},
		{"empty", "", []string{"a/b/", "c/"}, nil},
		{"a folder with a sound's name", "", []string{"a.wav/b.wav", "c.flac/"}, []string{"a.wav/b.wav"}},
		{"Unicode", "", []string{"žluťoučký kůň.wav", "日本/音.flac", "a b\tc.wav"},
			[]string{"a b\tc.wav", "žluťoučký kůň.wav", "日本/音.flac"}},
		{"a file", "b/x.bin", []string{"b/x.bin"}, []string{"x.bin"}},
		{"a link to a file", "l.bin", []string{"b/x.wav", "l.bin -> b/x.wav"}, []string{"l.bin"}},
		{"no root", "none/at.wav", nil, []string{"! at.wav"}},
		{"a root that leads nowhere", "l", []string{"l -> none"}, []string{"! l"}},
		{"a linked root", "l", []string{"b/c/x.wav", "l -> b"}, []string{"c/x.wav"}},

		{"links to files", "",
			[]string{"a/x.wav", "b/y.wav -> ../a/x.wav", "b/z.wav -> y.wav", "b/z -> y.wav", "c.wav -> /a/x.wav"},
			[]string{"a/x.wav", "b/y.wav", "b/z.wav", "c.wav"}},
		{"links that lead nowhere", "", []string{"a.wav -> none", "b -> none", "c.wav -> c.wav", "d -> d", "e.wav"},
			[]string{"! a.wav", "! c.wav", "e.wav"}},
		{"a link to a folder", "r", []string{"out/x.wav", "r/l -> ../out", "r/m.wav -> /out", "r/y.wav"},
			[]string{"l/x.wav", "y.wav"}},
		{"circles", "r",
			[]string{"r/a/x.wav", "r/a/up -> ..", "r/a/same -> .", "r/b -> a", "r/z -> /r", "r/out -> ../out",
				"out/in -> ../r", "out/y.wav"},
			[]string{"a/x.wav", "out/y.wav"}},
		{"a linked root in a circle", "l", []string{"r/x.wav", "r/back -> ../l", "l -> r"}, []string{"x.wav"}},
		{"a folder that a link comes to first", "", []string{"a -> z", "z/x.wav", "z/sub/y.wav", "b -> z/sub"},
			[]string{"z/sub/y.wav", "z/x.wav"}},
		{"links to folders elsewhere, one in the other", "r",
			[]string{"r/a -> ../out/in/deep", "r/b -> ../out", "r/c -> ../out/in", "out/in/deep/x.wav", "out/y.wav"},
			[]string{"a/x.wav", "b/y.wav"}},
		{"a link into a folder that another link led to", "r",
			[]string{"r/a -> ../out", "r/b -> ../out/in", "out/in/x.wav", "out/.h/y.wav", "r/c -> ../out/.h"},
			[]string{"a/in/x.wav", "c/y.wav"}},
		{"a link into a hidden folder", "", []string{".h/x.wav", "a -> .h"}, []string{"a/x.wav"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(plant(t, c.tree...), filepath.FromSlash(c.root))
			if got := walked(t, root); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestFilesOfFoldersReadSeveralTimes holds so few names that a folder has to be read again for others.
func TestFilesOfFoldersReadSeveralTimes(t *testing.T) {
	var tree, want []string
	for i := range 60 {
		name := fmt.Sprintf("%c/%d.wav", 'a'+i%3, i*37%60)
		tree, want = append(tree, name, fmt.Sprintf("%d.txt", i), fmt.Sprintf("b%d/", i)), append(want, name)
	}
	root := plant(t, append(tree, "c.wav", "z.wav -> a/0.wav", "b/y -> ../c")...)
	want = append(want, "c.wav", "z.wav")
	slices.SortFunc(want, func(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) })
	for most := 2; most < 50; most++ {
		var got []string
		w := walker{roots: map[string]bool{root: true}, most: most, yield: func(f File, err error) bool {
			if err != nil {
				t.Error(err)
			}
			got = append(got, f.Rel)
			return true
		}}
		w.enter(File{Path: root}, root)
		if !slices.Equal(got, want) {
			t.Fatalf("%d names at a time: %q, want %q", most, got, want)
		}
	}
}

// TestFilesBelowARelativeRoot has links to the root's absolute path.
func TestFilesBelowARelativeRoot(t *testing.T) {
	t.Chdir(plant(t, "x.wav", "a/back -> /", "a/y.wav"))
	var paths []string
	for f, err := range Files(".") {
		if err != nil {
			t.Error(err)
		}
		paths = append(paths, filepath.ToSlash(f.Path))
	}
	if want := []string{"a/y.wav", "x.wav"}; !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
}

// TestFilesStop breaks off after each number of files and errors.
func TestFilesStop(t *testing.T) {
	root := plant(t, "a/b/1.wav", "a/b/2.wav", "a/3.wav -> none", "a/4.wav", "5.wav")
	for stop := 1; stop <= 5; stop++ {
		n := 0
		for range Files(root) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("stopped after %d, not %d", n, stop)
		}
	}
}

// TestFilesGoOnAfterAFolder goes on after folders that cannot be read: one without permission, which the superuser does
// not need, and one with too long a path.
func TestFilesGoOnAfterAFolder(t *testing.T) {
	root := plant(t, "a/locked/x.wav", "a/y.wav", "deep/", "l -> a/locked/sub", "z.wav")
	if err := os.Mkdir(filepath.Join(root, "a/locked/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := os.OpenRoot(filepath.Join(root, "deep"))
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 200)
	for range 25 {
		if err := dir.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
		below, err := dir.OpenRoot(name)
		dir.Close()
		need.Host(t, "deep folders", err)
		dir = below
	}
	dir.Close()
	locked := filepath.Join(root, "a", "locked")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(locked, 0o700) })
	want := []string{"a/y.wav", "z.wav"}
	if _, err := os.ReadDir(locked); err == nil {
		want = []string{"a/locked/x.wav", "a/y.wav", "z.wav"}
	}
	var got []string
	var failed []error
	for f, err := range Files(root) {
		if err == nil {
			got = append(got, f.Rel)
		} else if failed = append(failed, err); !strings.Contains(err.Error(), f.Path) {
			t.Errorf("error %q does not name %s", err, f.Path)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q; errors %v", got, want, failed)
	}
	permission := func(err error) bool { return errors.Is(err, fs.ErrPermission) }
	if refused := slices.ContainsFunc(failed, permission); refused != (len(want) == 2) {
		t.Errorf("a folder without permission: %t, errors %v", refused, failed)
	}
	if slices.IndexFunc(failed, func(err error) bool { return !permission(err) }) < 0 {
		t.Error("no error of the folder with a long path")
	}
}

// TestFilesOfALargeFolder: names are sorted, and cost little more than their bytes.
func TestFilesOfALargeFolder(t *testing.T) {
	const files, perFile = 20000, 40 // bytes; names have 23
	root := t.TempDir()
	for i := range files {
		name := fmt.Sprintf("recording-%08d.wav", i*7919%files)
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			os.WriteFile(filepath.Join(root, name+".txt"), nil, 0o600)
		}
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before, n := heap(), 0
	for f, err := range Files(root) {
		if want := fmt.Sprintf("recording-%08d.wav", n); err != nil || f.Rel != want {
			t.Fatalf("%s (%v), want %s", f.Rel, err, want)
		}
		if n++; n == files/2 {
			if grown := heap() - before; grown > perFile*files {
				t.Errorf("%d bytes for %d files", grown, files)
			}
		}
	}
	if n != files {
		t.Errorf("%d files, want %d", n, files)
	}
}
