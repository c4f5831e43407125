package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// text returns a function that writes a text and then fails with err, unless that is nil.
func text(text string, err error) func(io.Writer) error {
	return func(w io.Writer) error {
		_, failed := io.WriteString(w, text)
		return errors.Join(failed, err)
	}
}

// holds fails the test unless a file has the content.
func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
}

// entries fails the test unless a folder has so many entries: a hidden file that is left is one.
func entries(t *testing.T, dir string, want int) {
	t.Helper()
	if list, err := os.ReadDir(dir); err != nil || len(list) != want {
		t.Errorf("%s has %v, %v, want %d entries", dir, list, err, want)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := Write(path, text("first", nil)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := Write(path, text("half of the sec", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	holds(t, path, "first")
	if err := Write(path, text("second", nil)); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "second")
	if err := Check(path); err != nil {
		t.Error(err)
	}
	holds(t, path, "second")
	entries(t, filepath.Dir(path), 1)
}

// TestCreate makes new files only, by writing, copying and renaming.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path, other, third := filepath.Join(dir, "file"), filepath.Join(dir, "other"), filepath.Join(dir, "third")
	broken := errors.New("broken")
	if err := Create(path, text("half", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	entries(t, dir, 0)
	if err := Create(path, text("first", nil)); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1e9, 0)
	os.Chtimes(path, at, at)
	if err := Copy(path, other); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(other); err != nil || !info.ModTime().Equal(at) {
		t.Errorf("%v, %v", info, err)
	}
	os.WriteFile(other, []byte("second"), 0o644)
	os.Symlink("nowhere", third)
	for _, to := range []string{other, third, path, dir} {
		for _, err := range []error{Create(to, text("x", nil)), Copy(path, to), Rename(path, to)} {
			if p, ok := errors.AsType[*fs.PathError](err); !errors.Is(err, fs.ErrExist) || !ok || p.Path != to {
				t.Errorf("%s: %v", to, err)
			}
		}
	}
	holds(t, path, "first")
	holds(t, other, "second")
	os.Remove(third)
	if err := Rename(other, third); err != nil {
		t.Error(err)
	}
	holds(t, third, "second")
	entries(t, dir, 2)
	none := filepath.Join(dir, "none")
	for _, err := range []error{Copy(none, other), Rename(none, other), Copy(path, filepath.Join(none, "x"))} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
	entries(t, dir, 2)
}

// TestErrorsNameTheFile: the hidden file is nobody's business.
func TestErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	err := Write(path, func(w io.Writer) error {
		w.(io.Closer).Close()
		return text("lost", nil)(w)
	})
	if want := "cannot write " + path + ": file already closed"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// TestBadTargets has neither Write nor Check make what cannot be made, and both name it.
func TestBadTargets(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o644)
	os.Symlink("loop", filepath.Join(dir, "loop"))
	os.Symlink(".", filepath.Join(dir, "folder"))
	for name, reason := range map[string]string{
		"":          "it is a folder, not a file",
		"folder":    "it is a folder, not a file",
		"none/file": "no such file or directory",
		"file/file": "not a directory",
		"loop":      "too many levels of symbolic links",
	} {
		path := filepath.Join(dir, name)
		for what, err := range map[string]error{"Write": Write(path, text("x", nil)), "Check": Check(path)} {
			if p, ok := errors.AsType[*fs.PathError](err); !ok || p.Path != path || p.Err.Error() != reason {
				t.Errorf("%s: %s: %v, want %q", what, path, err, reason)
			}
		}
	}
	holds(t, file, "")
	entries(t, dir, 3)
}

// TestAbandon ends writes from outside. It is the last one: no file is written afterwards.
func TestAbandon(t *testing.T) {
	t.Cleanup(func() { hidden.abandoned = false })
	path := filepath.Join(t.TempDir(), "file")
	os.WriteFile(path, []byte("first"), 0o644)
	err := Write(path, func(w io.Writer) error {
		Abandon()
		return text("second", nil)(w)
	})
	if !errors.Is(err, errAbandoned) || !errors.Is(Write(path, text("third", nil)), errAbandoned) {
		t.Errorf("got %v", err)
	}
	holds(t, path, "first")
	entries(t, filepath.Dir(path), 1)
}
