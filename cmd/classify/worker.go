package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/device"
)

// worker classifies inputs, one after the other.
type worker struct {
	recognizer *polyphon.Recognizer
	queue      *queue
	stdin      io.Reader
	labels     int    // of each window
	windows    bool   // long sounds are answered by windows, not by events
	saver      *saver // of events
	failFast   bool   // no input is begun after one that failed
	batch      int    // inputs that are computed together, at most

	decoder audio.Decoder // of one input after the other
	pending []pending     // in the order of the inputs
	clips   []audio.Clip  // those of pending that did not fail; their memory is used again
}

// pending is an input that has been read to its end and waits to be computed together with others.
type pending struct {
	item   *item
	result record
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

// begin reads an input. It is classified now where it is longer than a window, and otherwise with others.
func (w *worker) begin(ctx context.Context, it *item) error {
	live := it.name == stdinName // it may take its time
	if live {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	in, err := w.open(it.input)
	if err != nil {
		return w.add(ctx, it, nil, record{err: err})
	}
	defer in.Close()
	src, err := w.decode(in)
	if err != nil {
		return w.add(ctx, it, nil, record{err: err})
	}
	samples := w.buffer()
	n, err := audio.ReadFull(src, samples)
	if n == len(samples) {
		return w.long(ctx, it, &resumed{Source: src, beginning: samples, err: err})
	}
	if err == io.EOF {
		err = nil
	}
	err = w.add(ctx, it, samples[:n], record{err: err, warning: w.decoder.Warning()})
	if err == nil && live {
		err = w.flush(ctx)
	}
	return err
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

// buffer returns memory for the next clip: for a window and one sample, which tells whether a sound is longer.
func (w *worker) buffer() []float32 {
	if w.clips == nil {
		w.clips = make([]audio.Clip, 0, w.batch)
	}
	next := &w.clips[:w.batch][len(w.clips)]
	if next.Samples == nil {
		*next = audio.Clip{
			Rate: w.recognizer.Model().Features.Rate, Samples: make([]float32, w.recognizer.Model().WindowSamples()+1),
		}
	}
	return next.Samples[:cap(next.Samples)]
}

// add puts an input with those that wait: the beginning of the next clip's memory, or a failure.
func (w *worker) add(ctx context.Context, it *item, samples []float32, r record) error {
	r.done = true
	if w.pending = append(w.pending, pending{it, r}); r.err == nil {
		w.clips = w.clips[:len(w.clips)+1]
		w.clips[len(w.clips)-1].Samples = samples
	} else if w.failFast {
		w.queue.close()
	}
	if len(w.pending) == w.batch {
		return w.flush(ctx)
	}
	return nil
}

// flush classifies the inputs that wait.
func (w *worker) flush(ctx context.Context) error {
	results := w.recognizer.ClassifyBatch(w.clips)
	for _, p := range w.pending {
		if p.result.err == nil {
			clip, answer := w.clips[len(w.clips)-len(results)], results[0]
			results = results[1:]
			if fault, failed := errors.AsType[*device.Fault](answer.Err); failed {
				return fault
			}
			if p.result.err = answer.Err; answer.Err == nil {
				end := float64(len(clip.Samples)) / float64(clip.Rate)
				p.result.window, p.result.length = w.cut(polyphon.Window{End: end, Scores: answer.Scores}), seconds(end)
			} else if w.failFast {
				w.queue.close()
			}
		}
		if !w.queue.put(ctx, p.item, p.result) {
			return ctx.Err()
		}
	}
	w.pending, w.clips = w.pending[:0], w.clips[:0]
	return nil
}

// cut leaves a window the labels that are wanted.
func (w *worker) cut(window polyphon.Window) polyphon.Window {
	window.Scores = slices.Clone(window.Scores[:w.labels])
	return window
}

// long classifies a sound that is longer than a window.
func (w *worker) long(ctx context.Context, it *item, src *resumed) error {
	if err := w.flush(ctx); err != nil { // in the order of the inputs
		return err
	}
	src.progress = func() { w.queue.put(ctx, it, record{length: src.seconds()}) }
	var err error
	if w.windows {
		err = w.findWindows(ctx, it, src)
	} else {
		err = w.findEvents(ctx, it, src)
	}
	if fault, failed := errors.AsType[*device.Fault](err); failed {
		return fault
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && w.failFast {
		w.queue.close()
	}
	w.queue.put(ctx, it, record{done: true, err: err, length: src.seconds(), warning: w.decoder.Warning()})
	return nil
}

func (w *worker) findWindows(ctx context.Context, it *item, src audio.Source) error {
	for window, err := range w.recognizer.Windows(ctx, src) {
		if err != nil {
			return err
		}
		if !w.queue.put(ctx, it, record{window: w.cut(window), length: seconds(window.End)}) {
			return ctx.Err()
		}
	}
	return nil
}

func (w *worker) findEvents(ctx context.Context, it *item, src audio.Source) error {
	for found, err := range w.recognizer.Events(ctx, src) {
		e := newEvent(it.name, found)
		if err == nil {
			err = w.saver.save(e, found)
		}
		if err != nil {
			return err
		}
		if !w.queue.put(ctx, it, record{event: &e}) {
			return ctx.Err()
		}
	}
	return nil
}

// resumed is a Source whose beginning has been read before. It counts the samples.
type resumed struct {
	audio.Source
	beginning []float32
	err       error // that came with the beginning
	samples   int64
	reported  seconds
	progress  func() // called once in a while
}

const progressEvery = 60 // seconds of sound

// Read implements audio.Source.
func (s *resumed) Read(dst []float32) (n int, err error) {
	if len(s.beginning) > 0 {
		n = copy(dst, s.beginning)
		if s.beginning = s.beginning[n:]; len(s.beginning) == 0 {
			err = s.err
		}
	} else {
		n, err = s.Source.Read(dst)
	}
	s.samples += int64(n)
	if now := s.seconds(); now >= s.reported+progressEvery {
		s.reported = now
		s.progress()
	}
	return n, err
}

func (s *resumed) seconds() seconds { return seconds(float64(s.samples) / float64(s.Rate())) }
