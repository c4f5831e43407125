package main

import (
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
	"sync"
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

	mu       sync.Mutex
	failures []failure
}

// resultWriters is how many result files are written at the same time, at most: each waits for the disk.
const resultWriters = 16

// newResults returns the result files for all inputs, of whatever shard; nil without --out. Its error names inputs that
// would have the same one.
func (c *cli) newResults(inputs []input, share shard) (*results, error) {
	if c.Many.Out == "" {
		return nil, nil
	}
	r := &results{dir: c.Many.Out, extension: c.Format, list: "failures.csv"}
	switch c.Format {
	case "text":
		r.extension = "txt"
	case "audacity":
		r.extension = "labels.txt"
	}
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
			return nil, fmt.Errorf("%s would have its results in %s, where the failures are listed", in.name, r.path(in))
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
	whole := result.Size() > 0 || r.extension == "labels.txt"
	return err == nil && whole && !source.ModTime().After(result.ModTime()), nil
}

// idle says why there is nothing to do.
func (r *results) idle(share shard) string {
	of := ""
	if share.count > 1 {
		of = " of shard " + share.String()
	}
	if r == nil || r.all == 0 {
		return "no inputs" + of
	}
	return fmt.Sprintf("all %d inputs%s have results in %s (--force classifies them again)", r.all, of, r.dir)
}

// writeFiles writes the result files. Its error is that of write.
func (r *run) writeFiles(ctx context.Context, stop context.CancelCauseFunc) error {
	if err := os.MkdirAll(r.out.dir, 0o777); err != nil {
		return err
	}
	var writers sync.WaitGroup
	for range resultWriters {
		writers.Go(func() {
			for it := range r.queue.begun {
				if err := r.writeFile(ctx, it); err != nil {
					stop(err)
				}
			}
		})
	}
	writers.Wait()
	err := r.tally.close(ctx)
	if len(r.options.inputs) > 0 {
		r.tally.report(r.out)
	}
	if listErr := r.out.writeFailures(); err == nil {
		err = listErr
	}
	return err
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
		err = atomicfile.Write(path, 0o644, write)
	}
	switch {
	case errors.Is(err, errUnfinished):
		return nil
	case errors.Is(err, syscall.ENAMETOOLONG): // concerns this input only
		o.err = fmt.Errorf("%s: %w", path, reason(err))
	case err != nil && o.err == nil:
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	r.tally.add(it.name, o, true)
	if o.err == nil {
		return nil
	}
	r.out.mu.Lock()
	r.out.failures = append(r.out.failures, failure{it.name, o.err.Error()})
	r.out.mu.Unlock()
	if r.failFast {
		return errFailFast
	}
	return nil
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
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		rows := csv.NewWriter(w)
		rows.Write([]string{"file", "error"})
		for _, f := range r.failures {
			rows.Write([]string{f.File, f.Error})
		}
		rows.Flush()
		return rows.Error()
	})
}
