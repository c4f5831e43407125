package main

import (
	"github.com/polyphon/polyphon/detect"
	"github.com/polyphon/polyphon/polynet"
)

// ear finds the events in one sound that arrives bit by bit: a stream gives probabilities, a detector makes events of them.
type ear struct {
	stream   *polynet.Stream
	detector *detect.Detector
	rate     int     // hertz, of what is pushed
	tail     float64 // seconds of silence that follow the sound, so that its last word can be told

	// begun and ended are called, where they are not nil, when an event begins and when it has ended, with its span
	// estimated anew.
	begun, ended func(detect.Event)
	// failed is called for a decision that could not be taken; where it is nil, that is the end.
	failed func(error)

	samples int64   // of the sound so far
	length  float64 // seconds of the whole sound, once it has ended
}

// earBlock is how many samples are pushed at a time, at most.
const earBlock = 4096

// push hears more of the sound.
func (e *ear) push(samples []float32) error {
	e.samples += int64(len(samples))
	return e.hear(samples)
}

func (e *ear) hear(samples []float32) error {
	for len(samples) > 0 {
		n := min(len(samples), earBlock)
		e.stream.Push(samples[:n])
		if err := e.decide(); err != nil {
			return err
		}
		samples = samples[n:]
	}
	return nil
}

// decide takes the stream's decisions.
func (e *ear) decide() error {
	for {
		d, ok, err := e.stream.Next()
		switch {
		case err != nil && e.failed == nil:
			return err
		case err != nil:
			e.failed(err)
		}
		if !ok {
			return nil
		}
		if event, ok := e.detector.Push(d.Start, d.End, d.Heard, d.P); ok {
			e.tell(e.begun, event)
		}
		for _, event := range e.detector.Ended() {
			e.tell(e.ended, event)
		}
	}
}

// tell passes an event on. What begins in the silence behind the sound is no event, and none goes on into it.
func (e *ear) tell(to func(detect.Event), event detect.Event) {
	if over := e.length > 0; over && event.Start >= e.length {
		return
	} else if over {
		event.End, event.Time = min(event.End, e.length), min(event.Time, e.length)
	}
	if to != nil {
		to(event)
	}
}

// seconds returns how much of the sound has been pushed.
func (e *ear) seconds() float64 { return float64(e.samples) / float64(e.rate) }

// end hears the sound's end.
func (e *ear) end() error {
	e.length = e.seconds()
	if err := e.hear(make([]float32, int(e.tail*float64(e.rate)))); err != nil {
		return err
	}
	e.stream.Flush()
	if err := e.decide(); err != nil {
		return err
	}
	e.detector.Flush()
	for _, event := range e.detector.Ended() {
		e.tell(e.ended, event)
	}
	return nil
}

// reset makes the ear ready for another sound.
func (e *ear) reset() {
	e.stream.Reset()
	e.detector.Reset()
	e.samples, e.length = 0, 0
}
