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
	"time"

	"github.com/polyphon/polyphon/internal/atomicfile"
)

// manyFlags are for corpora that take a while.
type manyFlags struct {
	Out      string `help:"Write the results of each input to a file of its own below this folder, and leave out inputs that have one. docs/output.md says which." placeholder:"DIR"`
	Force    bool   `help:"With --out, classify inputs that have results, too."`
	FailFast bool   `help:"Stop at the first input that fails."`
	Shard    shard  `help:"Take one of N shares of the inputs, numbered from 0 to N-1. Default: all, or as --shards says." placeholder:"I/N"`
	Shards   int    `help:"Take the share number $$JOB_COMPLETION_INDEX of so many, as in a Kubernetes Indexed Job." env:"JOB_COMPLETION_COUNT" placeholder:"N"`
}

// batch writes the results of each input to a file of its own.
type batch struct {
	dir    string
	format string
	list   string // name of the file in dir that lists the failures

	all      int // inputs in the shard
	done     int // of these, had results
	failures []failure
}

// resultWriters is how many result files may be under way: each waits for the disk.
const resultWriters = 16

// skipped returns how many inputs had results.
func (b *batch) skipped() int {
	if b == nil {
		return 0
	}
	return b.done
}

// path returns the result file of an input.
func (b *batch) path(in input) string {
	return filepath.Join(b.dir, filepath.FromSlash(in.rel)+"."+b.extension())
}

func (b *batch) extension() string {
	switch b.format {
	case "text":
		return "txt"
	case "audacity":
		return "labels.txt"
	}
	return b.format
}

// plan returns the inputs that are to be classified, and sets the job's batch where there is one.
func (j *job) plan(inputs []input, share shard, format string, f manyFlags) ([]input, error) {
	if f.Out == "" {
		return slices.DeleteFunc(inputs, func(in input) bool { return !share.holds(in) }), nil
	}
	b := &batch{dir: f.Out, format: format, list: "failures.csv"}
	if share.count > 1 {
		b.list = fmt.Sprintf("failures-%d-of-%d.csv", share.index, share.count)
	}
	if err := b.checkDistinct(inputs); err != nil {
		return nil, err
	}
	j.batch = b
	var todo []input
	for _, in := range inputs {
		if !share.holds(in) {
			continue
		}
		b.all++
		done := false
		if in.err == nil {
			done, in.err = b.isDone(in)
		}
		if done && !f.Force {
			b.done++
			continue
		}
		todo = append(todo, in)
	}
	return todo, nil
}

// checkDistinct returns an error that names two inputs whose results would be the same file.
func (b *batch) checkDistinct(inputs []input) error {
	names := make(map[string]string, len(inputs))
	for _, in := range inputs {
		if in.err != nil {
			continue
		}
		if other, taken := names[in.rel]; taken {
			return fmt.Errorf("%s and %s would both have their results in %s; give the folder above them, or each folder of results its own --out", other, in.name, b.path(in))
		}
		if b.path(in) == filepath.Join(b.dir, b.list) {
			return fmt.Errorf("%s would have its results in %s, where the failures are listed", in.name, b.path(in))
		}
		names[in.rel] = in.name
	}
	return nil
}

// isDone reports whether an input has results that are not older than itself. A result file is whole, since it takes its name
// when it is; an empty one is not ours, unless it is a label track without labels. The error says why there cannot be results.
func (b *batch) isDone(in input) (bool, error) {
	path := b.path(in)
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
	return err == nil && (result.Size() > 0 || b.format == "audacity") && !source.ModTime().After(result.ModTime()), nil
}

// reportsTo returns where the report of the whole run goes. Next to result files, it has errors and the summary, in the formats
// that tell them.
func (j *job) reportsTo(format string) io.Writer {
	if j.batch != nil && (format != "json" && format != "ndjson") {
		return io.Discard
	}
	return j.out
}

// writeFiles is write for a batch.
func (j *job) writeFiles(ctx context.Context, stop context.CancelCauseFunc, d *desk) error {
	if err := os.MkdirAll(j.batch.dir, 0o777); err != nil {
		return err
	}
	var writers sync.WaitGroup
	for range resultWriters {
		writers.Go(func() {
			for s := range d.sounds {
				if err := j.writeFile(ctx, d, s); err != nil {
					stop(err)
				}
			}
		})
	}
	writers.Wait()
	err := j.close(ctx)
	j.batch.tell(j)
	if listErr := j.batch.writeFailures(); err == nil {
		err = listErr
	}
	return err
}

