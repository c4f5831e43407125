package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// sorted is a line of the log of --sort: a file that is put into a folder. It is written before that is done.
type sorted struct {
	Spec     int                 `json:"spec"`
	Action   string              `json:"action"`
	From     safe.String         `json:"from"` // absolute
	To       safe.String         `json:"to"`   // below the log's folder, with slashes
	Label    safe.String         `json:"label"`
	P        records.Probability `json:"p"`
	Size     int64               `json:"size"`     // bytes
	Modified int64               `json:"modified"` // nanoseconds of Unix time
}

const (
	logName = "sorted.ndjson"
	logSpec = 1
)

// do puts the file at to, where nothing may be.
func (e sorted) do(to string) error {
	switch e.Action {
	case actionLink:
		return os.Symlink(string(e.From), to)
	case actionMove:
		return atomicfile.Rename(string(e.From), to)
	}
	return atomicfile.Copy(string(e.From), to)
}

// undo takes back what do has done, or has begun, if that loses nothing. The error says why it does not.
func (e sorted) undo(to string) error {
	from := string(e.From)
	if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(from); e.Action == actionMove && err != nil {
			return errors.New("it is gone, and so is where it came from")
		}
		return nil // undone before, or never done
	}
	if e.Action == actionLink {
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
	case e.Action == actionCopy:
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

// sortLog is a log that is being written, a line for each file.
type sortLog struct {
	path string
	file *os.File // nil: not yet opened
}

// add writes a line, and waits until it is on the disk.
func (l *sortLog) add(e sorted) (err error) {
	if l.file == nil {
		if l.file, err = appendTo(l.path); err != nil {
			return err
		}
	}
	if _, err = l.file.Write(append(records.Marshal(e), '\n')); err != nil {
		return err
	}
	return l.file.Sync()
}

func (l *sortLog) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// readLog returns the entries of a log; none where there is no file. A last line that was not written to its end stands
// for nothing that was done.
func readLog(path string) (entries []sorted, err error) {
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
		var e sorted
		err := json.Unmarshal(lines.Bytes(), &e)
		switch {
		case err != nil && n > 1: // torn
			continue
		case err != nil || e.Spec != logSpec || !filepath.IsLocal(filepath.FromSlash(string(e.To))):
			return nil, fmt.Errorf("%s: line %d is none of a log of --sort, version %d", path, n, logSpec)
		}
		entries = append(entries, e)
	}
	return entries, lines.Err()
}

// undo takes back what a log says, the latest first. What would lose something stays, is named, and stays in the log.
func undo(path string, s program.Streams) error {
	if _, err := os.Stat(path); err != nil {
		return usage(fmt.Errorf("--undo: %w", err))
	}
	entries, err := readLog(path)
	if err != nil {
		return usage(fmt.Errorf("--undo: %w", err))
	}
	var kept []sorted
	dir := filepath.Dir(path)
	folders := map[string]bool{}
	for _, e := range slices.Backward(entries) {
		to := filepath.Join(dir, filepath.FromSlash(string(e.To)))
		folders[filepath.Dir(to)] = true
		if err := e.undo(to); err != nil {
			kept = append(kept, e)
			safe.Fprintf(s.Err, "classify: %s stays: %v\n", to, reason(err))
		}
	}
	for folder := range folders {
		os.Remove(folder) // if it is empty
	}
	safe.Fprintf(s.Err, "classify: %s undone, %d stay\n", count(len(entries)-len(kept), "file"), len(kept))
	if len(kept) == 0 {
		return os.Remove(path)
	}
	slices.Reverse(kept)
	err = atomicfile.Write(path, func(w io.Writer) (err error) {
		for _, e := range kept {
			if err == nil {
				_, err = w.Write(append(records.Marshal(e), '\n'))
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return program.Exit(program.StatusFailed)
}
