package report

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/polyphon/polyphon/internal/need"
)

// put returns what writes a folder of one file.
func put(name, content string) func(*folder) error {
	return func(f *folder) error { return f.write(name, []byte(content)) }
}

// listing returns the names in a folder.
func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestFolder writes where nothing is, where there is an empty folder, and over an earlier report.
func TestFolder(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "report")
	check := func(want ...string) {
		t.Helper()
		if got := listing(t, path); !slices.Equal(got, want) {
			t.Errorf("the folder has %v, want %v", got, want)
		}
		if got := listing(t, home); !slices.Equal(got, []string{"report"}) {
			t.Errorf("beside it lie %v", got)
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.png", "b.png"} {
		if err := errors.Join(CheckFolder(path, false), writeFolder(path, false, put(name, "x"))); err != nil {
			t.Fatal(err)
		}
		check(name, manifest)
	}
	if err := os.WriteFile(filepath.Join(path, "thesis.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{CheckFolder(path, false), writeFolder(path, false, put("c.png", "x"))} {
		if !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), "thesis.txt") {
			t.Errorf("a folder with another file: error %v", err)
		}
	}
	check("b.png", manifest, "thesis.txt")
	if err := errors.Join(CheckFolder(path, true), writeFolder(path, true, put("c.png", "x"))); err != nil {
		t.Fatal(err)
	}
	check("c.png", manifest)
	if err := os.Mkdir(filepath.Join(path, "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{CheckFolder(path, true), writeFolder(path, true, put("d.png", "x"))} {
		if !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), "photos") {
			t.Errorf("a folder with a folder: error %v", err)
		}
	}
	check("c.png", manifest, "photos")
}

// TestFolderWholeOrNotAtAll fails in the middle.
func TestFolderWholeOrNotAtAll(t *testing.T) {
	home := t.TempDir()
	path, broken := filepath.Join(home, "report"), errors.New("disk full")
	half := func(f *folder) error { return errors.Join(f.write("a.png", nil), broken) }
	if err := writeFolder(path, false, half); !errors.Is(err, broken) || len(listing(t, home)) != 0 {
		t.Errorf("error %v, %v is left", err, listing(t, home))
	}
	if err := writeFolder(path, false, put("old.png", "x")); err != nil {
		t.Fatal(err)
	}
	if err := writeFolder(path, false, half); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if got := listing(t, path); !slices.Equal(got, []string{manifest, "old.png"}) || len(listing(t, home)) != 1 {
		t.Errorf("the earlier report has become %v, beside it lie %v", got, listing(t, home))
	}
}

func TestFolderRefusals(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(home, "missing", "report"), filepath.Join(file, "report")} {
		if err := CheckFolder(path, true); !errors.Is(err, ErrFolder) {
			t.Errorf("%s: error %v", path, err)
		}
	}
	if got := listing(t, home); !slices.Equal(got, []string{"file"}) {
		t.Errorf("%v is left", got)
	}
}

// TestFolderBehindLink replaces what a link leads to, and leaves the link.
func TestFolderBehindLink(t *testing.T) {
	home := t.TempDir()
	link, path := filepath.Join(home, "link"), filepath.Join(home, "report")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	need.Host(t, "a symbolic link", os.Symlink(path, link))
	if err := writeFolder(link, false, put("a.png", "x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	if got := listing(t, path); err != nil || info.Mode()&os.ModeSymlink == 0 || len(got) != 2 {
		t.Errorf("the link is %v, error %v, the folder has %v", info.Mode(), err, got)
	}
}
