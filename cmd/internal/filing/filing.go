// Package filing puts files into folders named after labels, below the folder of a log that undoes it. Nothing is
// replaced, a file has its name when it is complete, and whatever interrupts it can be undone or gone on with.
package filing

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// The actions: what is done with a file.
const (
	Copy = "copy" // with its time of modification
	Link = "link" // a symbolic link to its absolute path
	Move = "move"
)

const spec = 1 // of the log

// Entry is a line of a log: a file that is put into a folder. It is written before that is done.
type Entry struct {
	Spec     int                 `json:"spec"`
	Action   string              `json:"action"`
	From     safe.String         `json:"from"` // absolute
	To       safe.String         `json:"to"`   // below the log's folder, with slashes
	Label    safe.String         `json:"label"`
	P        records.Probability `json:"p"`
	Size     int64               `json:"size"`     // bytes
	Modified int64               `json:"modified"` // nanoseconds of Unix time
}

// NewEntry returns what is known of a file before it is put anywhere.
func NewEntry(action, path string) (e Entry, err error) {
	from, err := filepath.Abs(path)
	if err != nil {
		return e, err
	}
	info, err := os.Stat(from)
	if err != nil {
		return e, err
	}
	return Entry{
		Spec: spec, Action: action, From: safe.String(from), Size: info.Size(), Modified: info.ModTime().UnixNano(),
	}, nil
}

// Log is a log that is being written, a line for each file. Placed may be called beside the other methods, of which one
// is called at a time.
type Log struct {
	path    string
	entries []Entry
	mu      sync.Mutex       // guards done
	done    map[string]Entry // by where they come from: those whose files are in their folders
	file    *os.File         // nil: not yet opened
}

// Open opens the log at a path, where there need not be one. An error says that it cannot be written, or is none.
func Open(path string) (l *Log, err error) {
	l = &Log{path: path, done: map[string]Entry{}}
	if err := atomicfile.Check(path); err != nil {
		return nil, err
	}
	l.entries, err = read(path)
	for _, e := range l.entries {
		if _, err := os.Lstat(l.Path(e)); err == nil {
			l.done[string(e.From)] = e
		}
	}
	return l, err
}

// Path returns where the file of an entry has been put.
func (l *Log) Path(e Entry) string {
	return filepath.Join(filepath.Dir(l.path), filepath.FromSlash(string(e.To)))
}

// Entries returns the lines of the log. A file may have several, of which the last one counts.
func (l *Log) Entries() []Entry { return l.entries }

// Placed returns the entry with which a file was put into a folder. If it has changed since, it was not; of one that
// was not moved to the end, the rest is done.
func (l *Log) Placed(path string) (e Entry, ok bool) {
	from, err := filepath.Abs(path)
	if err != nil {
		return e, false
	}
	l.mu.Lock()
	e, ok = l.done[from]
	l.mu.Unlock()
	if !ok {
		return e, false
	}
	now, err := NewEntry(e.Action, path)
	switch {
	case err != nil:
		return e, e.Action == Move
	case now.Size != e.Size || now.Modified != e.Modified:
		return e, false
	}
	return e, e.Action != Move || same(l.Path(e), path) && os.Remove(path) == nil
}

// Place puts the file of an entry into a folder below that of the log, under its own name or, where that is taken,
// under one with a digest of where it comes from, and returns its path.
func (l *Log) Place(e Entry, folder string) (to string, err error) {
	info, err := os.Lstat(string(e.From))
	if err == nil && e.Action == Move && !info.Mode().IsRegular() {
		err = errors.New("it is a link, and files are moved")
	}
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(filepath.Dir(l.path), folder), 0o777); err != nil {
		return "", err
	}
	for _, name := range names(e) {
		e.To = safe.String(folder + "/" + name)
		to = l.Path(e)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := l.add(e); err != nil {
			return "", err
		}
		if err := e.do(to); !errors.Is(err, fs.ErrExist) {
			if err == nil {
				l.note(e)
			}
			return to, err
		}
	}
	return "", &fs.PathError{Op: "cannot write", Path: to, Err: fs.ErrExist}
}

