package audio

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"
)

// File is a sound file that Files found, or the file or folder that an error of Files is about.
type File struct {
	Path string // to open
	Rel  string // below the root, with slashes on every system; the base name where the root is no folder
}

// Files yields the sound files in and below root, sorted by the components of their paths.
//
// A root that is a regular file yields itself, whatever its name. In folders, it yields the regular files whose names
// IsAudio accepts. Links are followed, and each real folder is entered once, by its own path where it lies below the
// root, so links in circles do no harm. Hidden entries (".git", the "._x.wav" of macOS), __MACOSX, pipes, sockets and
// devices are left out.
//
// An error comes with the File that it is about, whose path it names: a root that does not exist or is neither a file
// nor a folder, a folder that cannot be read, a link with a sound file's name that leads nowhere. The walk then goes
// on. It holds the names of one folder per level in memory.
func Files(root string) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		f := File{root, filepath.Base(root)}
		info, err := os.Stat(root)
		switch {
		case err != nil:
			yield(f, err)
		case info.Mode().IsRegular():
			yield(f, nil)
		case !info.IsDir():
			yield(f, fmt.Errorf("%w: %s is neither a file nor a folder", ErrFormat, root))
		default:
			target, err := filepath.Abs(root) // comparable with the targets of links
			if err == nil {
				target, err = filepath.EvalSymlinks(target)
			}
			if err != nil {
				yield(f, err)
				return
			}
			w := walker{root: target, entered: map[string]bool{}, yield: yield}
			w.enter(File{Path: root}, target)
		}
	}
}

// walker is the state of one walk. Its methods return false once the consumer has had enough.
type walker struct {
	root    string          // its real path
	entered map[string]bool // by real path
	yield   func(File, error) bool
}

// enter walks a folder, whose real path is target, unless that has happened.
func (w *walker) enter(folder File, target string) bool {
	if w.entered[target] {
		return true
	}
	w.entered[target] = true
	entries, err := os.ReadDir(folder.Path)
	if err != nil && !w.yield(folder, err) {
		return false
	}
	for _, e := range entries {
		name := e.Name()
		if hidden(name) {
			continue
		}
		f := File{filepath.Join(folder.Path, name), slashpath.Join(folder.Rel, name)}
		if !w.entry(f, e.Type(), filepath.Join(target, name)) {
			return false
		}
	}
	return true
}

// entry yields a file or walks a folder. target is its real path unless it is a link.
func (w *walker) entry(f File, mode fs.FileMode, target string) bool {
	if !mode.IsRegular() && !mode.IsDir() { // a link of some kind, maybe
		info, err := os.Stat(f.Path)
		if err == nil && info.IsDir() {
			if target, err = filepath.EvalSymlinks(target); err == nil && w.visits(target) {
				return true
			}
		}
		if err != nil {
			matters := IsAudio(f.Path) || errors.Is(err, fs.ErrPermission)
			return !matters || w.yield(f, err)
		}
		mode = info.Mode()
	}
	switch {
	case mode.IsDir():
		return w.enter(f, target)
	case mode.IsRegular() && IsAudio(f.Path):
		return w.yield(f, nil)
	}
	return true
}

// visits reports whether the walk comes to the folder of a real path without a link, so that its files have the names
// that they would have without links.
func (w *walker) visits(target string) bool {
	rel, err := filepath.Rel(w.root, target)
	parts := strings.Split(rel, string(filepath.Separator))
	return err == nil && filepath.IsLocal(rel) && !slices.ContainsFunc(parts, hidden)
}

// hidden reports whether entries of that name are left out.
func hidden(name string) bool {
	return name != "." && strings.HasPrefix(name, ".") || name == "__MACOSX"
}
