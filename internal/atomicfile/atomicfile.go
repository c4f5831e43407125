// Package atomicfile writes files whole or not at all.
package atomicfile

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes the file at path of what write gives it, with permissions mode. The bytes go to a hidden file beside it,
// which replaces it once they are on the disk. After an error, path is as it was and the hidden file is
// gone. The writer is an io.WriteSeeker, too.
func Write(path string, mode fs.FileMode, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".polyphon-*") // path's own name may be as long as names can be
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
