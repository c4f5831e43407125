package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
)

// worker classifies inputs, one after the other. Those no longer than a window wait for others to be computed with.
type worker struct {
	recognizer *polyphon.Recognizer
	queue      *queue
	tally      *tally
	stdin      io.Reader
	labels     int    // of each window
	windows    bool   // long sounds are answered by windows, not by events
	saver      *saver // of events
	failFast   bool   // no input is begun after one that failed
	batch      int    // inputs that are computed together, at most

	decoder audio.Decoder // of one input after the other
	pending []pending     // inputs that wait
	clips   []audio.Clip  // theirs; the memory is used again
}

// pending is an input that has been read to its end.
type pending struct {
	item    *item
	warning string
}

// run classifies inputs until there are no more. Its error is the device's or ctx's.
func (w *worker) run(ctx context.Context) error {
	for it := w.queue.next(); it != nil; it = w.queue.next() {
		if err := w.begin(ctx, it); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// begin reads an input, and classifies it unless that can wait.
func (w *worker) begin(ctx context.Context, it *item) error {
	if it.name == stdinName { // it may take its time
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	in, err := w.open(it.input)
	if err != nil {
		return w.end(ctx, it, record{err: err})
	}
	defer in.Close()
	src, err := w.decode(in)
	if err != nil {
		return w.end(ctx, it, record{err: err})
	}
	samples := w.buffer()
	n, err := audio.ReadFull(src, samples)
	w.tally.processed(n, src.Rate())
	switch {
	case n == len(samples):
		return w.long(ctx, it, &resumed{Source: src, beginning: samples, err: err, tally: w.tally})
	case err != io.EOF:
		return w.end(ctx, it, record{err: err, warning: w.decoder.Warning()})
	}
	w.pending = append(w.pending, pending{it, w.decoder.Warning()})
	w.clips = append(w.clips, audio.Clip{Rate: src.Rate(), Samples: samples[:n]})
	if len(w.pending) == w.batch || it.name == stdinName {
		return w.flush(ctx)
	}
	return nil
}

func (w *worker) open(in input) (io.ReadCloser, error) {
	switch {
	case in.err != nil:
		return nil, in.err
	case in.name == stdinName:
		return io.NopCloser(w.stdin), nil
	}
	return os.Open(in.name)
}

// decode returns a sound at the model's rate.
func (w *worker) decode(r io.Reader) (audio.Source, error) {
	if err := w.decoder.Reset(r); err != nil {
		return nil, err
	}
	return audio.Resample(&w.decoder, w.recognizer.Model().Features.Rate)
}

// buffer returns the memory of the next clip: a window and one sample, which tells whether a sound is longer.
func (w *worker) buffer() []float32 {
	w.clips = slices.Grow(w.clips, 1)
	samples := w.clips[:len(w.clips)+1][len(w.clips)].Samples
	if samples == nil {
		samples = make([]float32, w.recognizer.Model().WindowSamples()+1)
	}
	return samples[:cap(samples)]
}

// flush classifies the inputs that wait.
func (w *worker) flush(ctx context.Context) error {
	for i, answer := range w.recognizer.ClassifyBatch(w.clips) {
		r := record{warning: w.pending[i].warning, err: answer.Err}
		if answer.Err == nil {
			end := float64(len(w.clips[i].Samples)) / float64(w.clips[i].Rate)
			r.window, r.length = w.cut(polyphon.Window{End: end, Scores: answer.Scores}), seconds(end)
		}
		if err := w.finish(ctx, w.pending[i].item, r); err != nil {
			return err
		}
	}
	w.pending, w.clips = w.pending[:0], w.clips[:0]
	return nil
}

// end finishes an input after those that wait, so that they come in order.
func (w *worker) end(ctx context.Context, it *item, r record) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	return w.finish(ctx, it, r)
}

// finish puts the last record of an input. Its error ends the run: a device that failed, or the end of ctx.
func (w *worker) finish(ctx context.Context, it *item, r record) error {
	fault, failed := errors.AsType[*device.Fault](r.err)
	switch {
	case failed:
		return fault
	case r.err != nil && ctx.Err() != nil: // r.err may be that
		return ctx.Err()
	case r.err != nil && w.failFast:
		w.queue.close()
	}
	r.done = true
	w.queue.put(ctx, it, r)
	return ctx.Err()
}

// long classifies a sound that is longer than a window.
func (w *worker) long(ctx context.Context, it *item, src *resumed) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	last := record{}
	for r, err := range w.records(ctx, it.name, src) {
		if err == nil && !w.queue.put(ctx, it, r) {
			err = ctx.Err()
		}
		if last.err = err; err != nil {
			break
		}
	}
	last.length, last.warning = seconds(float64(src.samples)/float64(src.Rate())), w.decoder.Warning()
	return w.finish(ctx, it, last)
}

// records yields what is found in a sound that is longer than a window.
func (w *worker) records(ctx context.Context, file string, src audio.Source) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		if w.windows {
			for window, err := range w.recognizer.Windows(ctx, src) {
				if !yield(record{window: w.cut(window)}, err) {
					return
				}
			}
			return
		}
		for found, err := range w.recognizer.Events(ctx, src) {
			e := newEvent(file, found)
			if err == nil {
				err = w.saver.save(e, found)
			}
			if !yield(record{event: &e}, err) {
				return
			}
		}
	}
}

// cut leaves a window the labels that are wanted.
func (w *worker) cut(window polyphon.Window) polyphon.Window {
	window.Scores = slices.Clone(window.Scores[:min(w.labels, len(window.Scores))])
	return window
}

// resumed is a Source whose beginning has been read before. It counts samples.
type resumed struct {
	audio.Source
	beginning []float32
	err       error // that came with the beginning
	samples   int
	tally     *tally
}

// Read implements audio.Source.
func (s *resumed) Read(dst []float32) (n int, err error) {
	if len(s.beginning) > 0 {
		n = copy(dst, s.beginning)
		if s.beginning = s.beginning[n:]; len(s.beginning) == 0 {
			err = s.err
		}
	} else {
		n, err = s.Source.Read(dst)
		s.tally.processed(n, s.Rate())
	}
	s.samples += n
	return n, err
}
