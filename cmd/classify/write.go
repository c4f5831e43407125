package main

import (
	"context"
	"fmt"
)

// write hands what was heard to the report, in the order of the inputs. It reports whether the run was interrupted, in which
// case it still writes what has been finished.
func (j *job) write(ctx context.Context, order <-chan *sound) (interrupted bool, err error) {
	progress := newProgress(j.streams, len(j.inputs))
	for s := range order {
		ended, err := j.writeSound(ctx, s, progress)
		if err != nil {
			return false, err
		}
		if ended {
			progress.add()
		}
	}
	progress.clear()
	j.summary.Interrupted = ctx.Err() != nil
	if err := j.report.close(j.summary); err != nil {
		return false, err
	}
	return j.summary.Interrupted, nil
}

// writeSound writes one sound's events as they come and reports whether its end was among them.
func (j *job) writeSound(ctx context.Context, s *sound, progress *progress) (ended bool, err error) {
	var length seconds
	for {
		e, ok, err := j.next(ctx, s)
		switch {
		case err != nil || !ok:
			return false, err
		case !e.done:
			length = seconds(e.window.End)
			j.summary.Windows++
			j.report.window(s.name, e.window)
			continue
		}
		j.summary.Files++
		j.summary.AudioSeconds += length
		progress.clear()
		if e.warning != "" {
			fmt.Fprintf(j.err, "classify: %s: warning: %s\n", s.name, e.warning)
		}
		if e.err == nil {
			j.report.end(s.name)
			return true, nil
		}
		e.err = reason(e.err)
		j.summary.Failed++
		fmt.Fprintf(j.err, "classify: %s: %v\n", s.name, e.err)
		j.report.fail(s.name, e.err)
		return true, nil
	}
}

// next returns the sound's next event. Before it waits for one, it writes out what there is. ok is false when the run
// is interrupted and no event is there.
func (j *job) next(ctx context.Context, s *sound) (e event, ok bool, err error) {
	select {
	case e = <-s.heard:
		return e, true, nil
	default:
	}
	if err := j.report.flush(); err != nil {
		return event{}, false, err
	}
	select {
	case e = <-s.heard:
		return e, true, nil
	case <-ctx.Done():
		return event{}, false, nil
	}
}
