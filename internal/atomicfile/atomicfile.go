// Package atomicfile writes files whole or not at all.
package atomicfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// checkBytes are written by Check to find a full disk: a file system with less room is as good as full.
const checkBytes = 1 << 20

// Check returns an error when Write could not make the file at path, so that long work need not end with it: the path
// is a folder, its folder is missing, read-only or full, or the file there must not be written. It leaves no trace.
func Check(path string) error {
	t, err := resolve(path)
	if err != nil {
		return cannot(path, err)
	}
	if t.inPlace {
		return cannot(path, t.check())
	}
	f, err := t.create()
	if err != nil {
		return cannot(path, err)
	}
	_, err = f.Write(make([]byte, checkBytes))
	return cannot(path, errors.Join(err, f.Close(), discard(f.Name())))
}

// cannot returns a *fs.PathError that names what was to be written instead of a hidden file beside it; nil for nil.
func cannot(path string, err error) error {
	if err == nil {
		return nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return &fs.PathError{Op: "cannot write", Path: path, Err: err}
}

// InPlace reports whether Write writes into what is at path instead of replacing it: a device, a pipe, a socket.
func InPlace(path string) bool {
	t, err := resolve(path)
	return err == nil && t.inPlace
}

// Write makes the file at path of what write gives it. The bytes go to a hidden file beside it, which replaces it once
// they are on the disk. After an error, path is as it was and the hidden file is gone. A new file gets the permissions
// that the umask leaves of 0666, one that exists keeps its own. Where path is a symbolic link, it stays, and the file
// that it leads to is made or replaced. Devices and pipes are not replaced but written into, as the bytes come.
// The writer is an io.WriteSeeker, too, which can seek in files only.
func Write(path string, write func(io.Writer) error) error {
	t, err := resolve(path)
	if err != nil {
		return cannot(path, err)
	}
	if t.inPlace {
		return t.stream(write)
	}
	f, err := t.create()
	if err != nil {
		return cannot(path, err)
	}
	if err := write(f); err != nil {
		f.Close()
		discard(f.Name())
		if p, ok := errors.AsType[*fs.PathError](err); ok && p.Path == f.Name() {
			return cannot(path, p)
		}
		return err
	}
	err = errors.Join(t.preserve(f), f.Sync(), f.Close())
	if err == nil {
		err = publish(f.Name(), t.path)
	}
	if err != nil {
		discard(f.Name())
		return cannot(path, err)
	}
	syncFolder(filepath.Dir(t.path)) // the new name has to be on the disk, too
	return nil
}

// Create is Write of a new file: what is at path is never replaced, and the error wraps fs.ErrExist.
func Create(path string, write func(io.Writer) error) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return cannot(path, cmp.Or(err, fs.ErrExist))
	}
	f, err := target{path: path}.create()
	if err != nil {
		return cannot(path, err)
	}
	err = write(f)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = publishNew(f.Name(), path)
	}
	if err != nil {
		discard(f.Name())
		return cannot(path, err)
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// Rename gives the file at one path another one, where it replaces nothing: the error then wraps fs.ErrExist. Where the
// new path is on another file system, the file is copied, with its time of modification, and then removed.
func Rename(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		syncFolder(filepath.Dir(to))
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist):
		return cannot(to, err)
	default: // no hard links, or none between these
		if err := Copy(from, to); err != nil {
			return err
		}
	}
	return os.Remove(from)
}

// Copy makes a copy of a file, with its time of modification, as Create does.
func Copy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	return Create(to, func(w io.Writer) error {
		if _, err := io.Copy(w, in); err != nil {
			return err
		}
		return os.Chtimes(w.(*os.File).Name(), time.Time{}, info.ModTime())
	})
}

// Append opens a file of lines to write more, or makes it. A line that was not written to its end stays alone.
func Append(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	last := []byte{'\n'}
	if info, err := f.Stat(); err == nil && info.Size() > 0 {
		f.ReadAt(last, info.Size()-1)
	}
	if last[0] != '\n' {
		_, err = f.WriteString("\n")
	}
	return f, err
}

// target is where the bytes for a path go.
type target struct {
	path    string      // behind all symbolic links
	info    fs.FileInfo // of what is there; nil: nothing
	inPlace bool        // it is no regular file: it is opened and written into
}

// maxLinks is how many symbolic links may follow one another.
const maxLinks = 40

