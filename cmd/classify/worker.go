package main

import (
	"context"
	"io"
	"math"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// worker classifies sounds on one goroutine.
type worker struct {
	*polynet.Worker
	long *longSounds // nil: sounds longer than a window are told by their windows, too
}

// longSounds finds the events in sounds that are longer than a window.
type longSounds struct {
	rate   int // hertz, the model's
	window int // samples
	newEar func() (*ear, error)
	ear    *ear      // once it has been needed
	buffer []float32 // a window and a sample, or more
}

const (
	leastBuffer = 1 << 14 // samples
	signOfLife  = 60      // seconds of sound after which one is sent
)

func newLongSounds(m *polynet.Model, newEar func() (*ear, error)) *longSounds {
	l := &longSounds{rate: m.Features.Rate, window: int(math.Round(m.Window * float64(m.Features.Rate))), newEar: newEar}
	l.buffer = make([]float32, max(l.window+1, leastBuffer))
	return l
}

// detect classifies a sound that is not longer than a window as one recording, and finds the events in a longer one.
func (s *sound) detect(ctx context.Context, w *worker, src audio.Source) {
	l := w.long
	src, err := audio.Resample(src, l.rate)
	if err != nil {
		s.end(ctx, event{err: err})
		return
	}
	n, err := audio.ReadFull(src, l.buffer[:l.window+1])
	switch {
	case n > l.window:
		w.Flush() // the sounds before this one come first
		length, err := s.findEvents(ctx, l, n, src, err)
		s.end(ctx, event{err: err, length: length})
	case err == io.EOF:
		s.windows(ctx, w, audio.Clip{Rate: l.rate, Samples: l.buffer[:n]}.Source())
	default:
		s.end(ctx, event{err: err})
	}
}

// findEvents finds the events in a sound whose first n samples are in l's buffer and which goes on with src, unless err says how
// it ended. It returns the sound's length in seconds, or the error that ended it.
func (s *sound) findEvents(ctx context.Context, l *longSounds, n int, src audio.Source, err error) (float64, error) {
	ear, earErr := l.hire()
	if earErr != nil {
		return 0, earErr
	}
	wanted, told := true, 0.0
	ear.ended = func(d detect.Event) { wanted = wanted && s.send(ctx, event{detection: &d}) }
	for {
		if err := ear.push(l.buffer[:n]); err != nil {
			return ear.seconds(), err
		}
		if now := ear.seconds(); now > told+signOfLife {
			told = now
			wanted = wanted && s.send(ctx, event{length: now})
		}
		switch {
		case !wanted:
			return ear.seconds(), ctx.Err()
		case err == io.EOF:
			return ear.seconds(), ear.end()
		case err != nil:
			return ear.seconds(), err
		}
		n, err = audio.ReadFull(src, l.buffer)
	}
}

// hire returns the ear, ready for a sound.
func (l *longSounds) hire() (*ear, error) {
	if l.ear != nil {
		l.ear.reset()
		return l.ear, nil
	}
	var err error
	l.ear, err = l.newEar()
	return l.ear, err
}
