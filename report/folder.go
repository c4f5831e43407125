package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// manifest is the file that names the files of a report, one a line, so that another report may replace them.
const manifest = "files.txt"

// CheckFolder returns an error that wraps ErrFolder where no report may be written to path: its folder is missing or
// must not be written to, or something is there that is no earlier report. With force, any folder is replaced together
// with the files in it, but none that has folders in it.
func CheckFolder(path string, force bool) error {
	target, err := resolve(path)
	if err != nil {
		return err
	}
	if err := replaceable(target, force); err != nil {
		return err
	}
	probe, err := makeBeside(target)
	if err != nil {
		return err
	}
	return os.Remove(probe)
}

// resolve returns the path behind symbolic links.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	switch {
	case err == nil:
		return filepath.Abs(target)
	case errors.Is(err, fs.ErrNotExist):
		return filepath.Abs(path)
	}
	return "", fmt.Errorf("%w: %w", ErrFolder, err)
}

// replaceable returns an error where what is at path must stay.
func replaceable(path string, force bool) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err != nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	own, err := os.ReadFile(filepath.Join(path, manifest))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	files := append(strings.Split(string(own), "\n"), manifest)
	for _, e := range entries {
		switch {
		case e.IsDir():
			return fmt.Errorf("%w: %s has the folder %s in it", ErrFolder, path, e.Name())
		case !force && !slices.Contains(files, e.Name()):
			return fmt.Errorf("%w: %s has other things in it, such as %s; --force deletes them",
				ErrFolder, path, e.Name())
		}
	}
	return nil
}

// makeBeside makes a hidden folder beside path.
func makeBeside(path string) (string, error) {
	dir := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%08x", filepath.Base(path), rand.Uint32()))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFolder, err)
	}
	return dir, nil
}

// folder is a report's folder in the making.
type folder struct {
	dir   string
	names []string
}

// writeFolder makes the folder at path of what write puts into it. After an error, path is as it was.
func writeFolder(path string, force bool, write func(*folder) error) (err error) {
	target, err := resolve(path)
	if err != nil {
		return err
	}
	dir, err := makeBeside(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := &folder{dir: dir}
	if err := write(f); err != nil {
		return err
	}
	if err := f.write(manifest, []byte(strings.Join(f.names, "\n")+"\n")); err != nil {
		return err
	}
	if err := replaceable(target, force); err != nil {
		return err
	}
	old := dir + ".old"
	moved := os.Rename(target, old)
	if moved != nil && !errors.Is(moved, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrFolder, moved)
	}
	if err := os.Rename(dir, target); err != nil {
		if moved == nil {
			err = errors.Join(err, os.Rename(old, target))
		}
		return fmt.Errorf("%w: %w", ErrFolder, err)
	}
	return os.RemoveAll(old)
}

// path notes that a file is written, and returns its path.
func (f *folder) path(name string) string {
	f.names = append(f.names, name)
	return filepath.Join(f.dir, name)
}

func (f *folder) write(name string, content []byte) error {
	return os.WriteFile(f.path(name), content, 0o666)
}

// table writes a CSV file of a head and rows.
func (f *folder) table(name string, head []string, rows [][]string) error {
	return f.stream(name, func(w io.Writer) error {
		c := csv.NewWriter(w)
		c.Write(head)
		return c.WriteAll(rows)
	})
}

func (f *folder) stream(name string, write func(io.Writer) error) error {
	file, err := os.Create(f.path(name))
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// number formats a figure of a CSV file.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