// resolve follows the symbolic links at path. What they lead to need not exist.
func resolve(path string) (target, error) {
	t := target{path: path}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return t, errors.New("it is a folder, not a file")
	case err == nil && (!info.Mode().IsRegular() || standard(info) != nil):
		t.info, t.inPlace = info, true
		return t, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return t, err
	}
	t.info = info
	for range maxLinks {
		here, err := os.Lstat(t.path)
		if err != nil || here.Mode()&fs.ModeSymlink == 0 {
			// The links in /proc/self/fd, where /dev/stdout leads, may name what is no longer there.
			if t.info != nil && (err != nil || !os.SameFile(here, t.info)) {
				return target{path: path, info: t.info, inPlace: true}, nil
			}
			return t, nil
		}
		link, err := os.Readlink(t.path)
		if err != nil {
			return t, err
		}
		if filepath.IsAbs(link) {
			t.path = link
		} else { // not filepath.Join: ".." behind a link is not what it looks like
			t.path = filepath.Dir(t.path) + string(filepath.Separator) + link
		}
	}
	return t, fmt.Errorf("more than %d symbolic links", maxLinks)
}

// standard returns the standard output or error where it is the file of info, as for /dev/stdout; otherwise nil.
func standard(info fs.FileInfo) *os.File {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if other, err := f.Stat(); err == nil && os.SameFile(info, other) {
			return f
		}
	}
	return nil
}

// check returns an error when a device or pipe cannot be written. A pipe that nobody reads yet can.
func (t target) check() error {
	switch {
	case t.info.Mode()&fs.ModeSocket != 0:
		return errors.New("it is a socket")
	case t.info.Mode()&fs.ModeNamedPipe != 0 || standard(t.info) != nil:
		return nil // opening a pipe would wait, and closing it would end what reads it
	}
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// stream writes into what is at the target.
func (t target) stream(write func(io.Writer) error) error {
	if f := standard(t.info); f != nil { // opened again, a file would be overwritten from its beginning
		return write(f)
	}
	f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return cannot(t.path, err)
	}
	return errors.Join(write(f), f.Close())
}

// create makes an empty hidden file beside the target, whose own name may be as long as names can be.
func (t target) create() (*os.File, error) {
	if t.info != nil { // a file that must not be written must not be replaced either
		f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		f.Close()
	}
	for {
		name := filepath.Join(filepath.Dir(t.path), fmt.Sprintf(".polyphon-%016x", rand.Uint64()))
		f, err := createHidden(name)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

// preserve gives f the permissions and, where that is allowed, the owner of the file that it is to replace.
func (t target) preserve(f *os.File) error {
	if t.info == nil {
		return nil
	}
	keepOwner(f, t.info)
	err := f.Chmod(t.info.Mode().Perm())
	if errors.Is(err, syscall.EPERM) || errors.Is(err, errors.ErrUnsupported) {
		return nil // a file system without permissions
	}
	return err
}

// hidden are the files that are being written, which Abandon removes.
var hidden struct {
	sync.Mutex
	names     map[string]bool
	abandoned bool
}

var errAbandoned = errors.New("the program is ending")

// Abandon removes the hidden files of all writes that have not ended, and lets none of them, and no later one, make a
// file: for a process that is about to end while other goroutines run.
func Abandon() {
	hidden.Lock()
	defer hidden.Unlock()
	hidden.abandoned = true
	for name := range hidden.names {
		os.Remove(name)
	}
}

func createHidden(name string) (*os.File, error) {
	hidden.Lock()
	defer hidden.Unlock()
	if hidden.abandoned {
		return nil, errAbandoned
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		if hidden.names == nil {
			hidden.names = map[string]bool{}
		}
		hidden.names[name] = true
	}
	return f, err
}

// publish gives a hidden file its name.
func publish(name, path string) error {
	hidden.Lock()
	defer hidden.Unlock()
	if hidden.abandoned {
		return errAbandoned
	}
	err := os.Rename(name, path)
	if err == nil {
		delete(hidden.names, name)
	}
	return err
}

// publishNew gives a hidden file the name of no other one.
func publishNew(name, path string) error {
	hidden.Lock()
	defer hidden.Unlock()
	if hidden.abandoned {
		return errAbandoned
	}
	err := os.Link(name, path)
	switch {
	case err == nil:
		delete(hidden.names, name)
		return os.Remove(name)
	case errors.Is(err, fs.ErrExist):
		return err
	}
	taken, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // a file system without hard links
	if err != nil {
		return err
	}
	taken.Close()
	if err := os.Rename(name, path); err != nil {
		os.Remove(path)
		return err
	}
	delete(hidden.names, name)
	return nil
}

// discard removes a hidden file.
func discard(name string) error {
	hidden.Lock()
	defer hidden.Unlock()
	delete(hidden.names, name)
	return os.Remove(name)
}
