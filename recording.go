package polyphon

import (
	"cmp"
	"context"
	"io"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/inference"
)

// Recording is a source all of which can be read as fast as one likes, as that of a file: ClassifySource, Windows,
// Events and EventsOverall then work on parts of it in as many goroutines as WithThreads says, for all recordings
// together, but for Events with a gate. Answers do not depend on how many these are. Windows and events come a part, up
// to two minutes, later.
type Recording struct{ audio.Source }

// partSeconds is how much of a recording a goroutine works on at a time.
const partSeconds = 120

// headed is a source whose beginning has been read, with an error or without.
type headed struct {
	audio.Source
	head []float32
	err  error
}

func (h *headed) Read(dst []float32) (n int, err error) {
	switch {
	case len(h.head) > 0:
		n = copy(dst, h.head)
		h.head = h.head[n:]
		return n, nil
	case h.err != nil:
		return 0, h.err
	}
	return h.Source.Read(dst)
}

// slotsOf returns what bounds the goroutines that work on a source; nil for other sources than a Recording.
func (r *Recognizer) slotsOf(src audio.Source) chan struct{} {
	if _, ok := src.(Recording); !ok {
		return nil
	}
	return r.slots
}

// newSlots returns room for so many goroutines, 0 being one a core.
func newSlots(threads int) chan struct{} {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return make(chan struct{}, threads)
}

// inOrder does the jobs that next returns until io.EOF, as many at a time as there are slots, and passes what comes of
// them to take, in the order of the jobs, on the caller's goroutine. An error of next or take ends it. Other goroutines
// have ended when it returns.
func inOrder[J, R any](slots chan struct{}, next func() (J, error), do func(J) R, take func(R) error) error {
	if cap(slots) <= 1 {
		for {
			job, err := next()
			if err == io.EOF {
				return nil
			}
			if err == nil {
				err = take(do(job))
			}
			if err != nil {
				return err
			}
		}
	}
	var working sync.WaitGroup
	defer working.Wait()
	stop, failed := make(chan struct{}), error(nil)
	defer close(stop)
	results := make(chan chan R, cap(slots))
	working.Go(func() {
		defer close(results)
		for {
			select {
			case slots <- struct{}{}: // before the sound is read, so that memory is bounded
			case <-stop:
				return
			}
			job, err := next()
			if err != nil {
				<-slots
				failed = err
				return
			}
			result := make(chan R, 1)
			working.Go(func() {
				defer func() { <-slots }()
				result <- do(job)
			})
			select {
			case results <- result:
			case <-stop:
				return
			}
		}
	})
	for result := range results {
		if err := take(<-result); err != nil {
			return err
		}
	}
	if failed == io.EOF {
		return nil
	}
	return failed
}

// recordingPart is a part of a recording.
type recordingPart struct {
	inference.Part
	until   int       // the end of its last decision, in samples, unless the sound ends in it
	samples []float32 // from From on
	first   int       // of these, the first one that no part before has
	last    bool
}

// partCutter cuts a recording into parts.
type partCutter struct {
	ctx     context.Context
	src     audio.Source
	part    func(sample int) inference.Part
	samples []float32 // from sample begin on
	begin   int
	number  int
	ended   bool
}

// next returns the next part; io.EOF after the last one.
func (c *partCutter) next() (p recordingPart, err error) {
	if c.ended {
		return p, io.EOF
	}
	if err := c.ctx.Err(); err != nil {
		return p, err
	}
	length := partSeconds * c.src.Rate()
	p.Part = c.part(c.number * length)
	c.number++
	following := c.part(c.number * length)
	p.until = following.Decided
	had := c.begin + len(c.samples)
	n := c.number*length + p.Ahead - had
	c.samples = slices.Grow(c.samples, n)
	n, err = audio.ReadFull(c.src, c.samples[len(c.samples):][:n])
	c.samples = c.samples[:len(c.samples)+n]
	switch {
	case err == io.EOF && len(c.samples) == 0:
		return p, audio.ErrEmpty
	case err == io.EOF:
		p.last, c.ended = true, true
	case err != nil:
		return p, err
	}
	audio.ReplaceOdd(c.samples[had-c.begin:])
	p.samples, p.first = slices.Clone(c.samples[p.From-c.begin:]), had-p.From
	if keep := following.From - c.begin; !c.ended {
		c.samples, c.begin = append(c.samples[:0], c.samples[keep:]...), following.From
	}
	return p, nil
}

