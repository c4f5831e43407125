package filing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/polyphon/polyphon/internal/atomicfile"
)

// undo takes back what do has done, or has begun, if that loses nothing. The error says why it does not.
func (e Entry) undo(to string) error {
	from := string(e.From)
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(from); e.Action == Move && err != nil {
			return errors.New("it is gone, and so is where it came from")
		}
		return nil // undone before, or never done
	}
	if e.Action == Link {
		if target, err := os.Readlink(to); err != nil || target != from {
			return errors.New("it is no longer the link that was made")
		}
		return os.Remove(to)
	}
	_, err := os.Lstat(from)
	switch {
	case err == nil && same(from, to):
		return os.Remove(to)
	case err == nil:
		return fmt.Errorf("it is no longer the same as %s", from)
	case e.Action == Copy:
		return fmt.Errorf("it is the only one, %s is gone", from)
	}
	if err := os.MkdirAll(filepath.Dir(from), 0o777); err != nil {
		return err
	}
	return atomicfile.Rename(to, from)
}

// same reports whether two files are one, or have the same content.
func same(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA != nil || errB != nil || !infoA.Mode().IsRegular() || infoA.Size() != infoB.Size() {
		return false
	}
	return os.SameFile(infoA, infoB) || sameContent(a, b)
}

// sameContent compares files of the same size.
func sameContent(a, b string) bool {
	fileA, err := os.Open(a)
	if err != nil {
		return false
	}
	defer fileA.Close()
	fileB, err := os.Open(b)
	if err != nil {
		return false
	}
	defer fileB.Close()
	partA, partB := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, errA := io.ReadFull(fileA, partA)
		m, errB := io.ReadFull(fileB, partB)
		if errA != errB || !bytes.Equal(partA[:n], partB[:m]) {
			return false
		}
		if errA != nil {
			return errA == io.EOF || errA == io.ErrUnexpectedEOF
		}
	}
}
