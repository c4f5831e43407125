package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/device"
	"github.com/polyphon/polyphon/polynet"
)

// job is one run of the command: inputs go to the workers, one goroutine each, and what these hear comes back in the
// order of the inputs.
type job struct {
	streams
	classifier *polynet.Classifier
	device     *computing.Device
	options    polynet.Options
	inputs     []input
	workers    []*worker
	report     report
	batch      *batch // nil: all results go to report
	failFast   bool
	constants  summary // what the summaries of result files and of the run have in common
	begun      time.Time

	mu       sync.Mutex // guards what follows, and report where there is a batch
	summary  summary
	progress *progress
}

// sound is an input on its way through a worker.
type sound struct {
	input
	desk    *desk
	heard   []event       // and not yet written; the last one is done
	arrived chan struct{} // closed when something is heard; nil: nobody waits for that
	warning string        // once it has been read
}

// event is something heard in a sound, or its end.
type event struct {
	window    polynet.Window // where it has scores
	detection *detect.Event  // where there is one
	length    float64        // seconds of the sound so far; 0: no news
	done      bool
	err       error
	warning   string
}

// run classifies the inputs and returns the exit status.
func (j *job) run(ctx context.Context) int {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	j.begun = time.Now()
	if len(j.inputs) == 0 {
		fmt.Fprintf(j.err, "classify: nothing to do: %s\n", j.idle())
	}
	d := newDesk(j.inputs)
	d.failFast = j.failFast
	defer context.AfterFunc(ctx, d.close)()
	var workers sync.WaitGroup
	for _, w := range j.workers {
		workers.Go(func() {
			defer func() {
				if failed := device.Recovered(recover()); failed != nil {
					stop(failed)
				}
			}()
			j.work(ctx, w, d)
		})
	}
	err := j.write(ctx, stop, d)
	stop(nil)
	switch {
	case errors.Is(err, context.Canceled): // a worker may still wait for the standard input
		how := ""
		if j.batch != nil {
			how = "; the same command goes on with the rest"
		}
		fmt.Fprintf(j.err, "classify: interrupted%s\n", how)
		return statusInterrupted
	case errors.As(err, new(*device.Fault)):
		fmt.Fprintf(j.err, "classify: %v\n", err)
		return statusModel
	case err != nil:
		if !errors.Is(err, syscall.EPIPE) { // whoever reads the results has heard enough
			fmt.Fprintf(j.err, "classify: %v\n", err)
		}
		return statusFailed
	}
	workers.Wait()
	if err := j.device.Close(); err != nil {
		fmt.Fprintf(j.err, "classify: %v\n", err)
		return statusModel
	}
	if j.summary.Failed > 0 {
		return statusFailed
	}
	return statusOK
}

// work classifies sounds until there are no more. Short ones share a batch as long as the next one is at hand.
func (j *job) work(ctx context.Context, w *worker, d *desk) {
	decoder := new(audio.Decoder) // of one file after the other
	for {
		s, ok := d.next(ctx, false)
		if !ok {
			w.Flush()
			s, _ = d.next(ctx, true)
		}
		if s == nil {
			w.Flush()
			return
		}
		if s.name == stdinName {
			w.Flush() // the sound may take its time
			j.listen(ctx, w, s)
			continue
		}
		j.open(ctx, w, decoder, s)
	}
}

// open classifies a file.
func (j *job) open(ctx context.Context, w *worker, d *audio.Decoder, s *sound) {
	if s.err != nil {
		s.end(ctx, event{err: s.err})
		return
	}
	f, err := os.Open(s.name)
	if err != nil {
		s.end(ctx, event{err: err})
		return
	}
	defer f.Close()
	s.classify(ctx, w, d, f)
}

// listen classifies the standard input, each window as soon as it has arrived.
func (j *job) listen(ctx context.Context, w *worker, s *sound) {
	o := j.options
	o.Batch = 1
	single, err := j.classifier.Worker(o)
	if err != nil {
		s.end(ctx, event{err: err})
		return
	}
	s.classify(ctx, &worker{Worker: single, long: w.long}, new(audio.Decoder), j.in)
}

// classify reads the sound in r to its end.
func (s *sound) classify(ctx context.Context, w *worker, d *audio.Decoder, r io.Reader) {
	if err := d.Reset(interruptible{r, ctx}); err != nil {
		s.end(ctx, event{err: err})
		return
	}
	if w.long != nil {
		s.detect(ctx, w, warned{d, s})
		return
	}
	s.windows(ctx, w, warned{d, s})
}

// warned is a decoder that leaves its warning with the sound, since it reads another one before this one's windows have been
// classified.
type warned struct {
	*audio.Decoder
	sound *sound
}

func (w warned) Read(dst []float32) (int, error) {
	n, err := w.Decoder.Read(dst)
	if err != nil {
		w.sound.warning = w.Warning()
	}
	return n, err
}

// windows classifies the windows of a source.
func (s *sound) windows(ctx context.Context, w *worker, src audio.Source) {
	w.Push(src,
		func(window polynet.Window) bool { return s.send(ctx, event{window: window, length: window.End}) },
		func(err error) { s.end(ctx, event{err: err}) })
}

func (s *sound) end(ctx context.Context, e event) {
	e.done, e.warning = true, s.warning
	s.send(ctx, e)
}

// send hands an event to the writer, and reports whether the writer still wants them.
func (s *sound) send(ctx context.Context, e event) bool {
	if e.err != nil && ctx.Err() != nil {
		return false // the interruption itself
	}
	return s.desk.put(ctx, s, e)
}

// interruptible is a reader that ends in the context's error.
type interruptible struct {
	r   io.Reader
	ctx context.Context
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// reason returns err without the paths that the message names anyway.
func reason(err error) error {
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