// partAnswers are the decisions about a part, and why they end early, if they do.
type partAnswers struct {
	recordingPart
	decisions []inference.Decision
	err       error
}

// decidePart computes the decisions about a part. At the end of the sound, silence follows.
func (r *Recognizer) decidePart(p recordingPart, o inference.StreamOptions, silence []float32) (a partAnswers) {
	defer catchFault(&a.err)
	a.recordingPart = p
	stream, err := r.newStreams(1, o)
	if err != nil {
		a.err = err
		return a
	}
	defer stream.Close()
	stream.Begin(0, p.Part)
	rate := float64(r.Model().Features.Rate)
	samples := p.samples
	if p.last {
		samples = append(samples, silence...)
	}
	for piece := range slices.Chunk(samples, windowsPiece) {
		stream.Push(0, piece)
		if !a.collect(stream, rate) {
			return a
		}
	}
	if p.last {
		stream.Flush(0)
		a.collect(stream, rate)
	}
	return a
}

// collect takes the decisions that are ready, and reports whether there may be more.
func (a *partAnswers) collect(stream *inference.Group, rate float64) bool {
	for {
		_, d, ok, err := nextDecision(stream)
		if err != nil || !ok {
			a.err = err
			return err == nil
		}
		if !a.last && int(math.Round(d.End*rate)) > a.until {
			return false
		}
		d.P, d.Logits = slices.Clone(d.P), slices.Clone(d.Logits)
		a.decisions = append(a.decisions, d)
	}
}

// parts passes the parts of a recording at the model's rate, with what is decided about them, to take.
func (r *Recognizer) parts(
	ctx context.Context, src audio.Source, o inference.StreamOptions, silence []float32, take func(partAnswers) error,
) error {
	c := &partCutter{ctx: ctx, src: src, part: func(sample int) inference.Part { return r.plan.Part(o, sample) }}
	do := func(p recordingPart) partAnswers { return r.decidePart(p, o, silence) }
	return inOrder(r.slots, c.next, do, take)
}

// recordingWindows is Windows of a recording at the model's rate.
func (r *Recognizer) recordingWindows(ctx context.Context, src audio.Source) iter.Seq2[Window, error] {
	return func(yield func(Window, error) bool) {
		input, stopped := r.newDriftInput(), false
		o := inference.StreamOptions{Hop: r.stream.Hop, WholeWindows: true}
		err := r.parts(ctx, src, o, nil, func(a partAnswers) error {
			for _, d := range a.decisions {
				addToDrift(&input, d.End, d.Logits)
				if !yield(Window{d.Start, d.End, r.rank(d.P)}, nil) {
					stopped = true
					return io.EOF
				}
			}
			return a.err
		})
		switch {
		case stopped:
		case err != nil:
			yield(Window{}, err)
		default:
			input.finish()
		}
	}
}

// recordingEvents yields the events that a tracker makes of a recording at the model's rate.
func (r *Recognizer) recordingEvents(
	ctx context.Context, src audio.Source, t *tracker, yield func(Event, error) bool,
) {
	stopped := false
	report := func() error {
		for _, e := range t.take() {
			if stopped = !yield(e, nil); stopped {
				return io.EOF
			}
		}
		return nil
	}
	err := r.parts(ctx, src, r.stream, r.silence(), func(a partAnswers) error {
		t.flushed = a.last
		fresh := a.samples[a.first:]
		for _, d := range a.decisions { // each when as much sound has come as it took, and a little more
			n := min(max(int(d.Used*float64(t.rate))+pieceSamples-t.samples, 0), len(fresh))
			t.record(fresh[:n])
			fresh = fresh[n:]
			t.decide(d)
			if err := report(); err != nil {
				return err
			}
		}
		t.record(fresh)
		if a.err == nil && a.last {
			t.flush()
		}
		return cmp.Or(report(), a.err)
	})
	if err != nil && !stopped {
		yield(Event{}, err)
	}
}
