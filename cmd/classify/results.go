package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/safe"
	"github.com/polyphon/polyphon/internal/atomicfile"
)

// results are the result files of --out, one an input.
type results struct {
	dir       string
	extension string
	list      string // name of the file in dir that lists the failures

	all  int          // inputs of the shard
	done atomic.Int64 // of these, had results, as far as is known

	failures []failure
}

const (
	resultWriters = 16           // result files that are written at the same time, at most: each waits for the disk
	labelTrack    = "labels.txt" // the extension of a label track

	filesHold = 30 * time.Second // for the results of finished inputs to be written after an interruption
)

// newResults returns the result files of a shard; nil without --out.
func (c *cli) newResults(share shard) *results {
	if c.Many.Out == "" {
		return nil
	}
	extensions := map[string]string{"text": "txt", "audacity": labelTrack}
	r := &results{dir: c.Many.Out, extension: cmp.Or(extensions[c.Format], c.Format), list: "failures.csv"}
	if share.count > 1 {
		r.list = fmt.Sprintf("failures-%d-of-%d.csv", share.index, share.count)
	}
	return r
}

// path returns the result file of an input.
func (r *results) path(in input) string {
	return filepath.Join(r.dir, filepath.FromSlash(in.rel)+"."+r.extension)
}

// todo yields the inputs of a shard without those that have results, which it counts, unless force includes these.
func (r *results) todo(inputs iter.Seq[input], force bool) iter.Seq[input] {
	return func(yield func(input) bool) {
		for in := range inputs {
			done := false
			if in.err == nil {
				done, in.err = r.isDone(in)
			}
			if done && !force {
				r.done.Add(1)
			} else if !yield(in) {
				return
			}
		}
	}
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
	options.survey = survey{1, nameWidth(it.input)}
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
	f.result(o.result)
	s := options.summary
	s.Files, s.Windows, s.Events, s.AudioSeconds = 1, o.windows, o.Events, o.Seconds
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
	slices.SortFunc(r.failures, func(x, y failure) int { return cmp.Compare(x.File, y.File) })
	rows := [][]string{{"file", "error"}}
	for _, f := range r.failures {
		rows = append(rows, safe.Fields(string(f.File), string(f.Error)))
	}
	return atomicfile.Write(path, func(w io.Writer) error { return csv.NewWriter(w).WriteAll(rows) })
}
