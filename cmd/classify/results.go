package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/polyphon/polyphon/internal/atomicfile"
)

// results are the result files of --out, one an input.
type results struct {
	dir       string
	extension string
	list      string // name of the file in dir that lists the failures

	all  int // inputs of the shard
	done int // of these, had results

	failures []failure
}

const (
	resultWriters = 16           // result files that are written at the same time, at most: each waits for the disk
	labelTrack    = "labels.txt" // the extension of a label track
)

// newResults returns the result files for all inputs, of whatever shard; nil without --out. Its error names inputs that
// would have the same one.
func (c *cli) newResults(inputs []input, share shard) (*results, error) {
	if c.Many.Out == "" {
		return nil, nil
	}
	extensions := map[string]string{"text": "txt", "audacity": labelTrack}
	r := &results{dir: c.Many.Out, extension: cmp.Or(extensions[c.Format], c.Format), list: "failures.csv"}
	if share.count > 1 {
		r.list = fmt.Sprintf("failures-%d-of-%d.csv", share.index, share.count)
	}
	names := make(map[string]string, len(inputs))
	for _, in := range inputs {
		if in.err != nil {
			continue
		}
		if other, taken := names[in.rel]; taken {
			return nil, fmt.Errorf("%s and %s would both have their results in %s; "+
				"give the folder above them, or each folder of results its own --out", other, in.name, r.path(in))
		}
		if r.path(in) == filepath.Join(r.dir, r.list) {
			return nil, fmt.Errorf("%s would have its results in %s, where the failures are listed",
				in.name, r.path(in))
		}
		names[in.rel] = in.name
	}
	return r, nil
}

// path returns the result file of an input.
func (r *results) path(in input) string {
	return filepath.Join(r.dir, filepath.FromSlash(in.rel)+"."+r.extension)
}

// todo returns the inputs of a shard without those that have results, unless force includes these.
func (r *results) todo(inputs []input, force bool) (todo []input) {
	for _, in := range inputs {
		done := false
		if in.err == nil {
			done, in.err = r.isDone(in)
		}
		if !done || force {
			todo = append(todo, in)
		}
	}
	r.all, r.done = len(inputs), len(inputs)-len(todo)
	return todo
}

// isDone reports whether an input has results that are not older than itself. A result file is complete, since it gets
// its name last; an empty one is not one of these, except a label track without labels. The error says why there cannot
// be results.
func (r *results) isDone(in input) (bool, error) {
	path := r.path(in)
	result, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("%s: %w", path, reason(err))
	case !result.Mode().IsRegular():
		return false, fmt.Errorf("%s is in the way of the results", path)
	}
	source, err := os.Stat(in.name)
	whole := result.Size() > 0 || r.extension == labelTrack
	return err == nil && whole && !source.ModTime().After(result.ModTime()), nil
}

// errUnfinished says that the run ended before the input did, which therefore has no result file.
var errUnfinished = errors.New("unfinished")

// writeFile writes the result file of an input. Its error ends the run.
func (r *run) writeFile(ctx context.Context, it *item) error {
	var o outcome
	write := func(w io.Writer) (err error) {
		o, err = r.writeResult(ctx, it, w)
		return err
	}
	path, err := r.out.path(it.input), error(nil)
	if it.input.err != nil { // there may be no place for a file
		err = write(io.Discard)
	} else if err = os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	} else {
		err = atomicfile.Write(path, write)
	}
	switch {
	case errors.Is(err, errUnfinished):
		return nil
	case errors.Is(err, syscall.ENAMETOOLONG): // concerns this input only
		o.err = fmt.Errorf("%s: %w", path, reason(err))
	case err != nil && o.err == nil:
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	return r.count(it, o, true)
}

// writeResult writes the results of an input to w. Its error is the outcome's where the input failed.
func (r *run) writeResult(ctx context.Context, it *item, w io.Writer) (outcome, error) {
	options := r.options
	options.inputs = []input{it.input}
	f := newFormat(w, options)
	o, ended, err := r.follow(ctx, it, f)
	switch {
	case err != nil:
		return o, err
	case !ended:
		return o, errUnfinished
	case o.err != nil:
		return o, o.err
	}
	f.end(it.name, o)
	s := options.summary
	s.Files, s.Windows, s.Events, s.AudioSeconds = 1, o.windows, o.events, o.length
	return o, f.close(s)
}

// writeFailures lists the failures of the run, or removes the list of an earlier run.
func (r *results) writeFailures() error {
	path := filepath.Join(r.dir, r.list)
	if len(r.failures) == 0 {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	slices.SortFunc(r.failures, func(x, y failure) int { return strings.Compare(x.File, y.File) })
	rows := [][]string{{"file", "error"}}
	for _, f := range r.failures {
		rows = append(rows, []string{f.File, f.Error})
	}
	return atomicfile.Write(path, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(rows) })
}
