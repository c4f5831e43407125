package atomicfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	say := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			if _, err := io.WriteString(w, text); err != nil {
				return err
			}
			return err
		}
	}
	if err := Write(path, 0o600, say("first", nil)); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := Write(path, 0o600, say("half of the sec", broken)); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "first" {
		t.Errorf("after a failure the file holds %q, %v", text, err)
	}
	if err := Write(path, 0o600, say("second", nil)); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "second" {
		t.Errorf("the file holds %q", text)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	if err := Write(filepath.Join(path, "below", "a file"), 0o600, say("", nil)); err == nil {
		t.Error("a folder that does not exist is no error")
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{filepath.Dir(path), filepath.Join(filepath.Dir(path), "none", "file")} {
		if err := Check(bad); err == nil {
			t.Errorf("%s can be written", bad)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("%d files are left by the checks", len(entries))
	}
}