func (l *Log) note(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[string(e.From)] = e
}

// names returns the names that a file may get.
func names(e Entry) []string {
	const longest = 200 // bytes, of the 255 that names may have
	digest := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(e.From), uint64(e.Modified)))
	base := filepath.Base(string(e.From))
	extension := filepath.Ext(base)
	stem := strings.TrimSuffix(base, extension)
	return []string{base, fmt.Sprintf("%s_%.4x%s", stem[:min(len(stem), longest)], digest[:], extension)}
}

// do puts the file at to, where nothing may be.
func (e Entry) do(to string) error {
	switch e.Action {
	case Link:
		return os.Symlink(string(e.From), to)
	case Move:
		return atomicfile.Rename(string(e.From), to)
	}
	return atomicfile.Copy(string(e.From), to)
}

// add writes a line, and waits until it is on the disk.
func (l *Log) add(e Entry) (err error) {
	if l.file == nil {
		if l.file, err = atomicfile.Append(l.path); err != nil {
			return err
		}
	}
	if _, err = l.file.Write(line(e)); err != nil {
		return err
	}
	l.entries = append(l.entries, e)
	return l.file.Sync()
}

func line(e Entry) []byte { return append(records.Marshal(e), '\n') }

// Close closes the log.
func (l *Log) Close() (err error) {
	if l != nil && l.file != nil {
		err, l.file = l.file.Close(), nil
	}
	return err
}

// read returns the entries of a log; none where there is no file. A line that was not written to its end stands for
// nothing that was done.
func read(path string) (entries []Entry, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var e Entry
		err := json.Unmarshal(lines.Bytes(), &e)
		switch {
		case err != nil && n > 1: // torn
			continue
		case err != nil || e.Spec != spec || !filepath.IsLocal(filepath.FromSlash(string(e.To))):
			return nil, fmt.Errorf("%s: line %d is none of a log of sorted files, version %d", path, n, spec)
		}
		entries = append(entries, e)
	}
	return entries, lines.Err()
}

// write replaces the log's lines, or removes it where there are none.
func (l *Log) write(entries []Entry) error {
	if err := l.Close(); err != nil {
		return err
	}
	if l.entries = entries; len(entries) == 0 {
		if err := os.Remove(l.path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return atomicfile.Write(l.path, func(w io.Writer) (err error) {
		for _, e := range entries {
			if err == nil {
				_, err = w.Write(line(e))
			}
		}
		return err
	})
}

// Undo takes back what has been done with the file of an entry, if that loses nothing, and a folder that is empty then.
func (l *Log) Undo(e Entry) error {
	if err := e.undo(l.Path(e)); err != nil {
		return err
	}
	os.Remove(filepath.Dir(l.Path(e))) // if it is empty
	l.mu.Lock()
	delete(l.done, string(e.From))
	l.mu.Unlock()
	return l.write(slices.DeleteFunc(l.entries, func(other Entry) bool { return other == e }))
}

// UndoAll takes back all that the log says, the latest first, with the label folders that are empty then and the log.
// What would lose something stays, also in the log, and stays is called with its path and why.
func (l *Log) UndoAll(stays func(path string, err error)) (undone, kept int, err error) {
	var rest []Entry
	folders := map[string]bool{}
	for _, e := range slices.Backward(l.entries) {
		to := l.Path(e)
		folders[filepath.Dir(to)] = true
		if err := e.undo(to); err != nil {
			rest = append(rest, e)
			stays(to, err)
		}
	}
	for folder := range folders {
		os.Remove(folder) // if it is empty
	}
	undone = len(l.entries) - len(rest)
	slices.Reverse(rest)
	return undone, len(rest), l.write(rest)
}
