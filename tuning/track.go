// Package tuning finds the operating point at which a model detects words in live sound: how many words are missed
// against how many false alarms there are.
package tuning

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/detect"
	"golang.org/x/sync/errgroup"
)

// Track is a model's decisions on a recording, so that operating points can be tried without computing again.
type Track struct {
	Words, Others []Word // of the recording
	Kind          Kind
	Folder        string
	Seconds       float64

	labels    []string
	decisions []polyphon.Decision
}

// Tracks returns r's decisions on the recordings, in their order, computed by so many threads, 0 being one per core: as
// many recordings are in memory as there are threads, and one more. progress gets the seconds of sound processed so
// far; nil is allowed.
func Tracks(
	ctx context.Context, r *polyphon.Recognizer, recordings iter.Seq2[Recording, error], threads int,
	progress func(seconds float64),
) ([]*Track, error) {
	var tracks []*Track
	var mutex sync.Mutex
	total := 0.0
	report := func(seconds float64) {
		mutex.Lock()
		defer mutex.Unlock()
		if total += seconds; progress != nil {
			progress(total)
		}
	}
	g, running := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(threads, runtime.GOMAXPROCS(0)))
	var failed error
	for recording, err := range recordings {
		if failed = err; err != nil || running.Err() != nil {
			break
		}
		t := &Track{
			Words: recording.Words, Others: recording.Others, Kind: recording.Kind, Folder: recording.Folder,
		}
		tracks = append(tracks, t)
		g.Go(func() error { return t.fill(running, r, recording.Sound, report) })
	}
	return tracks, cmp.Or(failed, g.Wait(), ctx.Err())
}

// fill computes the decisions.
func (t *Track) fill(
	ctx context.Context, r *polyphon.Recognizer, sound audio.Source, report func(seconds float64),
) (err error) {
	if c, ok := sound.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	t.labels = r.Model().Labels
	s := &countedSource{Source: sound, report: report}
	for d, err := range r.Decisions(ctx, s) {
		if err != nil {
			return err
		}
		d.P = slices.Clone(d.P)
		t.decisions = append(t.decisions, d)
	}
	t.Seconds = float64(s.samples) / float64(sound.Rate())
	return nil
}

// countedSource counts the samples that are read from it.
type countedSource struct {
	audio.Source
	samples int
	report  func(seconds float64)
}

func (s *countedSource) Read(dst []float32) (int, error) {
	n, err := s.Source.Read(dst)
	s.samples += n
	s.report(float64(n) / float64(s.Rate()))
	return n, err
}

// events returns the events that an operating point makes of the track.
func (t *Track) events(c detect.Config) ([]detect.Event, error) {
	d, err := detect.New(t.labels, c)
	if err != nil {
		return nil, err
	}
	var events []detect.Event
	for _, at := range t.decisions {
		if e, ok := d.Push(at.Start, at.End, at.Used, at.P); ok {
			events = append(events, e)
		}
	}
	return events, nil
}
