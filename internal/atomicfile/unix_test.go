//go:build unix

package atomicfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestModes compares permissions with those that a shell's redirection would give.
func TestModes(t *testing.T) {
	for _, umask := range []int{0o022, 0o077, 0o002, 0} {
		before := syscall.Umask(umask)
		defer syscall.Umask(before)
		dir := t.TempDir()
		for _, mode := range []fs.FileMode{0, 0o600, 0o644, 0o664, 0o755, 0o666} { // 0: no file
			path, want := filepath.Join(dir, fmt.Sprintf("%o", mode)), mode
			if mode == 0 {
				want = 0o666 &^ fs.FileMode(umask)
			} else {
				os.WriteFile(path, nil, 0o600)
				os.Chmod(path, mode)
			}
			if err := Write(path, text("x", nil)); err != nil {
				t.Error(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("umask %o, mode %o: got %v, want %v", umask, mode, info.Mode(), want)
			}
		}
	}
}

// TestLinks writes through links, which stay.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b", "c"} {
		os.MkdirAll(filepath.Join(dir, d), 0o755)
	}
	for link, to := range map[string]string{
		"link":     "c/file",
		"a/up":     "../c/up",
		"absolute": filepath.Join(dir, "c", "absolute"),
		"chain":    "link2",
		"link2":    "a/b/chain",
		"way":      "a/b",
		"c/back":   "../way/../back", // a/back, not back
		"dangling": "c/new",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for link, file := range map[string]string{
		"link": "c/file", "a/up": "c/up", "absolute": "c/absolute", "chain": "a/b/chain", "c/back": "a/back",
		"dangling": "c/new", "way/plain": "a/b/plain",
	} {
		for _, content := range []string{"first", "second"} {
			for _, err := range []error{
				Check(filepath.Join(dir, link)), Write(filepath.Join(dir, link), text(content, nil)),
			} {
				if err != nil {
					t.Errorf("%s: %v", link, err)
				}
			}
			holds(t, filepath.Join(dir, file), content)
		}
		if info, err := os.Lstat(filepath.Join(dir, link)); err != nil ||
			link != "way/plain" && info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s: %v, %v", link, info, err)
		}
	}
	entries(t, filepath.Join(dir, "c"), 5)
	entries(t, filepath.Join(dir, "a", "b"), 2)
}

// TestDevices writes into what is no regular file.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	fifo, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	os.Symlink("fifo", link)
	for _, path := range []string{fifo, link} {
		read := make(chan string)
		go func() {
			content, _ := os.ReadFile(fifo)
			read <- string(content)
		}()
		if err := Check(path); err != nil {
			t.Error(err)
		}
		if err := Write(path, text("through", nil)); err != nil {
			t.Error(err)
		}
		if got := <-read; got != "through" {
			t.Errorf("%s: read %q", path, got)
		}
	}
	if !InPlace(link) || InPlace(filepath.Join(dir, "file")) {
		t.Error("InPlace is wrong")
	}
	for _, path := range []string{"/dev/null", "/dev/stdout", "/dev/stderr"} {
		if err := Check(path); err != nil {
			t.Error(err)
		}
		if err := Write(path, text("", nil)); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || !InPlace(path) {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if info, err := os.Lstat("/dev/null"); err != nil || info.Mode()&fs.ModeDevice == 0 {
		t.Errorf("/dev/null is %v, %v", info.Mode(), err)
	}
	if err := Write("/dev/full", text("x", nil)); err == nil {
		t.Error("a full device is no error")
	}
	entries(t, dir, 2)
}

// TestStandardOutputInAFile appends to what this process has written there.
func TestStandardOutputInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func(was *os.File) { os.Stdout = was }(os.Stdout)
	os.Stdout = f
	fmt.Print("before ")
	if err := Write(path, text("model", nil)); err != nil {
		t.Error(err)
	}
	fmt.Print(" after")
	holds(t, path, "before model after")
}