// errUnfinished keeps what was heard of a sound until the run ended from becoming a file.
var errUnfinished = errors.New("unfinished")

// writeFile writes one sound's result file. It returns an error that ends the run.
func (j *job) writeFile(ctx context.Context, d *desk, s *sound) error {
	if s.input.err != nil {
		return j.countFile(s, outcome{err: reason(s.input.err)})
	}
	if ctx.Err() != nil && !d.hears(s) {
		return nil // the run ended before the sound began
	}
	path := j.batch.path(s.input)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	var o outcome
	err := atomicfile.Write(path, 0o644, func(w io.Writer) (err error) {
		o, err = j.writeResult(ctx, s, w)
		return err
	})
	switch {
	case errors.Is(err, errUnfinished):
		return nil
	case errors.Is(err, syscall.ENAMETOOLONG): // a matter of this input alone
		o.err = fmt.Errorf("%s: %w", path, reason(err))
	case err != nil && o.err == nil:
		return fmt.Errorf("%s: %w", path, reason(err))
	}
	return j.countFile(s, o)
}

// writeResult writes a sound's results to w. Its error is the outcome's where the sound failed.
func (j *job) writeResult(ctx context.Context, s *sound, w io.Writer) (outcome, error) {
	r := newReport(j.batch.format, w, j, []input{s.input})
	o, ended, err := j.follow(ctx, s, r)
	switch {
	case err != nil:
		return o, err
	case !ended:
		return o, errUnfinished
	case o.err != nil:
		return o, o.err
	}
	r.end(s.name, o)
	of := j.constants
	of.Files, of.Windows, of.Events, of.AudioSeconds = 1, o.windows, o.events, o.length
	return o, r.close(of)
}

// countFile adds a sound that has ended to the summary and the failures.
func (j *job) countFile(s *sound, o outcome) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count(s.name, o)
	if o.err == nil {
		return nil
	}
	j.batch.failures = append(j.batch.failures, failure{s.name, o.err.Error()})
	j.report.fail(s.name, o.err)
	j.report.flush() // its error stays for close
	if j.failFast {
		return errFailFast
	}
	return nil
}

// writeFailures lists the run's failures, or removes the list of an earlier run.
func (b *batch) writeFailures() error {
	path := filepath.Join(b.dir, b.list)
	if len(b.failures) == 0 {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	slices.SortFunc(b.failures, func(x, y failure) int { return strings.Compare(x.File, y.File) })
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		rows := csv.NewWriter(w)
		rows.Write([]string{"file", "error"})
		for _, f := range b.failures {
			rows.Write([]string{f.File, f.Error})
		}
		rows.Flush()
		return rows.Error()
	})
}

// tell says on standard error what the run did.
func (b *batch) tell(j *job) {
	s := &j.summary
	if len(j.inputs) == 0 {
		return // run has said so
	}
	elapsed := time.Duration(s.Elapsed * seconds(time.Second))
	text := fmt.Sprintf("%d of %d files classified: %.2f h of sound in %v", s.Files-s.Failed, b.all, s.AudioSeconds/3600, elapsed.Round(time.Millisecond))
	if s.Elapsed > 0 {
		text += fmt.Sprintf(" (%.0f x real time)", s.AudioSeconds/s.Elapsed)
	}
	if b.done > 0 {
		text += fmt.Sprintf("; %d had results already (--force classifies them again)", b.done)
	}
	if s.Failed > 0 {
		text += fmt.Sprintf("; %d failed, see %s", s.Failed, filepath.Join(b.dir, b.list))
	}
	fmt.Fprintf(j.err, "classify: %s\n", text)
}

// idle says why there is nothing to do.
func (j *job) idle() string {
	of := ""
	if j.summary.Shard != "" {
		of = " of shard " + j.summary.Shard
	}
	if j.batch == nil || j.batch.all == 0 {
		return "no inputs" + of
	}
	return fmt.Sprintf("all %d inputs%s have results in %s (--force classifies them again)", j.batch.all, of, j.batch.dir)
}
