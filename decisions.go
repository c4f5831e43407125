package polyphon

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/inference"
)

// Decision is the network's answer for the window of a sound from Start to End, in seconds: P holds each label's
// probability in the model's order, and is valid until the next Decision. Used is the end of the sound that had to
// arrive before it, in seconds, and Gated reports that all of it was silence (WithGate).
type Decision = inference.Decision

// Decisions yields the probabilities over time from which live sound's events are made, so that operating points
// (detect.Config) can be tried without computing again. There is one decision a hop (WithHop), computed in the steps of
// live sound. P is nil, which counts as zeros, where the probabilities are not finite. An error ends the sequence: the
// source's, ctx's, audio.ErrEmpty, audio.ErrFormat, ErrClosed.
func (r *Recognizer) Decisions(ctx context.Context, src audio.Source) iter.Seq2[Decision, error] {
	return func(yield func(Decision, error) bool) {
		src, err := audio.Resample(src, r.Model().Features.Rate)
		if err != nil {
			yield(Decision{}, err)
			return
		}
		o := r.stream
		o.Step = inference.LiveStep
		for d, err := range r.decisions(ctx, src, o, make([]float32, pieceSamples), 0) {
			if errors.Is(err, ErrDiverged) {
				err = nil
			}
			if !yield(d, err) {
				return
			}
		}
	}
}

// decisions yields those of a new stream of src, which has the model's rate. It reads src into buffer, which holds its
// first n samples already. An error that wraps ErrDiverged is about its decision only; any other ends the sequence.
func (r *Recognizer) decisions(
	ctx context.Context, src audio.Source, o inference.StreamOptions, buffer []float32, n int,
) iter.Seq2[Decision, error] {
	return func(yield func(Decision, error) bool) {
		stream, err := r.newStreams(1, o)
		if err != nil {
			yield(Decision{}, err)
			return
		}
		defer stream.Close()
		for {
			audio.ReplaceOdd(buffer[:n])
			stream.Push(0, buffer[:n])
			if err == io.EOF {
				stream.Flush(0)
			}
			for {
				_, d, ok, failed := nextDecision(stream)
				if !ok && failed == nil {
					break
				}
				if !yield(d, failed) || !ok {
					return
				}
			}
			switch {
			case err == io.EOF:
				return
			case err == nil:
				err = ctx.Err()
			}
			if err != nil {
				yield(Decision{}, err)
				return
			}
			n, err = src.Read(buffer)
			if err == io.EOF && stream.Stats(0).Samples+n == 0 {
				err = audio.ErrEmpty
			}
		}
	}
}

// newStreams returns a group of n streams of the plan.
func (r *Recognizer) newStreams(n int, o inference.StreamOptions) (g *inference.Group, err error) {
	defer catchFault(&err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	return r.plan.Group(n, o)
}

// nextDecision is g.Next with a device's failure as an error, where ok is false.
func nextDecision(g *inference.Group) (i int, d Decision, ok bool, err error) {
	defer catchFault(&err)
	return g.Next()
}
