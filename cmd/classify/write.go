package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errFailFast ends a run with --fail-fast.
var errFailFast = errors.New("stopped at the first failure (--fail-fast)")

// outcome is what became of a sound.
type outcome struct {
	windows int
	events  int
	length  seconds
	warning string
	err     error
}

// write hands what was heard to the reports. It returns nil when all inputs were tried, context.Canceled when the run was
// interrupted, in which case it still writes what has been finished, or what else ended the run. It may call stop,
// which ends the work.
func (j *job) write(ctx context.Context, stop context.CancelCauseFunc, d *desk) error {
	j.progress = newProgress(j.streams, len(j.inputs), j.batch != nil)
	if j.batch != nil {
		return j.writeFiles(ctx, stop, d)
	}
	for s := range d.sounds {
		o, ended, err := j.follow(ctx, s, j.report)
		if err != nil {
			return err
		}
		if !ended {
			j.summary.Windows += o.windows // they have been written
			j.summary.Events += o.events
			continue
		}
		j.count(s.name, o)
		if o.err == nil {
			j.report.end(s.name, o)
			continue
		}
		j.report.fail(s.name, o.err)
		if j.failFast {
			stop(errFailFast)
			break
		}
	}
	return j.close(ctx)
}

// close ends the report of the run and returns why the run ended early, if it did.
func (j *job) close(ctx context.Context) error {
	j.progress.clear()
	cause := context.Cause(ctx)
	j.summary.Interrupted = cause != nil
	j.summary.Elapsed = seconds(time.Since(j.begun).Seconds())
	if err := j.report.close(j.summary); err != nil {
		return err
	}
	return cause
}

// follow hands a sound's windows and events to r as they come and returns what became of it. ended is false when the run ended before
// the sound did.
func (j *job) follow(ctx context.Context, s *sound, r report) (o outcome, ended bool, err error) {
	for {
		e, ok, err := next(ctx, s, r)
		if err != nil || !ok {
			return o, false, err
		}
		if e.done {
			j.hear(&o, e)
			o.warning, o.err = e.warning, e.err
			if o.err != nil {
				o.err = reason(o.err)
			}
			return o, true, nil
		}
		switch {
		case e.detection != nil:
			r.detection(newDetection(s.name, *e.detection))
			o.events++
		case e.window.Scores != nil:
			r.window(s.name, e.window)
			o.windows++
		}
		j.hear(&o, e)
	}
}

// hear notes how much of a sound has been heard.
func (j *job) hear(o *outcome, e event) {
	if length := seconds(e.length); length > o.length {
		j.mu.Lock()
		j.progress.hear(length - o.length)
		j.mu.Unlock()
		o.length = length
	}
}

// count adds a sound that has ended to the summary and tells what was wrong with it.
func (j *job) count(name string, o outcome) {
	j.summary.Files++
	j.summary.Windows += o.windows
	j.summary.Events += o.events
	j.summary.AudioSeconds += o.length
	if o.warning != "" || o.err != nil {
		j.progress.clear()
	}
	if o.warning != "" {
		fmt.Fprintf(j.err, "classify: %s: warning: %s\n", name, o.warning)
	}
	if o.err != nil {
		j.summary.Failed++
		fmt.Fprintf(j.err, "classify: %s: %v\n", name, o.err)
	}
	j.progress.add(o.err != nil)
}

// next returns the sound's next event. Before it waits for one, it writes out what there is. ok is false when the run
// has ended and no event is there.
func next(ctx context.Context, s *sound, r report) (e event, ok bool, err error) {
	e, arrived := s.desk.take(s)
	if arrived == nil {
		return e, true, nil
	}
	if err := r.flush(); err != nil {
		return event{}, false, err
	}
	select {
	case <-arrived:
		e, _ = s.desk.take(s)
		return e, true, nil
	case <-ctx.Done():
		return event{}, false, nil
	}
}
