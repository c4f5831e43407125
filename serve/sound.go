package serve

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/internal/records"
	"github.com/polyphon/polyphon/internal/safe"
)

// pendingSound is a sound no longer than a window, which waits to be computed with others.
type pendingSound struct {
	job    *clipJob
	result records.Result
}

// sound classifies a sound, as the command does with a file, or has it wait for flush. An error is one of reading it.
func (u *upload) sound(ctx context.Context, name string, body io.Reader) error {
	decoder := u.server.takeDecoder()
	defer u.server.returnDecoder(decoder)
	if err := decoder.Reset(fullReader{body}); err != nil {
		return err
	}
	limit := u.server.config.Limits.Duration
	limited := &limitedSource{Source: decoder, left: limit, limit: limit}
	src, err := audio.Resample(limited, u.model.recognizer.Model().Features.Rate)
	if err != nil {
		return err
	}
	samples := make([]float32, u.model.recognizer.Model().WindowSamples()+1)
	n, err := audio.ReadFull(src, samples)
	r := records.Result{File: safe.String(name), As: records.AsClip}
	switch {
	case n == len(samples) || u.query.as == records.AsEvents:
		if err := u.flush(); err != nil {
			return err
		}
		scores, err := u.long(ctx, name, &records.Sound{Source: src, Beginning: samples[:n], Err: err}, &r)
		if err != nil && u.refusable() {
			return err
		}
		r.Warning = records.Warnings(decoder.Warning())
		u.add(r, scores, err)
		return nil
	case err != io.EOF:
		return err
	}
	r.Seconds = records.Seconds(float64(n) / float64(src.Rate()))
	r.Warning = records.Warnings(decoder.Warning())
	u.pending = append(u.pending, pendingSound{u.model.submit(audio.Clip{Rate: src.Rate(), Samples: samples[:n]}), r})
	if len(u.pending) == maxJobs {
		return u.flush()
	}
	return nil
}

// flush answers for the sounds that wait. An error is that of a request for one.
func (u *upload) flush() error {
	for _, p := range u.pending {
		scores, err := u.model.wait(p.job)
		if err != nil && u.refusable() {
			return err
		}
		if u.query.windows && err == nil {
			p.result.As = records.AsWindows
			u.window(&p.result, polyphon.Window{End: float64(p.result.Seconds), Scores: scores})
		}
		u.add(p.result, scores, err)
	}
	u.pending = u.pending[:0]
	return nil
}

// refusable reports whether an error about a sound can be the answer to the request: it has no other, and no other
// answer has begun.
func (u *upload) refusable() bool { return !u.batch && !u.out.committed }

// add writes the last record of a sound.
func (u *upload) add(r records.Result, scores []polyphon.Score, err error) {
	if err != nil {
		u.fail(string(r.File), r, err)
		return
	}
	r.Answer = u.of(scores)
	u.count(r)
	u.format.Result(r)
}

// fail writes the error of a sound of which r is known.
func (u *upload) fail(name string, r records.Result, err error) {
	u.count(r)
	u.summary.Failed++
	u.format.Fail(records.Failure{File: safe.String(name), Error: safe.String(err.Error())})
}

// count adds a sound to the summary.
func (u *upload) count(r records.Result) {
	s := &u.summary
	s.Files++
	s.AudioSeconds += r.Seconds
	s.Windows += r.Windows
	s.Events += r.Events
	s.Refused += r.Refusals()
	u.server.metrics.sound.WithLabelValues(u.model.name, "upload").Add(float64(r.Seconds))
}

// long classifies a sound that is longer than a window, or is to be searched for events.
func (u *upload) long(
	ctx context.Context, name string, src *records.Sound, r *records.Result,
) (scores []polyphon.Score, err error) {
	way := cmp.Or(u.query.as, records.Auto)
	if u.query.windows {
		way = records.AsWindows
	}
	r.As = src.Choose(way, u.model.recognizer)
	whole := u.model.recognizer.NewOverall()
	whole.Pool = cmp.Or(u.query.pool, whole.Pool)
	turns := &turnSource{Source: src, compute: u.server.compute}
	turns.compute <- struct{}{}
	begun := time.Now()
	scores, err = records.Find(ctx, u.model.recognizer, r.As, turns, whole, records.Finder{
		Window: func(found polyphon.Window) error {
			turns.without(func() { u.window(r, found) })
			return u.out.failed
		},
		Event: func(found polyphon.Event) error {
			r.Events++
			turns.without(func() { u.format.Event(records.NewEvent(name, found)) })
			return u.out.failed
		},
	})
	<-turns.compute
	r.RefusedEvents = whole.RefusedEvents
	spent := time.Since(begun) - turns.waited
	u.server.metrics.computing.WithLabelValues(u.model.name).Add(spent.Seconds())
	r.Seconds = src.Seconds()
	return scores, err
}

// window writes the answer for a window.
func (u *upload) window(r *records.Result, found polyphon.Window) {
	w := records.Window{
		File: r.File, Start: records.Seconds(found.Start), End: records.Seconds(found.End), Answer: u.of(found.Scores),
	}
	r.Windows++
	if w.Refused {
		r.RefusedWindows++
	}
	u.format.Window(w)
}

// of returns the answer of scores.
func (u *upload) of(scores []polyphon.Score) records.Answer {
	a := records.NewAnswer(u.model.recognizer, scores, u.labels)
	if u.query.coverage != nil {
		set, err := u.model.recognizer.SetOf(scores, *u.query.coverage)
		if err != nil {
			panic(err) // it has been checked
		}
		a.Set = records.NewLabelSet(set)
	}
	return a
}

// turnSource is a source in whose reads others may compute, since it may wait for a client.
type turnSource struct {
	audio.Source
	compute chan struct{}
	waited  time.Duration
}

// Read implements audio.Source.
func (s *turnSource) Read(dst []float32) (n int, err error) {
	s.without(func() { n, err = s.Source.Read(dst) })
	return n, err
}

// without does what may wait while others compute.
func (s *turnSource) without(do func()) {
	begun := time.Now()
	<-s.compute
	do()
	s.compute <- struct{}{}
	s.waited += time.Since(begun)
}

// limitedSource is a source that fails where it goes on for too long.
type limitedSource struct {
	audio.Source
	left  time.Duration
	limit time.Duration
}

// Read implements audio.Source.
func (s *limitedSource) Read(dst []float32) (int, error) {
	n, err := s.Source.Read(dst)
	if s.left -= time.Duration(n) * time.Second / time.Duration(s.Rate()); s.left < 0 {
		return n, fmt.Errorf("%w: the limit is %v", audio.ErrTooLong, s.limit)
	}
	return n, err
}
