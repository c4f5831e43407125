package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/cmd/internal/progress"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// tally counts what becomes of the inputs. It reports failures and progress on standard error as they come, and the
// summary at the end. Several goroutines use it.
type tally struct {
	console io.Writer
	out     *results // nil without --out
	sorter  *sorter  // nil without --sort
	begun   time.Time
	watch   *driftWatch

	mu      sync.Mutex // guards what follows
	format  format     // of the standard output; with result files, it gets failures and the summary only
	summary summary
	length  float64 // seconds of the sound processed so far
	skipped int     // inputs with results that the bar counts
	bar     *progress.Bar
}

func newTally(s program.Streams, o formatOptions, out *results, sorter *sorter, share shard) *tally {
	t := &tally{console: s.Err, out: out, sorter: sorter, begun: time.Now(), watch: o.watch, summary: o.summary}
	if share.count > 1 {
		t.summary.Shard = share.String()
	}
	w := s.Out
	if out != nil {
		out.all = o.survey.inputs
		if o.name != "json" && o.name != "ndjson" { // others report no failures
			w = io.Discard
		}
	}
	t.format = newFormat(w, o)
	if n := o.survey.inputs; out != nil && n > 0 || n > 1 && !progress.IsTerminal(s.Out) {
		t.bar = progress.New(s.Err, n, "classify")
	}
	return t
}

// processed shows the progress by so many samples.
func (t *tally) processed(samples, rate int) {
	if t.bar == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.length += float64(samples) / float64(rate)
	text := fmt.Sprintf("%s of sound, %s x real time",
		progress.Duration(t.length), speed(t.length, time.Since(t.begun).Seconds()))
	if t.summary.Failed > 0 {
		text += fmt.Sprintf(", %d failed", t.summary.Failed)
	}
	t.bar.Describe(text)
}

// speed returns how many seconds of sound were processed a second.
func speed(sound, elapsed float64) string { return progress.Figure(sound / max(elapsed, 1e-6)) }

// add counts an input. Of one that did not end before the run did, it counts what has been written.
func (t *tally) add(name string, o outcome, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.summary.Windows += o.Windows
	t.summary.Events += o.Events
	t.summary.Refused += o.Refusals()
	if !ended {
		return
	}
	t.summary.Files++
	t.summary.AudioSeconds += o.Seconds
	drift := t.watch.news()
	if len(o.Warning) > 0 || o.err != nil || drift != "" {
		t.bar.Clear()
	}
	if drift != "" {
		fmt.Fprintf(t.console, "classify: %s\n", drift)
	}
	if len(o.Warning) > 0 {
		safe.Fprintf(t.console, "classify: %s: warning: %s\n", name, records.Joined(o.Warning))
	}
	switch {
	case o.err == nil && t.out == nil:
		t.format.Result(o.result)
	case o.err != nil:
		t.summary.Failed++
		safe.Fprintf(t.console, "classify: %s: %v\n", name, o.err)
		failed := failure{File: safe.String(name), Error: safe.String(o.err.Error())}
		t.format.Fail(failed)
		t.format.Flush() // its error stays for close
		if t.out != nil {
			t.out.failures = append(t.out.failures, failed)
		}
	}
	done := 1 - t.skipped
	t.skipped = t.done()
	t.bar.Add(done + t.skipped)
}

// done returns how many inputs had been done before.
func (t *tally) done() int {
	switch {
	case t.out != nil:
		return int(t.out.done.Load())
	case t.sorter != nil:
		return int(t.sorter.had.Load())
	}
	return 0
}

// close writes the summary, and returns why the run ended early, if it did.
func (t *tally) close(ctx context.Context) error {
	t.bar.Clear()
	cause := context.Cause(ctx)
	t.summary.Interrupted = cause != nil
	t.summary.Drift = t.watch.summary()
	t.summary.Elapsed = seconds(time.Since(t.begun).Seconds())
	t.summary.Skipped = t.done()
	switch {
	case t.sorter != nil:
		safe.Fprintf(t.console, "classify: %s\n", t.sorter.report())
	case t.out != nil && t.out.broken == nil || t.out == nil && t.idle():
		safe.Fprintf(t.console, "classify: %s\n", t.report())
	}
	if err := t.format.Close(t.summary); err != nil {
		return err
	}
	return cause
}

// idle reports whether there was nothing to do.
func (t *tally) idle() bool { return t.summary.Files == 0 && !t.summary.Interrupted }

// report says what was done with result files, or why there was nothing to do.
func (t *tally) report() string {
	s, out, of := t.summary, t.out, ""
	if s.Shard != "" {
		of = " of shard " + s.Shard
	}
	switch {
	case t.idle() && (out == nil || out.all == 0):
		return "nothing to do: no inputs" + of
	case t.idle():
		return fmt.Sprintf("nothing to do: all %d inputs%s have results in %s (--force classifies them again)",
			out.all, of, out.dir)
	}
	sound, elapsed := float64(s.AudioSeconds), float64(s.Elapsed)
	text := fmt.Sprintf("%d of %d files classified: %s of sound in %s (%s x real time)", s.Files-s.Failed, out.all,
		progress.Duration(sound), progress.Duration(elapsed), speed(sound, elapsed))
	if s.Skipped > 0 {
		text += fmt.Sprintf("; %d had results already (--force classifies them again)", s.Skipped)
	}
	if s.Failed > 0 {
		text += fmt.Sprintf("; %d failed, see %s", s.Failed, filepath.Join(out.dir, out.list))
	}
	return text
}
