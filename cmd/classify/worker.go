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
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// worker classifies inputs, one after the other. Those no longer than a window wait for others to be computed with.
type worker struct {
	recognizer *polyphon.Recognizer
	queue      *queue
	tally      *tally
	stdin      io.Reader
	labels     int    // of each window and result
	as         string // how sounds are answered, auto included
	only       labelSet
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
	warning []safe.String
}

// warning returns the decoder's warnings.
func (w *worker) warning() []safe.String { return records.Warnings(w.decoder.Warning()) }

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
	defer w.decoder.Close()
	if err != nil {
		return w.end(ctx, it, record{err: err})
	}
	samples := w.buffer()
	n, err := audio.ReadFull(src, samples)
	w.tally.processed(n, src.Rate())
	switch {
	case n == len(samples) || w.as == records.AsEvents:
		return w.long(ctx, it, &records.Sound{
			Source: src, Beginning: samples[:n], Err: err,
			Processed: func(samples int) { w.tally.processed(samples, src.Rate()) },
		}, isRegular(in))
	case err != io.EOF:
		return w.end(ctx, it, record{err: err, result: result{Warning: w.warning()}})
	}
	w.pending = append(w.pending, pending{it, w.warning()})
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

// isRegular reports whether an input is a regular file, and no pipe that may take its time.
func isRegular(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
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
		it, length := w.pending[i].item, seconds(float64(len(w.clips[i].Samples))/float64(w.clips[i].Rate))
		r := record{err: answer.Err, result: w.result(it, records.AsClip, length, answer.Scores)}
		r.result.Warning = w.pending[i].warning
		if w.as == records.AsWindows && answer.Err == nil {
			r.result.As = records.AsWindows
		}
		if r.result.As == records.AsWindows && w.only.has(answer.Scores[0].Label) {
			r.window = &window{File: r.result.File, End: length, Answer: r.result.Answer}
		}
		if err := w.finish(ctx, it, r); err != nil {
			return err
		}
	}
	w.pending, w.clips = w.pending[:0], w.clips[:0]
	return nil
}

// result returns the record of an input.
func (w *worker) result(it *item, as string, length seconds, scores []polyphon.Score) result {
	return result{
		File: safe.String(it.name), Seconds: length, As: as, Answer: records.NewAnswer(w.recognizer, scores, w.labels),
	}
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

// long classifies a sound that is longer than a window, or is to be searched for events. It is that of a regular file,
// or not.
func (w *worker) long(ctx context.Context, it *item, src *records.Sound, regular bool) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	as, sound := src.Choose(w.as, w.recognizer), audio.Source(src)
	if regular {
		sound = polyphon.Recording{Source: src}
	}
	whole := w.recognizer.NewOverall()
	scores, err := records.Find(ctx, w.recognizer, as, sound, whole, records.Finder{
		Window: func(found polyphon.Window) error {
			if !w.only.has(found.Scores[0].Label) {
				return nil
			}
			return w.put(ctx, it, record{window: w.window(it, found)})
		},
		Event: func(found polyphon.Event) error {
			if !w.only.has(found.Label) {
				return nil
			}
			e := records.NewEvent(it.name, found)
			if err := w.saver.save(e, found); err != nil || found.Near {
				return err
			}
			return w.put(ctx, it, record{event: &e})
		},
	})
	r := record{err: err, result: w.result(it, as, src.Seconds(), scores)}
	r.result.RefusedEvents = whole.RefusedEvents
	r.result.Warning = w.warning()
	return w.finish(ctx, it, r)
}

// put puts a record that is not the last one of its input.
func (w *worker) put(ctx context.Context, it *item, r record) error {
	if w.queue.put(ctx, it, r) {
		return nil
	}
	return ctx.Err()
}

func (w *worker) window(it *item, found polyphon.Window) *window {
	return &window{
		File: safe.String(it.name), Start: seconds(found.Start), End: seconds(found.End),
		Answer: records.NewAnswer(w.recognizer, found.Scores, w.labels),
	}
}
