package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"golang.org/x/sync/errgroup"
)

// How many inputs a worker computes together: enough to use weights well once they are in the cache, and to keep a GPU
// busy.
const (
	batchCPU = 16
	batchGPU = 64
)

// classify classifies files and the standard input.
func (c *cli) classify(ctx context.Context, s program.Streams, l *loaded) error {
	share, err := c.Many.share(s.Err)
	if err != nil {
		return usage(err)
	}
	out, err := c.newResults(share)
	if err != nil {
		return err
	}
	paths := expandPatterns(c.Paths)
	sorter, err := c.newSorter(l, paths)
	if err != nil {
		return err
	}
	defer sorter.close()
	list := listing{paths, share, sorter}
	found, err := list.survey(ctx, out)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return usage(err)
	case out == nil && c.Format == "audacity" && found.inputs > 1:
		return usage(errors.New("--format audacity is about one sound; for more of them, give --out"))
	}
	inputs := list.shared(ctx)
	if out != nil {
		inputs = out.todo(inputs, c.Many.Force)
	}
	inputs = sorter.todo(inputs)
	saver, err := newSaver(c.Events.Save, l.Model().Features.Rate)
	if err != nil {
		return err
	}
	defer saver.close()
	threads := max(1, min(cmp.Or(c.Threads, runtime.GOMAXPROCS(0)), found.inputs))
	batch := batchCPU
	if l.device.GPU() {
		batch = batchGPU
	}
	batch = max(1, min(found.inputs, batch))
	o := c.formatOptions(l, found, threads)
	r := &run{
		queue: newQueue(inputs, threads*batch), tally: newTally(s, o, out, sorter, share), out: out,
		sorter: sorter, options: o, failFast: c.Many.FailFast,
	}
	var workers []*worker
	for range threads {
		workers = append(workers, &worker{
			recognizer: l.Recognizer, queue: r.queue, tally: r.tally, stdin: s.In, labels: o.labels,
			as: c.as(), only: l.only, saver: saver, failFast: c.Many.FailFast, batch: batch,
		})
	}
	if err := r.run(ctx, workers); err != nil {
		return err
	}
	if err := l.device.Close(); err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	if r.tally.summary.Failed > 0 {
		return program.Exit(program.StatusFailed)
	}
	return nil
}

// run is what the work on many inputs consists of, besides workers.
type run struct {
	queue    *queue
	tally    *tally
	out      *results // nil: results are written to the standard output
	sorter   *sorter  // nil without --sort
	options  formatOptions
	failFast bool
}

var errFailFast = errors.New("stopped at the first failure (--fail-fast)")

// run classifies the inputs. When it is interrupted, it still writes what has been finished, and does not wait for
// workers, which may be reading the standard input.
func (r *run) run(ctx context.Context, workers []*worker) error {
	writers, write, hold := 1, r.write, outputHold
	if r.out != nil {
		writers, write, hold = resultWriters, r.writeFile, filesHold
	}
	defer program.Hold(ctx, hold)()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	working, ctx := errgroup.WithContext(ctx)
	for _, w := range workers {
		working.Go(func() error { return w.run(ctx) })
	}
	defer context.AfterFunc(ctx, r.queue.close)()
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for it := range r.queue.begun {
				if err := write(ctx, it); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	writing.Wait()
	err := r.tally.close(ctx)
	if r.out != nil {
		err = cmp.Or(r.out.broken, err, r.out.writeFailures(), r.out.index.close())
	}
	switch {
	case err == nil:
		return working.Wait()
	case errors.Is(err, context.Canceled) && (r.out != nil || r.sorter != nil):
		err = errors.New("interrupted; the same command goes on with the rest")
		return program.WithStatus(program.StatusInterrupted, err)
	case program.BrokenPipe(err): // nobody reads the results any more
		return program.Exit(program.StatusFailed)
	}
	return err
}

// write writes the results of an input to the standard output. Its error ends the run.
func (r *run) write(ctx context.Context, it *item) error {
	o, ended, err := r.follow(ctx, it, r.tally.format)
	if err != nil {
		return err
	}
	if ended && o.err == nil {
		o.err = r.sorter.sort(it.input, o.Answer)
	}
	return r.count(it, o, ended)
}

// count counts an input. Its error ends the run.
func (r *run) count(it *item, o outcome, ended bool) error {
	r.tally.add(it.name, o, ended)
	if o.err != nil && r.failFast {
		return errFailFast
	}
	return nil
}

// outcome is what became of an input: its record, or why it failed.
type outcome struct {
	result
	err error
}

// follow writes the records of an input to f as they come, and returns what became of it. ended is false when the run
// ended before the input did.
func (r *run) follow(ctx context.Context, it *item, f format) (o outcome, ended bool, err error) {
	for !ended {
		rec, ok, err := r.queue.take(ctx, it, f.Flush)
		if err != nil || !ok {
			return o, false, err
		}
		events, windows, refused := o.Events, o.Windows, o.RefusedWindows
		switch {
		case rec.event != nil:
			f.Event(*rec.event)
			events++
		case rec.window != nil:
			f.Window(*rec.window)
			windows++
			if rec.window.Refused {
				refused++
			}
		}
		ended, o = rec.done, outcome{rec.result, reason(rec.err)}
		o.Events, o.Windows, o.RefusedWindows = events, windows, refused
	}
	return o, true, nil
}

// reason returns err without the paths that messages name anyway.
func reason(err error) error {
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
