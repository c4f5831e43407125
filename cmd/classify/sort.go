package main

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/polyphon/polyphon/cmd/internal/filing"
	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/internal/safe"
)

// sortFlags are about putting inputs into folders.
type sortFlags struct {
	Sort string `help:"${sort}" placeholder:"DIR"`
	Link bool   `help:"With --sort, make symbolic links instead of copies."`
	Move bool   `help:"With --sort, move the files instead of copying them."`
	Undo string `help:"${undo}" placeholder:"LOG"`
}

// check returns an error for flags that make no sense together.
func (f *sortFlags) check(c *cli, stdin bool) error {
	switch {
	case f.Undo != "" && (f.Sort != "" || c.Live.Stream || len(c.Paths) > 0):
		return errors.New("--undo takes back what --sort did, and does nothing else")
	case f.Sort == "" && (f.Link || f.Move):
		return errors.New("--link and --move are about --sort")
	case f.Link && f.Move:
		return errors.New("--link and --move: a file is sorted in one of these ways")
	case f.Sort != "" && (c.Live.Stream || stdin):
		return errors.New("--sort is about files: live sound and the standard input are none")
	case f.Sort != "" && c.Many.Out != "":
		return errors.New("--sort has a log of its own of what is done: it goes without --out")
	}
	return nil
}

// action is what is done with files.
func (f *sortFlags) action() string {
	switch {
	case f.Link:
		return filing.Link
	case f.Move:
		return filing.Move
	}
	return filing.Copy
}

// logName is the name of the log of --sort in its folder.
const logName = "sorted.ndjson"

// sorter puts inputs into folders named after their labels. A nil sorter does nothing.
type sorter struct {
	dir    string // absolute, without links
	action string
	only   labelSet
	least  func(label string) float64
	log    *filing.Log

	folder, rel string // the latest folder of holds, and where dir lies below it: "", or with a slash at its end

	had    atomic.Int64 // inputs that were sorted before
	count  int          // that have been sorted
	others int          // that have another label than asked for
	doubts int          // whose label is too doubtful
}

// newSorter returns the sorter of the flags; nil without --sort.
func (c *cli) newSorter(l *loaded, paths []string) (*sorter, error) {
	f := c.Sorting
	if f.Sort == "" {
		return nil, nil
	}
	if err := os.MkdirAll(f.Sort, 0o777); err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	dir, err := realPath(f.Sort)
	if err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	for _, path := range paths {
		if real, err := realPath(path); err == nil {
			if _, inside := below(dir, real); inside {
				err := fmt.Errorf("--sort %s: %s lies in it; sort into a folder elsewhere", f.Sort, path)
				return nil, usage(err)
			}
		}
	}
	log, err := filing.Open(filepath.Join(dir, logName))
	if err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	return &sorter{dir: dir, action: f.action(), only: l.only, least: c.Events.least, log: log}, nil
}

// realPath returns an absolute path without links.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// below returns the path of something below a folder, and whether it lies there or is the folder itself.
func below(dir, path string) (rel string, ok bool) {
	rel, err := filepath.Rel(dir, path)
	return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// holds reports whether what lies at rel, with slashes, below a folder is in the sorter's folder.
func (s *sorter) holds(folder, rel string) bool {
	if s == nil {
		return false
	}
	if folder != s.folder {
		s.folder, s.rel = folder, ""
		if real, err := realPath(folder); err == nil {
			if rel, ok := below(real, s.dir); ok {
				s.rel = filepath.ToSlash(rel) + "/"
			}
		}
	}
	return s.rel != "" && strings.HasPrefix(rel, s.rel)
}

// todo yields the inputs without those that have been sorted as they are now, which it counts.
func (s *sorter) todo(inputs iter.Seq[input]) iter.Seq[input] {
	if s == nil {
		return inputs
	}
	return func(yield func(input) bool) {
		for in := range inputs {
			if in.err == nil {
				if _, placed := s.log.Placed(in.name); placed {
					s.had.Add(1)
					continue
				}
			}
			if !yield(in) {
				return
			}
		}
	}
}

// sort puts an input where its answer says, if that is one to go by.
func (s *sorter) sort(in input, a answer) error {
	if s == nil {
		return nil
	}
	likeliest := a.Labels[0]
	label := string(likeliest.Label)
	switch {
	case !s.only.has(label):
		s.others++
		return nil
	case a.Refused || float64(likeliest.P) < s.least(label):
		s.doubts++
		return nil
	}
	e, err := filing.NewEntry(s.action, in.name)
	if err == nil {
		e.Label, e.P = likeliest.Label, likeliest.P
		_, err = s.log.Place(e, safe.FolderName(label))
	}
	if err != nil {
		return fmt.Errorf("--sort: %w", err)
	}
	s.count++
	return nil
}

// report says what has been done.
func (s *sorter) report() string {
	did := map[string]string{filing.Copy: "copied", filing.Link: "linked", filing.Move: "moved"}[s.action]
	text := fmt.Sprintf("%s %s into folders of %s", count(s.count, "file"), did, s.dir)
	for _, part := range []struct {
		n    int
		what string
	}{
		{int(s.had.Load()), "sorted before"}, {s.others, "with other labels than --only names, left where they are"},
		{s.doubts, "too doubtful, left where they are"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf("; %d %s", part.n, part.what)
		}
	}
	return text + "; to undo: classify --undo " + filepath.Join(s.dir, logName)
}

// close closes the log.
func (s *sorter) close() error {
	if s == nil {
		return nil
	}
	return s.log.Close()
}

// undo takes back what a log says.
func undo(path string, s program.Streams) error {
	if _, err := os.Stat(path); err != nil {
		return usage(fmt.Errorf("--undo: %w", err))
	}
	log, err := filing.Open(path)
	if err != nil {
		return usage(fmt.Errorf("--undo: %w", err))
	}
	undone, kept, err := log.UndoAll(func(path string, err error) {
		safe.Fprintf(s.Err, "classify: %s stays: %v\n", path, reason(err))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "classify: %s undone, %d stay\n", count(undone, "file"), kept)
	if kept > 0 {
		return program.Exit(program.StatusFailed)
	}
	return nil
}
