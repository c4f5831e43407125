package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/cmd/internal/safe"
	"github.com/polyphon/polyphon/device"
)

// worker classifies inputs, one after the other. Those no longer than a window wait for others to be computed with.
type worker struct {
	recognizer *polyphon.Recognizer
	queue      *queue
	tally      *tally
	stdin      io.Reader
	labels     int    // of each window and result
	as         string // how sounds are answered, auto included
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

// warningSeparator is between the warnings of a decoder.
const warningSeparator = "; "

// warning returns the decoder's warnings.
func (w *worker) warning() (list []safe.String) {
	for text := range strings.SplitSeq(w.decoder.Warning(), warningSeparator) {
		if text != "" {
			list = append(list, safe.String(text))
		}
	}
	return list
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
	defer w.decoder.Close()
	if err != nil {
		return w.end(ctx, it, record{err: err})
	}
	samples := w.buffer()
	n, err := audio.ReadFull(src, samples)
	w.tally.processed(n, src.Rate())
	switch {
	case n == len(samples) || w.as == asEvents:
		return w.long(ctx, it, &resumed{Source: src, beginning: samples[:n], err: err, tally: w.tally})
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
		r := record{err: answer.Err, result: w.result(it, asClip, length, answer.Scores)}
		r.result.Warning = w.pending[i].warning
		if w.as == asWindows && answer.Err == nil {
			r.result.As = asWindows
			r.window = &window{File: r.result.File, End: length, answer: r.result.answer}
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
		File: safe.String(it.name), Seconds: length, As: as, answer: newAnswer(w.recognizer, scores, w.labels),
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

// maxClipWindows is how many windows long a recording is at most that is answered as a clip unless flags say otherwise.
const maxClipWindows = 3

// long classifies a sound that is longer than a window, or is to be searched for events.
func (w *worker) long(ctx context.Context, it *item, src *resumed) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	as := w.as
	if as == asAuto {
		as = asEvents
		if src.endsWithin(maxClipWindows * w.recognizer.Model().WindowSamples()) {
			as = asClip
		}
	}
	scores, refused, err := w.answer(ctx, it, as, src)
	r := record{err: err, result: w.result(it, as, seconds(float64(src.samples)/float64(src.Rate())), scores)}
	r.result.RefusedEvents = refused
	r.result.Warning = w.warning()
	return w.finish(ctx, it, r)
}

// answer puts what is found in a sound, and returns the labels over the whole of it, and how many events were refused.
func (w *worker) answer(
	ctx context.Context, it *item, as string, src audio.Source,
) (scores []polyphon.Score, refused int, err error) {
	var whole polyphon.Overall
	put := func(r record) error {
		if w.queue.put(ctx, it, r) {
			return nil
		}
		return ctx.Err()
	}
	switch as {
	case asClip:
		scores, err = w.recognizer.ClassifySource(ctx, src)
		return scores, 0, err
	case asWindows:
		for found, err := range w.recognizer.Windows(ctx, src) {
			if err == nil {
				whole.Add(found.Scores)
				err = put(record{window: &window{safe.String(it.name), seconds(found.Start), seconds(found.End),
					newAnswer(w.recognizer, found.Scores, w.labels)}})
			}
			if err != nil {
				return nil, 0, err
			}
		}
	case asEvents:
		for found, err := range w.recognizer.EventsOverall(ctx, src, &whole) {
			e := newEvent(it.name, found)
			if err == nil {
				err = w.saver.save(e, found)
			}
			if err == nil {
				err = put(record{event: &e})
			}
			if err != nil {
				return nil, whole.RefusedEvents, err
			}
		}
	}
	return whole.Scores(), whole.RefusedEvents, nil
}

// resumed is a Source whose beginning has been read before. It counts samples.
type resumed struct {
	audio.Source
	beginning []float32
	err       error // that came with the beginning
	samples   int
	tally     *tally
}

// endsWithin reads ahead, and reports whether the sound has at most n samples.
func (s *resumed) endsWithin(n int) bool {
	ahead := s.beginning
	for len(ahead) <= n && s.err == nil {
		ahead = slices.Grow(ahead, n+1-len(ahead))
		var got int
		got, s.err = s.Source.Read(ahead[len(ahead):cap(ahead)])
		s.tally.processed(got, s.Rate())
		ahead = ahead[:len(ahead)+got]
	}
	s.beginning = ahead
	return s.err == io.EOF && len(ahead) <= n
}

// Read implements audio.Source.
func (s *resumed) Read(dst []float32) (n int, err error) {
	switch {
	case len(s.beginning) > 0:
		n = copy(dst, s.beginning)
		if s.beginning = s.beginning[n:]; len(s.beginning) == 0 {
			err = s.err
		}
	case s.err != nil:
		err = s.err
	default:
		n, err = s.Source.Read(dst)
		s.tally.processed(n, s.Rate())
	}
	s.samples += n
	return n, err
}
