package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/polyphon/polyphon/internal/atomicfile"
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
		return actionLink
	case f.Move:
		return actionMove
	}
	return actionCopy
}

// The actions, as the log has them.
const (
	actionCopy = "copy"
	actionLink = "link"
	actionMove = "move"
)

// sorter puts inputs into folders named after their labels. A nil sorter does nothing.
type sorter struct {
	dir    string // absolute, without links
	action string
	only   labelSet
	least  func(label string) float64
	log    *sortLog
	done   map[string]sorted // by the path of the input: what the log has, as far as it is there

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
	s := &sorter{dir: dir, action: f.action(), only: l.only, least: c.Events.least, done: map[string]sorted{}}
	path := filepath.Join(dir, logName)
	if err := atomicfile.Check(path); err != nil {
		return nil, fmt.Errorf("--sort: %w", err)
	}
	entries, err := readLog(path)
	for _, e := range entries {
		if _, err := os.Lstat(s.path(e)); err == nil {
			s.done[string(e.From)] = e
		}
	}
	s.log = &sortLog{path: path}
	return s, err
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

// path returns where a file has been put.
func (s *sorter) path(e sorted) string { return filepath.Join(s.dir, filepath.FromSlash(string(e.To))) }

// todo yields the inputs without those that have been sorted as they are now, which it counts.
func (s *sorter) todo(inputs iter.Seq[input]) iter.Seq[input] {
	if s == nil {
		return inputs
	}
	return func(yield func(input) bool) {
		for in := range inputs {
			if in.err == nil && s.isDone(in) {
				s.had.Add(1)
			} else if !yield(in) {
				return
			}
		}
	}
}

// isDone reports whether an input has been sorted as it is now. Of one that was not moved to its end, it does the rest.
func (s *sorter) isDone(in input) bool {
	e, _, err := s.entry(in)
	if err != nil {
		return false
	}
	had, ok := s.done[string(e.From)]
	if !ok || had.Size != e.Size || had.Modified != e.Modified {
		return false
	}
	return had.Action != actionMove || same(s.path(had), in.name) && os.Remove(in.name) == nil
}

// entry returns what the log has of an input, without where it is put.
func (s *sorter) entry(in input) (e sorted, info fs.FileInfo, err error) {
	from, err := filepath.Abs(in.name)
	if err == nil {
		info, err = os.Stat(from)
	}
	if err != nil {
		return e, nil, err
	}
	e = sorted{Spec: logSpec, Action: s.action, From: safe.String(from), Size: info.Size()}
	e.Modified = info.ModTime().UnixNano()
	return e, info, nil
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
	e, _, err := s.entry(in)
	if err != nil {
		return fmt.Errorf("--sort: %w", reason(err))
	}
	e.Label, e.P = likeliest.Label, likeliest.P
	if err := s.place(in, e); err != nil {
		return fmt.Errorf("--sort: %w", err)
	}
	s.count++
	return nil
}

// place puts a file into its folder, under its own name or, where that is taken, under one with a digest of where it
// comes from. The log has it first, so that whatever happens can be undone.
func (s *sorter) place(in input, e sorted) error {
	if info, err := os.Lstat(in.name); err == nil && e.Action == actionMove && !info.Mode().IsRegular() {
		return errors.New("it is a link, and --move moves files")
	}
	folder := safe.FolderName(string(e.Label))
	if err := os.MkdirAll(filepath.Join(s.dir, folder), 0o777); err != nil {
		return err
	}
	for _, name := range freeNames(e) {
		e.To = safe.String(folder + "/" + name)
		to := s.path(e)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := s.log.add(e); err != nil {
			return err
		}
		err := e.do(to)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return fmt.Errorf("%s: %w", s.path(e), fs.ErrExist)
}

// freeNames returns the names that a file may get.
func freeNames(e sorted) []string {
	const longest = 200 // bytes, of the 255 that names may have
	digest := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(e.From), uint64(e.Modified)))
	base := filepath.Base(string(e.From))
	extension := filepath.Ext(base)
	stem := strings.TrimSuffix(base, extension)
	return []string{base, fmt.Sprintf("%s_%.4x%s", stem[:min(len(stem), longest)], digest[:], extension)}
}

// report says what has been done.
func (s *sorter) report() string {
	did := map[string]string{actionCopy: "copied", actionLink: "linked", actionMove: "moved"}[s.action]
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
	return text + "; to undo: classify --undo " + s.log.path
}

// close closes the log.
func (s *sorter) close() error {
	if s == nil {
		return nil
	}
	return s.log.close()
}
