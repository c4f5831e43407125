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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
)

// results are the result files of --out, one an input.
type results struct {
	dir       string
	extension string
	list      string // name of the file in dir that lists the failures

	index  *index
	begin  sync.Once // before the first input that is not done
	broken error     // why none can be

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
func (c *cli) newResults(share shard) (r *results, err error) {
	if c.Many.Out == "" {
		return nil, nil
	}
	extensions := map[string]string{"text": "txt", "audacity": labelTrack}
	r = &results{dir: c.Many.Out, extension: cmp.Or(extensions[c.Format], c.Format), list: "failures.csv"}
	if share.count > 1 {
		r.list = fmt.Sprintf("failures-%d-of-%d.csv", share.index, share.count)
	}
	if info, err := os.Stat(r.dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("--out %s: it is a file, not a folder", r.dir)
	}
	r.index, err = openIndex(r.dir, share)
	return r, err
}

// path returns the result file of an input.
func (r *results) path(in input) string {
	return filepath.Join(r.dir, filepath.FromSlash(in.rel)+"."+r.extension)
}

// todo yields the inputs of a shard without those that have results, which it counts, unless force includes these. It
// ends where no results can be written, for the reason in broken.
func (r *results) todo(inputs iter.Seq[input], force bool) iter.Seq[input] {
	return func(yield func(input) bool) {
		for in := range inputs {
			done := false
			if in.err == nil {
				done, in.stamp, in.err = r.isDone(in)
			}
			if done && !force {
				r.done.Add(1)
				continue
			}
			r.begin.Do(func() { r.broken = r.check() })
			if r.broken != nil || !yield(in) {
				return
			}
		}
	}
}

// check makes the folder, and finds out whether it can be written to.
func (r *results) check() error {
	if err := os.MkdirAll(r.dir, 0o777); err != nil {
		return err
	}
	return atomicfile.Check(r.index.path)
}

// isDone reports whether an input has results that were written from itself as it is, and returns its stamp. A result
// file is complete, since it gets its name last; an empty one is not one of these, except a label track without labels.
// The error says why there cannot be results.
func (r *results) isDone(in input) (done bool, mark uint32, err error) {
	path := r.path(in)
	result, err := os.Stat(path)
	if err == nil && !result.Mode().IsRegular() {
		return false, 0, fmt.Errorf("%s is in the way of the results", path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, 0, fmt.Errorf("%s: %w", path, reason(err))
	}
	source, failed := os.Stat(in.name)
	if failed != nil {
		return false, 0, nil // what opens it reports that
	}
	mark = stamp(source)
	whole := err == nil && (result.Size() > 0 || r.extension == labelTrack)
	return whole && r.index.has(indexKey(in.rel, r.extension), mark), mark, nil
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
	if err := r.out.note(it.input, o.err); err != nil {
		return err
	}
	return r.count(it, o, true)
}

// note notes that the results of an input are written. Of one that failed, it removes those that were written from what
// was in its place before.
func (r *results) note(in input, failed error) error {
	switch {
	case failed == nil:
		return r.index.add(indexKey(in.rel, r.extension), in.stamp)
	case in.err == nil:
		err := os.Remove(r.path(in))
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENAMETOOLONG) {
			return err
		}
	}
	return nil
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
	f.Result(o.result)
	s := options.summary
	s.Files, s.Windows, s.Events, s.Refused, s.AudioSeconds = 1, o.Windows, o.Events, o.Refusals(), o.Seconds
	return o, f.Close(s)
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
