package polyphon

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/inference"
)

// Decision is what the network says of one window of a sound.
type Decision = inference.Decision

// Decisions yields the probabilities over time from which live sound's events are made, so that operating points
// (detect.Config) can be tried without computing again. There is one decision a hop (WithHop), computed in the steps of
// live sound. P is nil, which counts as zeros, where the probabilities are not finite. An error ends the sequence: the
// source's, ctx's, audio.ErrEmpty.
func (r *Recognizer) Decisions(ctx context.Context, src audio.Source) iter.Seq2[Decision, error] {
	return func(yield func(Decision, error) bool) {
		src, err := audio.Resample(src, r.Model().Features.Rate)
		if err != nil {
			yield(Decision{}, err)
			return
		}
		o := inference.StreamOptions{Hop: r.stream.Hop, Step: inference.LiveStep, Gate: r.stream.Gate}
		for d, err := range r.decisions(ctx, src, o, make([]float32, eventPiece), 0) {
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
		stream, err := r.newStream(o)
		if err != nil {
			yield(Decision{}, err)
			return
		}
		defer stream.Close()
		for {
			stream.Push(buffer[:n])
			if err == io.EOF {
				stream.Flush()
			}
			for {
				d, ok, failed := nextDecision(stream)
				if !ok && failed == nil {
					break
				}
				if !yield(d, failed) || !ok {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Decision{}, err)
				return
			}
			n, err = src.Read(buffer)
			if err == io.EOF && stream.Stats().Samples+n == 0 {
				err = audio.ErrEmpty
			}
		}
	}
}

// newStream opens a stream of the plan.
func (r *Recognizer) newStream(o inference.StreamOptions) (s *inference.Stream, err error) {
	defer catchFault(&err)
	if r.isClosed() {
		return nil, ErrClosed
	}
	return r.plan.Stream(o)
}

// nextDecision is s.Next with a device's failure as an error.
func nextDecision(s *inference.Stream) (d Decision, ok bool, err error) {
	defer catchFault(&err)
	return s.Next()
}
